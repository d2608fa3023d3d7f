//! Command gates (CG1–CG6).

use alloc::{boxed::Box, sync::Arc};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mach::{WaitEvent, WaitMode, WaitResult};

use super::{Core, EventSource, NO_LOOP, SourceBase, overstay::Watched};
use crate::{
    bootargs::Era,
    ioreturn::{IOResult, IOReturn},
    service::ServiceRef,
};

/// The default action: owner and up to four arguments.
type Action = Box<dyn Fn(&ServiceRef, [u64; 4]) -> IOResult + Send + Sync>;

/// Runs actions on the caller's thread in the gate of a work loop.
pub struct CommandGate {
    base: SourceBase,
    action: Option<Action>,
    /// What enable-stalled callers sleep on.
    enable_event: WaitEvent,
    /// What a removal sleeps on.
    idle_event: WaitEvent,
    /// Actions in progress, sleeping ones included. Changed in the gate.
    running: AtomicU32,
    /// Callers stalled on the enable flag. Changed in the gate.
    stalled: AtomicU32,
    /// A removal wants the stalled callers out.
    removing: AtomicBool,
    /// The last action to return finishes a deferred removal.
    deferred: AtomicBool,
}

impl CommandGate {
    /// A gate of `owner`.
    pub fn new(owner: &ServiceRef) -> Arc<Self> {
        Self::make(owner, None)
    }

    /// A gate with a default action for [`CommandGate::run_command`].
    pub fn with_action(
        owner: &ServiceRef,
        action: impl Fn(&ServiceRef, [u64; 4]) -> IOResult + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::make(owner, Some(Box::new(action)))
    }

    fn make(owner: &ServiceRef, action: Option<Action>) -> Arc<Self> {
        let kernel = owner.kernel();
        Arc::new(Self {
            base: SourceBase::new(owner),
            action,
            enable_event: kernel.new_event(),
            idle_event: kernel.new_event(),
            running: AtomicU32::new(0),
            stalled: AtomicU32::new(0),
            removing: AtomicBool::new(false),
            deferred: AtomicBool::new(false),
        })
    }

    /// CG1: `action` in the gate. NotReady without a loop; stalls while disabled, unless on the loop's thread; Aborted if that
    /// sleep is interrupted or the gate removed; else the action's result. CG3: era ≤ 10.4 answers NotPermitted instead of stalling.
    pub fn run_action<R>(&self, action: impl FnOnce() -> IOResult<R>) -> IOResult<R> {
        let shared;
        let core = match self.base.first_core() {
            Some(core) => core,
            None => {
                shared = self.base.core().ok_or(NO_LOOP)?;
                &*shared
            }
        };
        let _gate = core.enter();
        if !self.base.is_enabled() && !core.on_thread() {
            self.stall(core)?;
        }
        self.run(core, action)
    }

    /// CG1 with the default action; BadArgument if there is none.
    pub fn run_command(&self, arguments: [u64; 4]) -> IOResult {
        let action = self.action.as_ref().ok_or(IOReturn::BadArgument)?;
        let owner = self.base.owner().ok_or(IOReturn::Offline)?;
        self.run_action(|| action(&owner, arguments))
    }

    /// CG4: as `run_action`, but never blocks: CannotLock if the gate is held by another, NotPermitted if disabled.
    pub fn attempt_action<R>(&self, action: impl FnOnce() -> IOResult<R>) -> IOResult<R> {
        let core = self.base.core_ref().ok_or(NO_LOOP)?;
        let _gate = core.try_enter().ok_or(IOReturn::CannotLock)?;
        if !self.base.is_enabled() && !core.on_thread() {
            return Err(IOReturn::NotPermitted);
        }
        self.run(&core, action)
    }

    /// CG4 with the default action; BadArgument if there is none.
    pub fn attempt_command(&self, arguments: [u64; 4]) -> IOResult {
        let action = self.action.as_ref().ok_or(IOReturn::BadArgument)?;
        let owner = self.base.owner().ok_or(IOReturn::Offline)?;
        self.attempt_action(|| action(&owner, arguments))
    }

    /// Sets the flag and wakes all stalled callers (CG2).
    pub fn enable(&self) {
        self.base.set_enabled(true);
        self.base.kernel().wakeup(self.enable_event);
    }

    /// Clears the flag: later callers stall.
    pub fn disable(&self) {
        self.base.set_enabled(false);
    }

    /// CG6: sleeps on `event` with the gate dropped; call it in the gate and in a loop around a predicate that the gate
    /// protects. `deadline` is a machine time in ns. Off-gate it panics; in the older eras it reports the violation and does not sleep,
    /// and [`CommandGate::try_command_sleep`] tells so.
    pub fn command_sleep(&self, event: WaitEvent, mode: WaitMode, deadline: Option<u64>) -> WaitResult {
        self.try_command_sleep(event, mode, deadline).unwrap_or(WaitResult::Interrupted)
    }

    /// As [`CommandGate::command_sleep`], with the answer of the eras before 10.13 to a sleep off the gate: NotPermitted.
    pub fn try_command_sleep(
        &self,
        event: WaitEvent,
        mode: WaitMode,
        deadline: Option<u64>,
    ) -> IOResult<WaitResult> {
        match self.base.core() {
            Some(core) if core.in_gate() => Ok(core.sleep_gate(event, mode, deadline)),
            _ if self.base.kit().args().era < Era::Modern => {
                self.base.violation("CG6");
                Err(IOReturn::NotPermitted)
            }
            _ => {
                self.base.violation("CG6");
                panic!("CG6: commandSleep of #{} off the gate", self.base.owner_id())
            }
        }
    }

    /// CG6, the form with two arguments, the mode a number as drivers in C++ pass it: without a deadline. A number that is no mode (most
    /// often a deadline that was meant for the other form) is a violation of `sleep-mode`, and sleeps uninterruptibly.
    pub fn command_sleep_in_mode(&self, event: WaitEvent, mode: u32) -> WaitResult {
        let mode = match mode {
            0 => WaitMode::Uninterruptible,
            1 => WaitMode::Interruptible,
            2 => WaitMode::AbortSafe,
            _ => {
                self.base.violation("sleep-mode");
                WaitMode::Uninterruptible
            }
        };
        self.command_sleep(event, mode, None)
    }

    /// Wakes one or all of the sleepers on `event`.
    pub fn command_wakeup(&self, event: WaitEvent, one: bool) {
        match self.base.core() {
            Some(core) => core.wakeup_gate(event, one),
            None if one => {
                self.base.kernel().wakeup_one(event);
            }
            None => {
                self.base.kernel().wakeup(event);
            }
        }
    }

    /// A removal is under way, or waits for the actions in progress.
    fn is_going(&self) -> bool {
        self.removing.load(Ordering::Acquire) || self.deferred.load(Ordering::Acquire)
    }

    /// Waits until the flag is set; in the gate, which is dropped meanwhile.
    fn stall(&self, core: &Core) -> IOResult {
        if self.base.kit().args().era <= Era::E104 {
            return Err(IOReturn::NotPermitted);
        }
        self.stalled.fetch_add(1, Ordering::AcqRel);
        let result = loop {
            // Also when the actions in progress still have to finish the removal: nobody would wake this caller.
            if self.is_going() || self.base.core().is_none() {
                break Err(IOReturn::Aborted);
            }
            if self.base.is_enabled() {
                break Ok(());
            }
            let woken = core.sleep_gate(self.enable_event, WaitMode::Interruptible, None);
            if woken == WaitResult::Interrupted {
                break Err(IOReturn::Aborted);
            }
        };
        self.stalled.fetch_sub(1, Ordering::AcqRel);
        if self.removing.load(Ordering::Acquire) {
            self.base.kernel().wakeup(self.idle_event);
        }
        result
    }

    #[inline]
    fn run<R>(&self, core: &Core, action: impl FnOnce() -> IOResult<R>) -> IOResult<R> {
        // Changed in the gate only: a read and a write do, and cost less than an atomic addition.
        self.running.store(self.running.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let begun = self.base.begin_untold(core);
        let result = action();
        self.base.end_untold(begun, Some(core), Watched::Gated);
        let running = self.running.load(Ordering::Relaxed).saturating_sub(1);
        self.running.store(running, Ordering::Relaxed);
        if running == 0
            && self.deferred.load(Ordering::Acquire)
            && self.deferred.swap(false, Ordering::AcqRel)
        {
            drop(self.base.unlink());
        }
        result
    }
}

impl EventSource for CommandGate {
    fn base(&self) -> &SourceBase {
        &self.base
    }

    fn is_active(&self) -> bool {
        self.base.kit().args().era <= Era::E104
    }

    /// CG5: stalled callers are thrown out; the removal waits for them. (Actions in progress finish the detachment themselves.)
    fn detaching(&self) {
        let Some(core) = self.base.core() else { return };
        self.removing.store(true, Ordering::Release);
        while self.stalled.load(Ordering::Acquire) != 0 {
            self.base.kernel().wakeup(self.enable_event);
            core.sleep_gate(self.idle_event, WaitMode::Uninterruptible, None);
        }
        self.removing.store(false, Ordering::Release);
        if self.running.load(Ordering::Acquire) != 0 {
            self.deferred.store(true, Ordering::Release);
        }
    }

    fn detach_deferred(&self) -> bool {
        self.deferred.load(Ordering::Acquire)
    }

    fn enable(&self) {
        CommandGate::enable(self);
    }

    fn disable(&self) {
        CommandGate::disable(self);
    }
}
