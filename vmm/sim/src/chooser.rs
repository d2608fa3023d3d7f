//! Choosers: what happens next, where the machine leaves it open.

use crate::rng::Rng;

/// What a [`Decision`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Which virtual CPU runs on. Alternative 0 = the one that runs now (if it can), then ascending.
    Cpu,
    /// How late an interrupt is taken. Alternative 0 = at once, each further one later than the one before.
    Latency,
    /// Which of several pending vectors a CPU takes. Alternative 0 = the highest, as a local APIC would; then descending.
    Vector,
    /// Whether the CPU loses time here. 0 = no, 1 = some of the way to the next deadline, 2 = up to it.
    Elapse,
}

/// A place where the machine may go on in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Machine time, in nanoseconds.
    pub now: u64,
    /// What is to be decided.
    pub kind: Kind,
    /// Number of ways to go on; at least 2.
    pub alternatives: u32,
    /// The CPUs that it is about, bit n = CPU n: those that can run ([`Kind::Cpu`]), else the one concerned.
    pub cpus: u8,
    /// The CPU that runs now.
    pub cpu: u8,
}

/// Decides. The machine does the same things again when its chooser answers the same again.
///
/// Answering 0 to a decision about CPU and time changes nothing. So a list of the answers other than 0, each with the machine time of its
/// decision, is a whole schedule: a chooser that has one sleeps from each to the next.
pub trait Chooser {
    /// It is machine time `now`, in nanoseconds: how long until the next decision about CPU and time, in nanoseconds (0 counts as
    /// [`POINT`]). Other decisions may come before.
    fn pause(&mut self, now: u64) -> u64;
    /// Which alternative to take, counted from 0. Too large an answer means the last one.
    fn choose(&mut self, decision: Decision) -> u32;
    /// Whether decisions about CPU and time also come wherever kernel code is about to take a blocking lock or a gate,
    /// beside those that [`Chooser::pause`] asks for: between two such places a thread that keeps to its locks does nothing that another could
    /// see. Asked once, before the machine begins.
    fn at_locks(&self) -> bool {
        false
    }
}

/// Machine time that a point costs, in nanoseconds: the shortest distance between two decisions about CPU and time.
pub const POINT: u64 = crate::cost::POINT;

/// Never does anything unexpected: runs on, delivers at once. CPUs still take turns, every 64 points.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Chooser for Plain {
    fn pause(&mut self, _now: u64) -> u64 {
        64 * POINT
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        u32::from(decision.kind == Kind::Cpu)
    }
}

/// Decides by a pseudo-random sequence, with habits that differ from seed to seed (swarm testing): some seeds switch CPUs at
/// every other point, some hardly ever; some deliver interrupts late, some at once.
#[derive(Clone, Debug)]
pub struct Seeded {
    rng: Rng,
    /// Mean number of points between decisions is half of this.
    stride: u32,
    /// Of 256 interrupts, so many are late.
    late: u32,
    /// Of 256 deliveries with a choice, so many are out of order.
    reorder: u32,
    /// Of 4096 decisions, so many let time pass.
    elapse: u32,
    /// Of 256 decisions, so many stay on the CPU.
    stay: u32,
}

impl Seeded {
    /// The chooser of `seed`. The sequence is part of the product: a seed means the same in every release that keeps its traces.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let stride = [4, 16, 32, 64, 128, 512][rng.below(6) as usize];
        let late = [0, 8, 64, 160][rng.below(4) as usize];
        let reorder = [0, 32, 128][rng.below(3) as usize];
        let elapse = [0, 4, 32, 128][rng.below(4) as usize];
        let stay = [0, 64, 160][rng.below(3) as usize];
        Self { rng, stride, late, reorder, elapse, stay }
    }

    /// Alternative 0, or with a probability of `odds` of `scale` one of the others.
    fn mostly_first(&mut self, odds: u32, scale: u32, alternatives: u32) -> u32 {
        if self.rng.below(scale) < odds { 1 + self.rng.below(alternatives - 1) } else { 0 }
    }
}

impl Chooser for Seeded {
    fn pause(&mut self, _now: u64) -> u64 {
        (1 + u64::from(self.rng.below(self.stride))) * POINT
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        let n = decision.alternatives;
        match decision.kind {
            Kind::Cpu => self.mostly_first(256 - self.stay, 256, n),
            Kind::Latency => self.mostly_first(self.late, 256, n),
            Kind::Vector => self.mostly_first(self.reorder, 256, n),
            Kind::Elapse => self.mostly_first(self.elapse, 4096, n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_alternatives() {
        for seed in 0..64 {
            let mut chooser = Seeded::new(seed);
            for alternatives in 2..9 {
                for kind in [Kind::Cpu, Kind::Latency, Kind::Vector, Kind::Elapse] {
                    for _ in 0..50 {
                        let decision = Decision { now: 0, kind, alternatives, cpus: 3, cpu: 0 };
                        assert!(chooser.choose(decision) < alternatives);
                        assert!(chooser.pause(0) >= POINT);
                    }
                }
            }
        }
    }
}
