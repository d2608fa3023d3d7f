//! Scheduling policies: how a thread's priority moves, how long it may run, and where it queues.
//!
//! A policy is a few answers ([`Rules`]) and nothing else: it sees no queue, no CPU, no lock and no other thread, and moves nobody. The
//! scheduler asks when something has changed, and moves the thread between run queues; the dispatcher does not know that there are policies. To add
//! one: a file beside these with its [`Rules`], a variant of [`Policy`], an arm in `Policy::ask`.

mod fixed;
mod real_time;
mod round_robin;
mod timeshare;

pub use timeshare::{Load, TICK, Usage};

use crate::run_queue::NO_KEY;

/// Quantum in ns (S3).
pub const QUANTUM: u64 = 10_000_000;

/// How a thread is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Its priority does not move.
    Fixed,
    /// Its priority sinks with its use of the processor while threads compete for it (S4).
    Timeshare,
    /// Real time: absolute deadline in ns, earliest first within a level (S5).
    RealTime {
        /// Machine time by which the thread wants to be done.
        deadline: u64,
    },
    /// For teaching: strict turns. Its priority does not move, and whoever is interrupted in its turn has lost the rest of it.
    RoundRobin {
        /// Length of a turn in ns; at least 100 µs, or the kernel would do nothing but change turns.
        quantum: u64,
    },
}

/// What a policy may know about a thread.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Priority that was asked for.
    pub base: u8,
    /// Processor time that counts against it, aged to now.
    pub usage: u64,
    /// How many compete for how many processors.
    pub load: Load,
}

/// What a policy decides.
pub trait Rules {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// The thread's own priority, 0–127, before what others push (S7).
    fn priority(&self, facts: &Facts) -> u8 {
        facts.base
    }

    /// Length of a fresh quantum in ns (S3).
    fn quantum(&self) -> u64 {
        QUANTUM
    }

    /// The key that orders threads within a level, the lowest first.
    fn key(&self) -> u64 {
        NO_KEY
    }

    /// Whether a thread that is preempted goes back to the head of its queue with the rest of its quantum (S3).
    fn keeps_its_turn(&self) -> bool {
        true
    }

    /// Whether use of the processor moves the priority.
    fn counts_usage(&self) -> bool {
        false
    }
}

impl Policy {
    /// Asks the policy's rules.
    #[inline]
    pub(crate) fn ask<R>(self, question: impl FnOnce(&dyn Rules) -> R) -> R {
        match self {
            Self::Fixed => question(&fixed::Fixed),
            Self::Timeshare => question(&timeshare::Timeshare),
            Self::RealTime { deadline } => question(&real_time::RealTime { deadline }),
            Self::RoundRobin { quantum } => question(&round_robin::RoundRobin { quantum }),
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        self.ask(|rules| rules.name())
    }
}
