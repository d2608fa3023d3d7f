//! Schedules: what a chooser answers, as a value.

use crate::bytes::FuzzChooser;
use crate::list::ListChooser;
use crate::pct::Pct;
use crate::pos::Pos;
use sim::Chooser;
use sim::chooser::{Decision, Kind, Plain, Seeded};

/// An answer other than the first to a decision of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deviation {
    /// The decision.
    pub decision: Decision,
    /// How many decisions that look the same came before it at the same time.
    pub skip: u32,
    /// The alternative that was taken; at least 1.
    pub answer: u32,
}

/// Counts decisions that look the same and come at the same time.
#[derive(Clone, Debug, Default)]
pub struct Twins(Vec<Decision>);

impl Twins {
    /// How many like `decision` came before it at its time.
    pub fn count(&mut self, decision: Decision) -> u32 {
        if self.0.first().is_some_and(|first| first.now != decision.now) {
            self.0.clear();
        }
        let before = self.0.iter().filter(|other| **other == decision).count();
        self.0.push(decision);
        before as u32
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
    /// Steps between blocking locks, in the order of random ranks ([`Pos`]).
    Pos {
        /// Seed of the ranks.
        seed: u64,
    },
    /// First answers, but for some: a CPU runs until it halts or spins, interrupts come at once.
    List {
        /// The answers other than the first, in order of time.
        deviations: Vec<Deviation>,
        /// Seed of the plan's own dice (`p=`, `corrupt`); the other schedules have it from their seed.
        dice: u64,
    },
    /// What a fuzzer's bytes answer ([`FuzzChooser`]).
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Seed of the plan's own dice.
        dice: u64,
    },
}

impl Schedule {
    /// A chooser that answers so.
    pub fn chooser(&self) -> Box<dyn Chooser> {
        match self {
            Self::Plain => Box::new(Plain),
            Self::Seed(seed) => Box::new(Seeded::new(*seed)),
            Self::Pct { seed, depth, horizon } => Box::new(Pct::new(*seed, *depth, *horizon)),
            Self::Pos { seed } => Box::new(Pos::new(*seed)),
            Self::List { deviations, .. } => Box::new(ListChooser::new(deviations.clone())),
            Self::Bytes { bytes, .. } => Box::new(FuzzChooser::new(bytes.clone())),
        }
    }

    /// No deviations; the plan's dice have the seed `dice`.
    pub const fn none(dice: u64) -> Self {
        Self::List { deviations: Vec::new(), dice }
    }

    /// Seed of the plan's own dice.
    pub const fn dice(&self) -> u64 {
        match self {
            Self::Plain => 0,
            Self::Seed(seed) | Self::Pct { seed, .. } | Self::Pos { seed } => *seed,
            Self::List { dice, .. } | Self::Bytes { dice, .. } => *dice,
        }
    }

    /// One line for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Plain => "plain".to_owned(),
            Self::Seed(seed) => format!("seed {seed}"),
            Self::Pct { seed, depth, horizon } => format!("pct seed={seed} depth={depth} horizon={horizon}"),
            Self::Pos { seed } => format!("pos seed={seed}"),
            Self::List { deviations, .. } => {
                let preemptions = deviations.iter().filter(|d| d.decision.kind == Kind::Cpu).count();
                format!("{} deviations, {preemptions} of them preemptions", deviations.len())
            }
            Self::Bytes { bytes, .. } => format!("{} bytes of a fuzzer", bytes.len()),
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
