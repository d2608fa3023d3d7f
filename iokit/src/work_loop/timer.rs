//! Timer event sources (T1–T7).

use alloc::{
    boxed::Box,
    sync::{Arc, Weak},
};

use mach::{KernelRef, SpinLock, ThreadCall, band};
use trace::Kind;

use super::{EventSource, SourceBase, WorkLoop, overstay::Watched};
use crate::{
    bootargs::Era,
    ioreturn::{IOResult, IOReturn},
    service::ServiceRef,
};

/// The action: owner, source.
type Action = Box<dyn Fn(&ServiceRef, &Arc<TimerSource>) + Send + Sync>;

/// Where a timer's action runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimerPriority {
    /// On a high-priority thread-call thread, above the work loops (T5).
    #[default]
    ThreadCall,
    /// On the loop's thread; cancel waits for the callout (T6).
    WorkLoop,
}

/// A one-shot timer whose action runs in the gate.
///
/// While armed it holds references on itself and on the work loop, not on its owner (T2): one that is released without
/// being cancelled can fire for a dead owner (T7), which is reported, and then does nothing.
pub struct TimerSource {
    base: SourceBase,
    action: Option<Action>,
    priority: TimerPriority,
    call: ThreadCall,
    me: Weak<TimerSource>,
    state: SpinLock<State>,
}

#[derive(Default)]
struct State {
    /// Absolute machine time, ns; `None` = unarmed.
    deadline: Option<u64>,
    /// Bumped by each arm, cancel and disable (T4).
    generation: u64,
    /// The generation of a callout that waits for the loop's thread (T6).
    fired: Option<u64>,
    /// T2.
    hold: Option<(Arc<TimerSource>, Arc<WorkLoop>)>,
}

impl TimerSource {
    /// A timer of `owner`.
    pub fn new(
        owner: &ServiceRef,
        priority: TimerPriority,
        action: impl Fn(&ServiceRef, &Arc<TimerSource>) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::make(owner, priority, Some(Box::new(action)))
    }

    /// A timer that has no action and can therefore not be armed (T1).
    pub fn without_action(owner: &ServiceRef) -> Arc<Self> {
        Self::make(owner, TimerPriority::ThreadCall, None)
    }

    fn make(owner: &ServiceRef, priority: TimerPriority, action: Option<Action>) -> Arc<Self> {
        let kernel = owner.kernel();
        Arc::new_cyclic(|me: &Weak<Self>| {
            let target = me.clone();
            let call = ThreadCall::new(kernel, band::THREAD_CALL_HIGH, move |kernel: &KernelRef| {
                if let Some(timer) = target.upgrade() {
                    timer.callout(kernel);
                }
            });
            Self {
                base: SourceBase::new(owner),
                action,
                priority,
                call,
                me: me.clone(),
                state: SpinLock::new(State::default()),
            }
        })
    }

    /// Arms for `ns` from now; replaces what was armed.
    pub fn set_timeout(&self, ns: u64) -> IOResult {
        self.wake_at(self.base.kernel().now().saturating_add(ns))
    }

    /// Arms for machine time `deadline`; 0 disarms. NoResources without action (T1).
    pub fn wake_at(&self, deadline: u64) -> IOResult {
        if self.action.is_none() {
            return Err(IOReturn::NoResources);
        }
        let released = {
            let mut state = self.state.lock(self.base.kernel());
            state.generation += 1;
            state.fired = None;
            state.deadline = (deadline != 0).then_some(deadline);
            if deadline == 0 { state.hold.take() } else { None }
        };
        drop(released);
        self.base.trace(Kind::TimerArm, deadline);
        self.arm();
        Ok(())
    }

    /// Disarms. With the gate held it is exact; without, the action may be running when it returns (T4).
    pub fn cancel_timeout(&self) {
        let gated = self.base.core().is_some_and(|c| c.in_gate());
        let released = {
            let mut state = self.state.lock(self.base.kernel());
            if self.era() != Era::E103 {
                state.generation += 1;
            }
            state.deadline = None;
            state.fired = None;
            state.hold.take()
        };
        self.base.trace(Kind::TimerCancel, u64::from(gated));
        self.stop_call(gated);
        drop(released);
    }

    /// Sets the flag, causes a pass (WL13), and arms if there is a deadline (T1).
    pub fn enable(&self) {
        self.base.enable();
        self.arm();
    }

    /// Clears the flag; the deadline stays, for the next enable.
    pub fn disable(&self) {
        self.base.set_enabled(false);
        let released = {
            let mut state = self.state.lock(self.base.kernel());
            if self.era() != Era::E103 {
                state.generation += 1;
            }
            state.fired = None;
            state.hold.take()
        };
        self.stop_call(self.base.core().is_some_and(|c| c.in_gate()));
        drop(released);
    }

    /// Whether the flag is set.
    pub fn is_enabled(&self) -> bool {
        self.base.is_enabled()
    }

    /// Whether it has a deadline that has not fired.
    pub fn is_armed(&self) -> bool {
        self.state.lock(self.base.kernel()).deadline.is_some()
    }

    /// The owner, if it still lives.
    pub fn owner(&self) -> Option<ServiceRef> {
        self.base.owner()
    }

    fn era(&self) -> Era {
        self.base.kit().args().era
    }

    /// Takes the callout back. A T6 callout takes no gate, so that its cancel can wait for it.
    fn stop_call(&self, _gated: bool) {
        match self.priority {
            TimerPriority::ThreadCall => {
                self.call.cancel();
            }
            TimerPriority::WorkLoop => {
                self.call.cancel_wait();
            }
        }
    }

    /// Enters the thread call if the timer has a deadline, is enabled and attached.
    fn arm(&self) {
        let (Some(me), Some(handle)) = (self.me.upgrade(), self.base.handle()) else { return };
        if !self.base.is_enabled() {
            return;
        }
        let mut hold = Some((me, handle));
        let (deadline, old) = {
            let mut state = self.state.lock(self.base.kernel());
            match state.deadline {
                None => (None, None),
                Some(deadline) => (Some(deadline), core::mem::replace(&mut state.hold, hold.take())),
            }
        };
        if let Some(deadline) = deadline {
            self.call.enter_at(deadline);
        }
        drop((old, hold));
    }

    /// The thread call is due.
    fn callout(self: &Arc<Self>, kernel: &KernelRef) {
        let Some(core) = self.base.core() else { return };
        if self.era() == Era::E103 && self.priority == TimerPriority::ThreadCall {
            // T3: the flag is tested here, outside the gate, and nothing else, neither here nor after it.
            if self.base.is_enabled() {
                let _gate = core.enter();
                self.fire(None);
            }
            return;
        }
        let generation = {
            let state = self.state.lock(kernel);
            match state.deadline {
                // Re-armed for later between the dispatch of this callout and now: another one will come.
                Some(deadline) if deadline <= kernel.now() => state.generation,
                _ => return,
            }
        };
        match self.priority {
            TimerPriority::ThreadCall => {
                let _gate = core.enter();
                self.fire(Some(generation));
            }
            TimerPriority::WorkLoop => {
                self.state.lock(kernel).fired = Some(generation);
                core.signal_work_available();
            }
        }
    }

    /// Runs the action, in the gate, if `generation` is still current (T4; `None` = do not look).
    fn fire(self: &Arc<Self>, generation: Option<u64>) {
        let released = {
            let mut state = self.state.lock(self.base.kernel());
            if generation.is_some_and(|g| g != state.generation || state.deadline.is_none()) {
                return;
            }
            // In 10.3 it may have been armed again since: that entry has its own callout, and keeps what it holds.
            if generation.is_some() || state.deadline.is_none_or(|d| d <= self.base.kernel().now()) {
                state.deadline = None;
                state.hold.take()
            } else {
                None
            }
        };
        match (self.base.owner(), &self.action) {
            (Some(owner), Some(action)) => {
                let core = self.base.core_ref();
                let begun = self.base.begin(core.as_deref(), || self.base.trace(Kind::TimerFire, 0));
                action(&owner, self);
                self.base.end_untold(begun, core.as_deref(), Watched::Timer);
            }
            (None, _) => self.base.violation("T7"),
            (_, None) => {}
        }
        drop(released);
    }
}

impl EventSource for TimerSource {
    fn base(&self) -> &SourceBase {
        &self.base
    }

    fn is_active(&self) -> bool {
        self.priority == TimerPriority::WorkLoop || self.era() <= Era::E104
    }

    /// T6.
    fn check_for_work(&self) -> bool {
        let fired = self.state.lock(self.base.kernel()).fired.take();
        if let (Some(generation), Some(me)) = (fired, self.me.upgrade()) {
            me.fire(Some(generation));
        }
        false
    }

    fn attached(&self) {
        self.arm();
    }

    /// Removal from a loop disarms for good: nothing may fire afterwards.
    fn detaching(&self) {
        let released = {
            let mut state = self.state.lock(self.base.kernel());
            state.generation += 1;
            state.hold.take()
        };
        drop(released);
    }

    fn enable(&self) {
        TimerSource::enable(self);
    }

    fn disable(&self) {
        TimerSource::disable(self);
    }
}
