//! Partial order sampling (Yuan, Yang and Gu, 2018), on virtual CPUs.
//!
//! A step is what a CPU does from one blocking lock (or gate) to the next. Each step that is about to be made has a random rank; the highest is made, and the
//! one behind it on its CPU gets a rank of its own. So a thread that was overtaken stays behind for as long as its rank says, whether others make two
//! steps meanwhile or twenty: orders that need one thread to lose its turn for long, which at each step by itself are unlikely, come up often. No
//! step is cut in two by a lock's absence: elsewhere the CPU is asked seldom.

use crate::pct::alternative;
use sim::chooser::{Decision, Kind, POINT};
use sim::{Chooser, Rng};

/// Mean points between two decisions that no lock is the reason for is half of this.
const STRIDE: u32 = 512;

/// The chooser.
pub struct Pos {
    rng: Rng,
    /// Of the step that each CPU is about to make; higher goes first.
    ranks: [u64; sim::MAX_CPUS],
}

impl Pos {
    /// The chooser of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let ranks = std::array::from_fn(|_| rng.next_u64());
        Self { rng, ranks }
    }
}

impl Chooser for Pos {
    fn pause(&mut self, _now: u64) -> u64 {
        (1 + u64::from(self.rng.below(STRIDE))) * POINT
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        if decision.kind != Kind::Cpu {
            return 0;
        }
        let candidates = (0..sim::MAX_CPUS).filter(|cpu| decision.cpus >> cpu & 1 != 0);
        let Some(best) = candidates.max_by_key(|cpu| self.ranks[*cpu]) else { return 0 };
        self.ranks[best] = self.rng.next_u64();
        alternative(decision, best)
    }

    fn at_locks(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_overtaken_stays_behind_until_the_others_rank_lower() {
        let decision = Decision { now: 0, kind: Kind::Cpu, alternatives: 2, cpus: 0b11, cpu: 0 };
        let mut pos = Pos::new(3);
        pos.ranks[..2].copy_from_slice(&[u64::MAX, u64::MAX / 2]);
        assert_eq!(pos.choose(decision), 0, "the highest goes on");
        let before = pos.ranks;
        let answer = pos.choose(decision);
        assert_eq!(answer, u32::from(before[1] > before[0]));
        let chosen = answer as usize;
        assert_ne!(pos.ranks[chosen], before[chosen], "its next step is another one");
        assert_eq!(pos.ranks[1 - chosen], before[1 - chosen], "the other one's is the same");
    }

    #[test]
    fn only_turns_are_chosen() {
        let mut pos = Pos::new(1);
        for kind in [Kind::Latency, Kind::Vector, Kind::Elapse] {
            let decision = Decision { now: 0, kind, alternatives: 3, cpus: 1, cpu: 0 };
            assert_eq!(pos.choose(decision), 0);
        }
    }
}
