//! Changing the state bits.

use core::sync::atomic::Ordering;

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
}
