//! Memory that runs out by plan: which allocations fail.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The state behind it: three words that host and guest share, and that any CPU may ask at any time.
#[derive(Debug)]
pub struct Scarcity<'a> {
    /// The number of the allocation that fails, counted down; 0 = none.
    pub after: &'a AtomicU32,
    /// An allocation fails if 32 random bits are below this; 0 = never.
    pub below: &'a AtomicU32,
    /// The state of the random numbers.
    pub state: &'a AtomicU64,
}

impl Scarcity<'_> {
    /// Whether there is memory for one more allocation.
    pub fn allows(&self) -> bool {
        // Almost always: nothing is scarce.
        let after = self.after.load(Ordering::Relaxed);
        let below = self.below.load(Ordering::Relaxed);
        (after == 0 || !self.count_down()) && (below == 0 || self.roll() >= below)
    }

    /// Counts one allocation; true if it is the one that fails.
    fn count_down(&self) -> bool {
        let before = self.after.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        before == Ok(1)
    }

    /// 32 random bits by SplitMix64, whose state is a counter: one addition, whoever adds.
    fn roll(&self) -> u32 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_allocation_fails_and_no_other() {
        let (after, below, state) = (AtomicU32::new(3), AtomicU32::new(0), AtomicU64::new(1));
        let scarcity = Scarcity { after: &after, below: &below, state: &state };
        let allowed: [bool; 5] = core::array::from_fn(|_| scarcity.allows());
        assert_eq!(allowed, [true, true, false, true, true]);
    }

    #[test]
    fn a_threshold_fails_its_share() {
        let (after, below, state) = (AtomicU32::new(0), AtomicU32::new(1 << 30), AtomicU64::new(7));
        let scarcity = Scarcity { after: &after, below: &below, state: &state };
        let failed = (0..4_000).filter(|_| !scarcity.allows()).count();
        assert!((900..1_100).contains(&failed), "{failed}");
    }
}
