//! Round robin, for teaching: the simplest fair policy, and what is wrong with it.
//!
//! Beside [`super::fixed`] only two answers differ. A thread that interrupts make give way often gets less than its share, as it loses the
//! rest of each turn; a short quantum is fairer, and costs switches. Compare the statistics of both policies to see it.

use super::Rules;

/// Shortest turn, ns.
const SHORTEST: u64 = 100_000;

/// Turns of `quantum` ns.
pub(super) struct RoundRobin {
    pub quantum: u64,
}

impl Rules for RoundRobin {
    fn name(&self) -> &'static str {
        "round robin"
    }

    fn quantum(&self) -> u64 {
        self.quantum.max(SHORTEST)
    }

    fn keeps_its_turn(&self) -> bool {
        false
    }
}
