//! The port of a user client: whether it lives, and how many calls are in flight.

use core::sync::atomic::{AtomicU32, Ordering};

/// The port is dead.
const DEAD: u32 = 1 << 31;
/// Termination waits for the calls in flight to call `finalize`.
const FINAL: u32 = 1 << 30;
/// Calls in flight.
const CALLS: u32 = FINAL - 1;

/// One word: dead, waited for, calls in flight.
pub(crate) struct UserPort(AtomicU32);

impl UserPort {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Counts a call in; false if the port is dead.
    pub(crate) fn enter(&self) -> bool {
        let counted = |word: u32| (word & DEAD == 0 && word & CALLS < CALLS).then(|| word + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, counted).is_ok()
    }

    /// Counts a call out; true if it was the last one and termination waits for it.
    pub(crate) fn exit(&self) -> bool {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        before & CALLS == 1 && before & FINAL != 0
    }

    /// Calls in flight.
    pub(crate) fn calls(&self) -> u32 {
        self.0.load(Ordering::Acquire) & CALLS
    }

    /// The port dies; true if it lived.
    pub(crate) fn destroy(&self) -> bool {
        self.0.fetch_or(DEAD, Ordering::AcqRel) & DEAD == 0
    }

    /// Whether no call is in flight. If one is, the last one's [`UserPort::exit`] will answer true.
    pub(crate) fn finish(&self) -> bool {
        self.0.fetch_or(FINAL, Ordering::AcqRel) & CALLS == 0
    }

    /// Whether the port is dead.
    pub(crate) fn is_dead(&self) -> bool {
        self.0.load(Ordering::Acquire) & DEAD != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_flight_hold_back_finalize() {
        let port = UserPort::new();
        assert!(port.enter() && port.enter());
        assert!(port.destroy() && !port.destroy());
        assert!(!port.enter());
        assert!(!port.finish());
        assert!(!port.exit());
        assert!(port.exit());
    }

    #[test]
    fn an_idle_port_finishes_at_once() {
        let port = UserPort::new();
        assert!(port.enter() && !port.exit());
        assert!(port.destroy() && port.finish());
        assert!(port.is_dead());
    }
}
