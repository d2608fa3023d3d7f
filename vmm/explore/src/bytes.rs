//! Fuzz bytes as a chooser: what a mutation engine changes is a schedule.
//!
//! A byte says how long the machine runs on before the next decision about CPU and time, the next bytes answer what is asked then, and each
//! interrupt takes one for its latency. A zero is always the plainest answer, and so is everything behind the last byte: a shorter input is a
//! plainer schedule.

use sim::Chooser;
use sim::chooser::{Decision, Kind, POINT};

/// Bytes of a schedule; what stands behind them is not looked at.
pub const MAX_SCHEDULE_BYTES: usize = 64 << 10;
/// Longest sleep, so that the machine's own bounds are looked at.
const LONGEST: u64 = 1024 * POINT;
/// A byte's low bits say how many points pass, as a power of two; this is the highest.
const STRIDES: u8 = 15;

/// The chooser.
#[derive(Clone, Debug)]
pub struct FuzzChooser {
    bytes: Vec<u8>,
    next: usize,
    /// Machine time of the next decision about CPU and time, in nanoseconds.
    wake: u64,
    /// The decision about a CPU that comes next is one of those.
    awake: bool,
}

impl FuzzChooser {
    /// Answers from `bytes`, at most [`MAX_SCHEDULE_BYTES`] of them.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        bytes.truncate(MAX_SCHEDULE_BYTES);
        Self { bytes, next: 0, wake: 0, awake: false }
    }

    /// The next byte; 0 behind the last.
    fn take(&mut self) -> u8 {
        let byte = self.bytes.get(self.next).copied().unwrap_or(0);
        self.next = self.next.saturating_add(1);
        byte
    }
}

impl Chooser for FuzzChooser {
    fn pause(&mut self, now: u64) -> u64 {
        if self.next >= self.bytes.len() {
            return LONGEST;
        }
        if now >= self.wake {
            let points = 1_u64 << (self.take() & STRIDES);
            self.wake = now.saturating_add(points * POINT);
            self.awake = true;
        }
        self.wake.saturating_sub(now).min(LONGEST)
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        let n = decision.alternatives;
        let asleep = decision.now < self.wake;
        match decision.kind {
            // Before the pause is asked for: the machine may lose time.
            Kind::Elapse if asleep => 0,
            Kind::Elapse => match self.take() & 0x0f {
                byte @ 1..=2 => byte.into(),
                _ => 0,
            },
            // A CPU that can run on does, unless it is time for a decision.
            Kind::Cpu if decision.cpus >> (decision.cpu & 7) & 1 != 0 => {
                match std::mem::take(&mut self.awake) {
                    true => u32::from(self.take()) % n,
                    false => 0,
                }
            }
            Kind::Cpu | Kind::Vector => u32::from(self.take()) % n,
            // Half of the interrupts come at once.
            Kind::Latency => match self.take() {
                byte if byte & 1 == 0 => 0,
                byte => 1 + u32::from(byte >> 1) % (n - 1),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(now: u64, kind: Kind, cpus: u8) -> Decision {
        Decision { now, kind, alternatives: if kind == Kind::Cpu { 2 } else { 8 }, cpus, cpu: 0 }
    }

    #[test]
    fn no_bytes_and_zeroes_are_the_plainest_schedule() {
        for bytes in [Vec::new(), vec![0; 64]] {
            let mut chooser = FuzzChooser::new(bytes);
            for step in 0..200 {
                for kind in [Kind::Elapse, Kind::Latency, Kind::Vector, Kind::Cpu] {
                    assert_eq!(chooser.choose(decision(step * POINT, kind, 3)), 0);
                }
                assert!((POINT..=LONGEST).contains(&chooser.pause(step * POINT)));
            }
        }
    }

    #[test]
    fn bytes_answer_in_order_and_sleep_in_between() {
        // Lose no time; sleep 2048 points; change the CPU; later an interrupt that comes late.
        let mut chooser = FuzzChooser::new(vec![0, 11, 1, 7]);
        assert_eq!(chooser.choose(decision(0, Kind::Elapse, 1)), 0);
        assert_eq!(chooser.pause(0), LONGEST);
        assert_eq!(chooser.choose(decision(0, Kind::Cpu, 3)), 1);
        // The middle of the sleep costs no byte.
        assert_eq!(chooser.choose(decision(LONGEST, Kind::Elapse, 1)), 0);
        assert_eq!(chooser.pause(LONGEST), LONGEST);
        assert_eq!(chooser.choose(decision(LONGEST, Kind::Cpu, 3)), 0);
        assert_eq!(chooser.choose(decision(LONGEST, Kind::Latency, 1)), 4);
    }
}
