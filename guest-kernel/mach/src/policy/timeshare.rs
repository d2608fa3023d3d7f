//! Timeshare (S4): priority = base − (usage >> shift); usage ages by 5/8 a tick.
//!
//! Usage is the processor time that a thread had *while more threads were runnable than there are CPUs*. Who computes through every
//! tick comes to 5/8 + (5/8)² + … = 5/3 ticks of it, 208 ms, and the shift makes 24 levels of that. Where `n` threads share a CPU each
//! has an `n`-th of the time, so the shift is smaller by log2 n: a thread that never blocks sinks about as far however many there are.

use super::{Facts, Rules};

/// Length of a tick in ns.
pub const TICK: u64 = 125_000_000;

/// The shift while twice as many threads as CPUs are not yet runnable: 5/3 ticks come to 24 levels.
const SHIFT: u32 = 23;

/// Ticks after which nothing is left of any usage that a level would show.
const FORGOTTEN: u64 = 32;

/// Lowest level that usage can sink a thread to: level 0 belongs to the idle threads.
const FLOOR: u8 = 1;

/// How many threads compete for how many processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Threads that run or could, idle threads apart.
    pub runnable: usize,
    /// CPUs that have started.
    pub cpus: usize,
}

impl Load {
    /// Whether somebody has to wait.
    pub const fn is_contended(self) -> bool {
        self.runnable > self.cpus
    }

    /// The shift of the formula; `None` = no priority sinks.
    pub const fn shift(self) -> Option<u32> {
        if !self.is_contended() || self.cpus == 0 {
            return None;
        }
        Some(SHIFT.saturating_sub((self.runnable / self.cpus).ilog2()))
    }
}

/// Processor time that counts against a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In ns, aged to `tick`.
    nanos: u64,
    /// Number of the tick that it was last aged in.
    tick: u64,
}

impl Usage {
    /// Usage as of machine time `now`.
    pub fn aged(self, now: u64) -> Self {
        let tick = now / TICK;
        let passed = tick.saturating_sub(self.tick);
        let nanos = if passed >= FORGOTTEN {
            0
        } else {
            (0..passed).fold(self.nanos, |n, _| n / 8 * 5 + n % 8 * 5 / 8)
        };
        Self { nanos, tick: tick.max(self.tick) }
    }

    /// Adds `nanos` that ended at machine time `now`.
    #[must_use]
    pub fn with(self, nanos: u64, now: u64) -> Self {
        let aged = self.aged(now);
        Self { nanos: aged.nanos.saturating_add(nanos), ..aged }
    }

    /// In ns, as it was last aged.
    pub const fn nanos(self) -> u64 {
        self.nanos
    }
}

/// Regular user threads.
pub(super) struct Timeshare;

impl Rules for Timeshare {
    fn name(&self) -> &'static str {
        "timeshare"
    }

    fn priority(&self, facts: &Facts) -> u8 {
        let Some(shift) = facts.load.shift() else { return facts.base };
        let sunk = u8::try_from(facts.usage >> shift).unwrap_or(u8::MAX);
        facts.base.saturating_sub(sunk).max(FLOOR.min(facts.base))
    }

    fn counts_usage(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Load = Load { runnable: 2, cpus: 2 };
    const CROWDED: Load = Load { runnable: 3, cpus: 2 };

    fn priority(base: u8, usage: u64, load: Load) -> u8 {
        Timeshare.priority(&Facts { base, usage, load })
    }

    #[test]
    fn s4_priority_is_base_less_shifted_usage() {
        assert_eq!(priority(31, 0, CROWDED), 31);
        assert_eq!(priority(31, (5 << 23) - 1, CROWDED), 27);
        assert_eq!(priority(31, 5 << 23, CROWDED), 26);
        assert_eq!(priority(4, u64::MAX, CROWDED), 1, "level 0 is for idle threads");
        assert_eq!(priority(0, u64::MAX, CROWDED), 0);
    }

    #[test]
    fn s4_no_priority_sinks_unless_more_are_runnable_than_cpus() {
        assert_eq!(priority(31, u64::MAX, BUSY), 31);
        assert_eq!(Load { runnable: 0, cpus: 0 }.shift(), None);
        assert_eq!(Load { runnable: 1, cpus: 0 }.shift(), None);
    }

    #[test]
    fn s4_usage_ages_by_five_eighths_a_tick() {
        let used = Usage::default().with(800, 3);
        assert_eq!(used.aged(TICK - 1).nanos(), 800, "the tick is not over");
        assert_eq!(used.aged(TICK).nanos(), 500);
        assert_eq!(used.aged(2 * TICK).nanos(), 312);
        assert_eq!(used.aged(TICK).aged(2 * TICK), used.aged(2 * TICK), "at once or step by step");
        assert_eq!(Usage::default().with(u64::MAX, 0).aged(31 * TICK).nanos() >> 40, 7);
        assert_eq!(Usage::default().with(u64::MAX, 0).aged(32 * TICK).nanos(), 0);
        assert_eq!(used.aged(TICK).aged(0), used.aged(TICK), "time does not go back");
    }

    /// A thread that never blocks comes to rest at about the same level whatever the load.
    #[test]
    fn s4_who_never_blocks_sinks_about_24_levels() {
        for each in [1, 2, 4, 8, 16] {
            let load = Load { runnable: each + 1, cpus: 1 };
            let share = TICK / (each as u64 + 1);
            let usage = (1..=40).fold(Usage::default(), |usage, tick| usage.with(share, tick * TICK - 1));
            let level = priority(63, usage.aged(40 * TICK).nanos(), load);
            assert!((63 - 24..=63 - 11).contains(&level), "{} a CPU: {level}", each + 1);
        }
    }
}
