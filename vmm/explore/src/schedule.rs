//! Schedules: what a chooser answers, as a value.

use crate::list::ListChooser;
use crate::pct::Pct;
use sim::Chooser;
use sim::chooser::{Decision, Kind, Plain, Seeded};

/// An answer other than the first to a decision of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deviation {
    /// The decision. Its time and its kind make it the one that is meant.
    pub decision: Decision,
    /// The alternative that was taken; at least 1.
    pub answer: u32,
}

impl Deviation {
    /// True if this is the decision that the deviation is about.
    pub fn is_about(&self, decision: Decision) -> bool {
        self.decision == decision
    }
}

/// Everything that a plan leaves open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// Nothing unexpected happens ([`Plain`]).
    Plain,
    /// Pseudo-random, with the habits of a seed ([`Seeded`]).
    Seed(u64),
    /// Ranked CPUs with `depth` changes of mind within `horizon` ns of machine time ([`Pct`]).
    Pct {
        /// Seed of ranks and changes.
        seed: u64,
        /// Changes of mind.
        depth: u32,
        /// Machine time in which they fall, ns.
        horizon: u64,
    },
    /// First answers, but for these: a CPU runs until it halts or spins, interrupts come at once.
    List(Vec<Deviation>),
}

impl Schedule {
    /// A chooser that answers so.
    pub fn chooser(&self) -> Box<dyn Chooser> {
        match self {
            Self::Plain => Box::new(Plain),
            Self::Seed(seed) => Box::new(Seeded::new(*seed)),
            Self::Pct { seed, depth, horizon } => Box::new(Pct::new(*seed, *depth, *horizon)),
            Self::List(deviations) => Box::new(ListChooser::new(deviations.clone())),
        }
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Plain => "plain".to_owned(),
            Self::Seed(seed) => format!("seed {seed}"),
            Self::Pct { seed, depth, horizon } => format!("pct seed={seed} depth={depth} horizon={horizon}"),
            Self::List(deviations) => {
                let preemptions = deviations.iter().filter(|d| d.decision.kind == Kind::Cpu).count();
                format!("{} deviations, {preemptions} of them preemptions", deviations.len())
            }
        }
    }
}

/// Words of the kinds of decision, as capsules have them.
pub const KINDS: [(Kind, &str); 4] =
    [(Kind::Cpu, "cpu"), (Kind::Latency, "latency"), (Kind::Vector, "vector"), (Kind::Elapse, "elapse")];

/// The word of a kind of decision.
pub fn word(kind: Kind) -> &'static str {
    KINDS.iter().find(|(k, _)| *k == kind).map_or("?", |(_, word)| word)
}
