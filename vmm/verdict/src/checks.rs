//! Which rules were looked at, and how often: a run in which nothing broke says something only about these.

use crate::finding::Rule;
use serde::Serialize;
use trace::{Event, Kind};

/// Kinds of event that are counted: all that there are numbers for.
const KINDS: usize = 256;

/// What makes a rule be looked at, as far as the trace tells.
enum By {
    /// Each event of these kinds.
    Events(&'static [Kind]),
    /// The end of a run.
    End,
    /// Each DMA access of a card, which the trace does not have.
    Dma,
}

use By::{Dma, End, Events};
use Kind as K;

/// Calls of the life cycle.
const LIFE: &[Kind] = &[
    K::Attach,
    K::Detach,
    K::Probe,
    K::Start,
    K::Started,
    K::Register,
    K::Stop,
    K::Open,
    K::Close,
    K::Inactive,
    K::RequestTerminate,
    K::WillTerminate,
    K::DidTerminate,
    K::Message,
    K::Finalize,
];
/// What comes back to a client.
const BACK: &[Kind] = &[K::IoDone, K::IoOffline, K::IoError, K::IoCorrupt];

/// Every rule: those of the host's oracles, then those that the guest checks itself.
const CHECKS: &[(&str, By)] = &[
    (Rule::IoLost.name(), End),
    (Rule::IoTwice.name(), Events(BACK)),
    (Rule::IoCorrupt.name(), Events(&[K::IoDone, K::IoCorrupt])),
    (Rule::IoError.name(), Events(BACK)),
    (Rule::IoLate.name(), Events(BACK)),
    (Rule::TerminateOrder.name(), Events(&[K::DidTerminate])),
    (Rule::StopOrder.name(), Events(&[K::Stop])),
    (Rule::CalledTwice.name(), Events(&[K::Stop, K::Finalize])),
    (Rule::StopWithoutStart.name(), Events(&[K::Stop, K::WillTerminate])),
    (Rule::WillMissing.name(), Events(&[K::Stop])),
    (Rule::UseAfterFree.name(), Events(LIFE)),
    (Rule::TouchAfterRemoval.name(), Events(&[K::Gone])),
    (Rule::Overstay.name(), Events(&[K::ActionEnd, K::TimerFire, K::Filter, K::GateOpen])),
    (Rule::Inversion.name(), Events(&[K::GateWait, K::Inversion])),
    (Rule::GateAtInterrupt.name(), Events(&[K::GateClose])),
    (Rule::NeverQuiet.name(), Events(&[K::Terminate])),
    (Rule::Leak.name(), Events(&[K::ClassCount])),
    (Rule::Panic.name(), End),
    (Rule::Hang.name(), End),
    (Rule::BadEnd.name(), End),
    (Rule::Flood.name(), Events(LIFE)),
    ("WL1", Events(&[K::GateClose])),
    ("WL14", Events(&[K::GateOpen, K::CommandSleep])),
    ("gate-recursion", Events(&[K::GateClose])),
    ("CG6", Events(&[K::CommandSleep])),
    ("sleep-mode", Events(&[K::CommandSleep])),
    ("T7", Events(&[K::TimerFire])),
    ("IE4", Events(&[K::SourceRemoved])),
    ("action of a dead owner", Events(&[K::ActionStart])),
    ("filter of a dead owner", Events(&[K::Filter])),
    ("unregistered-twice", Events(&[K::SourceRemoved])),
    ("close-before-return", Events(&[K::Close])),
    ("endpoint-after-removal", Events(&[K::Gone])),
    ("endpoint-halted", Events(&[K::Fault])),
    ("stale-generation", Events(&[K::Fault])),
    ("published-elsewhere", Events(&[K::Attach])),
    ("completed-twice", Events(BACK)),
    ("deadlock", Events(&[K::GateWait])),
    ("lock-order", Events(&[K::GateClose])),
    ("arbitration deadlock", Events(&[K::Open, K::Close, K::Inactive])),
    ("terminate of itself (e)", Events(&[K::Terminate])),
    ("O1", Events(&[K::Free])),
    ("R4", Events(&[K::Register])),
    ("dma-outside-buffer", Dma),
];

/// A rule and how often it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The rule's name.
    pub rule: &'static str,
    /// Occasions at which it could have been found broken.
    pub times: u64,
}

/// What was looked at in one run, or in many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    kinds: Box<[u64; KINDS]>,
    ends: u64,
    dma: u64,
}

impl Default for Checks {
    fn default() -> Self {
        Self { kinds: Box::new([0; KINDS]), ends: 0, dma: 0 }
    }
}

impl Checks {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        if let Some(count) = self.kinds.get_mut(event.kind as usize) {
            *count += 1;
        }
    }

    /// A run has ended, and was judged.
    pub fn end(&mut self) {
        self.ends += 1;
    }

    /// Cards accessed memory `times` times, and each access was compared with what they may.
    pub fn dma(&mut self, times: u64) {
        self.dma += times;
    }

    /// Adds what was looked at elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.kinds.iter_mut().zip(other.kinds.iter()).for_each(|(own, other)| *own += other);
        self.ends += other.ends;
        self.dma += other.dma;
    }

    /// Events of `kind`.
    pub fn count(&self, kind: Kind) -> u64 {
        self.kinds.get(kind as usize).copied().unwrap_or(0)
    }

    /// Every rule.
    pub fn rules(&self) -> impl Iterator<Item = Checked> + '_ {
        CHECKS.iter().map(|(rule, by)| {
            let times = match by {
                Events(kinds) => kinds.iter().map(|kind| self.count(*kind)).sum(),
                End => self.ends,
                Dma => self.dma,
            };
            Checked { rule, times }
        })
    }
}

impl Serialize for Checks {
    /// As a list of rules.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rules())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_of_the_oracles_is_counted_once() {
        let names: Vec<&str> = CHECKS.iter().map(|(rule, _)| *rule).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), unique.len());
        for rule in Rule::ALL {
            assert!(unique.contains(rule.name()), "{}", rule.name());
        }
    }

    #[test]
    fn counts_add_up() {
        let (mut one, mut other) = (Checks::default(), Checks::default());
        one.event(&Event::new(Kind::GateClose));
        one.end();
        other.event(&Event::new(Kind::GateClose));
        other.dma(3);
        one.merge(&other);
        let times =
            |rule: &str| one.rules().find(|checked| checked.rule == rule).map(|checked| checked.times);
        assert_eq!(
            ["gate-at-interrupt", "panic", "dma-outside-buffer", "T7", "nosuch"].map(times),
            [Some(2), Some(1), Some(3), Some(0), None]
        );
    }
}
