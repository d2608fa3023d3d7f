//! Work loops: a gate, a thread that comes when it is needed, and the event sources behind the gate.
//!
//! The path of an event:
//!
//! ```text
//! interrupt ─► filter (primary level, no gate) ─► signal ─► loop's thread: pass ─► gate ─► action
//! timer ─────► thread call (no loop thread) ───────────────────────────────────► gate ─► action
//! client ────► CommandGate::run_action on the client's own thread ─────────────► gate ─► action
//! ```

mod command_gate;
mod core_loop;
mod gate;
mod gated;
mod interrupt;
mod overstay;
mod pass;
mod source;
mod timer;

use alloc::sync::Arc;

pub use command_gate::CommandGate;
pub(crate) use core_loop::Core;
pub use gated::Gated;
pub use interrupt::{InterruptSource, Signal};
pub(crate) use overstay::Watched;
pub use source::{EventSource, SourceBase};
pub use timer::{TimerPriority, TimerSource};

use mach::{WaitEvent, WaitMode, WaitResult};

use crate::{
    ioreturn::{IOResult, IOReturn},
    service::Service,
};

/// A work loop. Event sources are retained by it; it is retained by services and by armed timers.
pub struct WorkLoop {
    core: Arc<Core>,
}

impl WorkLoop {
    /// A work loop of `owner`, whose id and slot its trace events carry. No thread yet (WL2, as Workgate has it).
    pub fn new(owner: &Service) -> Arc<Self> {
        Arc::new(Self { core: Arc::new(Core::new(owner)) })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Closes the gate, calls `action`, opens it (WL11).
    pub fn run_action<R>(&self, action: impl FnOnce() -> R) -> R {
        self.run_watched(Watched::Gated, action)
    }

    /// As [`WorkLoop::run_action`], for something that is called `what` if it overstays (OV1).
    pub(crate) fn run_watched<R>(&self, what: Watched, action: impl FnOnce() -> R) -> R {
        let _gate = self.core.enter();
        let begun = self.core.begin();
        let result = action();
        self.core.end(begun, what);
        result
    }

    /// Whether the caller owns the gate (WL1).
    pub fn in_gate(&self) -> bool {
        self.core.in_gate()
    }

    /// Whether the caller is the loop's thread (WL1).
    pub fn on_thread(&self) -> bool {
        self.core.on_thread()
    }

    /// Sleeps on `event` with all levels of the gate dropped (WL9). The caller holds the gate.
    pub fn sleep_gate(&self, event: WaitEvent, mode: WaitMode, deadline: Option<u64>) -> WaitResult {
        self.core.sleep_gate(event, mode, deadline)
    }

    /// Wakes one sleeper on `event`, or all. Needs no gate (WL9).
    pub fn wakeup_gate(&self, event: WaitEvent, one: bool) {
        self.core.wakeup_gate(event, one);
    }

    /// Adds an event source (WL7). A source that already has any work loop is left where it is.
    /// NoMemory if it needs the loop's thread and there is none to be had.
    pub fn add_event_source<S: EventSource>(self: &Arc<Self>, source: &Arc<S>) -> IOResult {
        let source: Arc<dyn EventSource> = source.clone();
        self.core.add(self, &source)
    }

    /// Removes an event source (WL7). Success if it has no work loop; BadArgument if it has another.
    pub fn remove_event_source<S: EventSource>(&self, source: &Arc<S>) -> IOResult {
        let source: Arc<dyn EventSource> = source.clone();
        self.core.remove(&source)
    }

    /// Enables every source, without taking the gate (WL8).
    pub fn enable_all_event_sources(&self) {
        self.core.sources().iter().for_each(|s| s.enable());
    }

    /// Disables every source, without taking the gate (WL8).
    pub fn disable_all_event_sources(&self) {
        self.core.sources().iter().for_each(|s| s.disable());
    }

    /// Enables the interrupt sources (WL8).
    pub fn enable_all_interrupts(&self) {
        self.core.sources().iter().filter(|s| s.is_interrupt()).for_each(|s| s.enable());
    }

    /// Disables the interrupt sources (WL8).
    pub fn disable_all_interrupts(&self) {
        self.core.sources().iter().filter(|s| s.is_interrupt()).for_each(|s| s.disable());
    }

    /// Reports a violation of WL14, with a backtrace on the console, whenever the gate was held for longer than `ns`; `None` = never.
    pub fn set_maximum_lock_time(&self, ns: Option<u64>) {
        self.core.set_maximum_lock_time(ns, false);
    }

    /// Stops the machine with a panic as soon as the gate opens after it was held for longer than `ns` (WL14).
    pub fn panic_beyond_lock_time(&self, ns: u64) {
        self.core.set_maximum_lock_time(Some(ns), true);
    }

    /// The number of event sources.
    pub fn source_count(&self) -> usize {
        self.core.sources().len()
    }
}

impl Drop for WorkLoop {
    /// WL12: with a thread, it does the rest; without one, it is done here.
    fn drop(&mut self) {
        self.core.terminate();
    }
}

/// A link from a source to a loop that is gone or was never set.
pub(crate) const NO_LOOP: IOReturn = IOReturn::NotReady;
