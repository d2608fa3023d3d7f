//! The isochronous cycle timer (OHCI 1.1, 5.13): 24.576 MHz, from machine time.

use crate::spec::ieee1394::{CYCLE_NS, CYCLES_PER_SECOND, TICKS_PER_CYCLE};

/// Ticks until the timer wraps: 128 s.
const WRAP: u64 = 128 * CYCLES_PER_SECOND * TICKS_PER_CYCLE;

/// The cycle timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Ticks to be added to those of machine time, modulo [`WRAP`].
    offset: u64,
    /// The value at which it stands still, while it does.
    held: u64,
    running: bool,
}

/// Ticks of machine time.
fn ticks(now: u64) -> u64 {
    // 24 576 000 a second, in lowest terms.
    (u128::from(now) * 3072 / 125_000 % u128::from(WRAP)) as u64
}

impl Clock {
    fn value(&self, now: u64) -> u64 {
        if self.running { (ticks(now) + self.offset) % WRAP } else { self.held }
    }

    /// The register: seconds, cycles, offset.
    pub fn register(&self, now: u64) -> u32 {
        let value = self.value(now);
        let (cycles, offset) = (value / TICKS_PER_CYCLE, value % TICKS_PER_CYCLE);
        ((cycles / CYCLES_PER_SECOND) as u32) << 25
            | ((cycles % CYCLES_PER_SECOND) as u32) << 12
            | offset as u32
    }

    /// Software writes the register.
    pub fn write(&mut self, register: u32, now: u64) {
        let (seconds, cycle, offset) = (register >> 25, register >> 12 & 0x1fff, register & 0xfff);
        let cycles = u64::from(seconds) * CYCLES_PER_SECOND + u64::from(cycle);
        self.held = (cycles * TICKS_PER_CYCLE + u64::from(offset)) % WRAP;
        self.offset = (WRAP + self.held - ticks(now)) % WRAP;
    }

    /// Starts or stops.
    pub fn run(&mut self, running: bool, now: u64) {
        if running != self.running {
            self.held = self.value(now);
            self.offset = (WRAP + self.held - ticks(now)) % WRAP;
            self.running = running;
        }
    }

    /// A time stamp: three bits of seconds, and the cycle.
    pub fn stamp(&self, now: u64) -> u16 {
        (self.register(now) >> 12) as u16
    }

    /// Cycles since the timer's zero, modulo its wrap.
    pub fn cycle(&self, now: u64) -> u64 {
        self.value(now) / TICKS_PER_CYCLE
    }

    /// When the next cycle begins; `None` while the timer stands still.
    pub fn next_cycle(&self, now: u64) -> Option<u64> {
        self.next_multiple(TICKS_PER_CYCLE, now)
    }

    /// When the top bit of the seconds changes; `None` while the timer stands still.
    pub fn next_half(&self, now: u64) -> Option<u64> {
        self.next_multiple(WRAP / 2, now)
    }

    fn next_multiple(&self, ticks: u64, now: u64) -> Option<u64> {
        if !self.running {
            return None;
        }
        let left = ticks - self.value(now) % ticks;
        Some(now.saturating_add((left * CYCLE_NS).div_ceil(TICKS_PER_CYCLE).max(1)))
    }
}

/// The stamp of cycle `cycle` (see [`Clock::cycle`]).
pub fn stamp_of(cycle: u64) -> u16 {
    (((cycle / CYCLES_PER_SECOND) & 7) << 13 | (cycle % CYCLES_PER_SECOND)) as u16
}
