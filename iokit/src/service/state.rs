//! Changing the state bits.

use core::sync::atomic::Ordering;

use mach::seam::ThreadId;

use super::{Service, State};

impl Service {
    /// Sets and clears state bits. Arbitration lock held, or the service not yet shared.
    pub(crate) fn change(&self, set: State, clear: State) -> State {
        let old = self.state();
        self.state.store(((old - clear) | set).bits(), Ordering::Release);
        old
    }

    /// The same, taking the arbitration lock.
    pub(crate) fn set_state(&self, set: State, clear: State) -> State {
        let _held = self.arbitrate();
        self.change(set, clear)
    }

    /// The thread in phase 1 of a termination that begins here; 0 = none.
    pub(crate) fn phase_1_thread(&self) -> ThreadId {
        self.phase_1_thread.load(Ordering::Acquire)
    }

    /// Notes it.
    pub(crate) fn set_phase_1_thread(&self, thread: ThreadId) {
        self.phase_1_thread.store(thread, Ordering::Release);
    }
}
