//! Calls in flight into a provider, so that it is closed behind the last of them.

use core::sync::atomic::{AtomicU32, Ordering};

/// No call comes in any more.
const CLOSING: u32 = 1 << 31;

/// Counts calls; needs no lock.
#[derive(Debug, Default)]
pub struct Calls(AtomicU32);

impl Calls {
    /// None in flight, open.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Counts a call in. False: closing, do not call.
    pub fn enter(&self) -> bool {
        let counted = |word: u32| (word & CLOSING == 0).then(|| word + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, counted).is_ok()
    }

    /// Counts a call out. True: it was the last, and the caller shall close.
    pub fn exit(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == CLOSING | 1
    }

    /// No call comes in any more. True: none is in flight, and the caller shall close.
    pub fn close(&self) -> bool {
        self.0.fetch_or(CLOSING, Ordering::AcqRel) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_closes() {
        let calls = Calls::new();
        assert!(calls.enter() && calls.enter());
        assert!(!calls.close() && !calls.enter());
        assert!(!calls.exit());
        assert!(calls.exit());
        let idle = Calls::new();
        assert!(idle.enter() && !idle.exit() && idle.close() && !idle.close());
    }
}
