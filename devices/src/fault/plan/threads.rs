//! Threads of the plan itself: what a plan about scheduling is made of.

use super::ast::{Marks, Nanos, Span};
use super::units::TIME;
use std::fmt::{self, Display, Formatter};

/// `thread NAME priority=N [policy=POLICY] [run=TIME|always] every=TIME [start=TIME] [gate=DEVICE]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSpec {
    /// What the plan calls it.
    pub name: String,
    /// Base priority, 0–127.
    pub priority: u32,
    /// How it is scheduled.
    pub policy: Policy,
    /// CPU time of one turn; `None` = it never lets go.
    pub run: Option<Nanos>,
    /// From one turn to the next.
    pub every: Nanos,
    /// The first turn.
    pub start: Nanos,
    /// It computes in the gate of this device's driver.
    pub gate: Option<String>,
    /// Where the statement stands.
    pub span: Span,
    /// Where its words stand.
    pub marks: Marks,
}

/// `policy=`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Its priority does not move.
    #[default]
    Fixed,
    /// Its priority sinks with use.
    Timeshare,
    /// Each turn has a deadline: when the next one is due.
    RealTime,
    /// Strict turns.
    RoundRobin,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Fixed, Self::Timeshare, Self::RealTime, Self::RoundRobin];

    /// The word of `policy=`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Timeshare => "timeshare",
            Self::RealTime => "real-time",
            Self::RoundRobin => "round-robin",
        }
    }
}

impl ThreadSpec {
    /// Where the word with this role stands: `name`, `gate` … The whole statement if the role is unknown.
    pub fn span_of(&self, role: &str) -> Span {
        self.marks.0.get(role).copied().unwrap_or(self.span)
    }

    /// The word for the guest's command line; `slot` is its gate's.
    pub(super) fn guest_word(&self, number: usize, slot: Option<u32>) -> String {
        let Self { name, priority, every, start, .. } = self;
        let policy = self.policy.word();
        let mut word = format!(
            "thread.{number}=name:{name},priority:{priority},policy:{policy},every:{every},start:{start}"
        );
        if let Some(run) = self.run {
            word.push_str(&format!(",run:{run}"));
        }
        if let Some(slot) = slot {
            word.push_str(&format!(",gate:{slot}"));
        }
        word
    }
}

impl Display for ThreadSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} priority={}", self.name, self.priority)?;
        if self.policy != Policy::default() {
            write!(f, " policy={}", self.policy.word())?;
        }
        match self.run {
            Some(run) => write!(f, " run={}", TIME.show(run))?,
            None => f.write_str(" run=always")?,
        }
        write!(f, " every={}", TIME.show(self.every))?;
        if self.start != 0 {
            write!(f, " start={}", TIME.show(self.start))?;
        }
        match &self.gate {
            Some(gate) => write!(f, " gate={gate}"),
            None => Ok(()),
        }
    }
}
