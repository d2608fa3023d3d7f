//! Choosers that record a list of deviations, and that follow one.

use crate::schedule::{Deviation, Twins};
use sim::Chooser;
use sim::chooser::{Decision, Kind, POINT};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Deviations kept of one run: a run of a second of machine time has fewer than a tenth.
pub const MAX_DEVIATIONS: usize = 4_000_000;
/// Longest sleep, so that the machine's own bounds are looked at.
const LONGEST: u64 = 1024 * POINT;

/// What a [`Recording`] has seen.
#[derive(Clone, Debug, Default)]
pub struct Record(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    deviations: Vec<Deviation>,
    decisions: Option<Vec<(Decision, u32)>>,
    overflow: bool,
    twins: Twins,
}

impl Record {
    /// A record that keeps every decision about CPU and time, too, whatever was answered.
    pub fn with_decisions() -> Self {
        let record = Self::default();
        record.0.borrow_mut().decisions = Some(Vec::new());
        record
    }

    /// The deviations, in order; `None` if there were too many to keep.
    pub fn deviations(&self) -> Option<Vec<Deviation>> {
        let mut inner = self.0.borrow_mut();
        (!inner.overflow).then(|| std::mem::take(&mut inner.deviations))
    }

    /// Every decision, if they were kept, each with the number of those like it that came before it at its time.
    pub fn decisions(&self) -> Vec<(Decision, u32)> {
        self.0.borrow_mut().decisions.take().unwrap_or_default()
    }

    fn note(&self, decision: Decision, answer: u32) {
        let mut inner = self.0.borrow_mut();
        let room = |kept: usize| kept < MAX_DEVIATIONS;
        let skip = inner.twins.count(decision);
        if let Some(decisions) = &mut inner.decisions
            && room(decisions.len())
        {
            decisions.push((decision, skip));
        }
        if answer == 0 {
            return;
        }
        if room(inner.deviations.len()) {
            inner.deviations.push(Deviation { decision, skip, answer });
        } else {
            inner.overflow = true;
        }
    }
}

/// Answers as another chooser does, and writes it down.
pub struct Recording {
    inner: Box<dyn Chooser>,
    record: Record,
}

impl Recording {
    /// Around `inner`.
    pub fn new(inner: Box<dyn Chooser>, record: Record) -> Self {
        Self { inner, record }
    }
}

impl Chooser for Recording {
    fn pause(&mut self, now: u64) -> u64 {
        self.inner.pause(now)
    }

    fn at_locks(&self) -> bool {
        self.inner.at_locks()
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        // What is written is what the machine does with the answer.
        let answer = self.inner.choose(decision).min(decision.alternatives - 1);
        self.record.note(decision, answer);
        answer
    }
}

/// How long after its time a deviation may still happen, in nanoseconds of machine time.
const LATE: u64 = 5_000;

/// Follows a list: first answers, but for the decisions in it.
///
/// In the run that the list was recorded from, each comes exactly then. In another one (a shrinker has taken deviations before it away) things
/// shift a little: a deviation whose decision did not come at its time goes to the next of its kind on its CPU, if there is one soon.
pub struct ListChooser {
    list: VecDeque<Deviation>,
    twins: Twins,
}

impl ListChooser {
    /// `list` is in order of time.
    pub fn new(list: Vec<Deviation>) -> Self {
        Self { list: list.into(), twins: Twins::default() }
    }

    fn forget(&mut self, now: u64) {
        while self.list.front().is_some_and(|deviation| deviation.decision.now.saturating_add(LATE) < now) {
            self.list.pop_front();
        }
    }
}

impl Chooser for ListChooser {
    fn pause(&mut self, now: u64) -> u64 {
        self.forget(now);
        let asked = |d: &&Deviation| matches!(d.decision.kind, Kind::Cpu | Kind::Elapse);
        let next = self.list.iter().find(asked);
        next.map_or(LONGEST, |deviation| deviation.decision.now.saturating_sub(now).min(LONGEST))
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        let now = decision.now;
        self.forget(now);
        let skip = self.twins.count(decision);
        let due = self.list.iter().take_while(|deviation| deviation.decision.now <= now);
        let meant = |deviation: &Deviation| match deviation.decision.now == now {
            true => deviation.decision == decision && deviation.skip == skip,
            false => deviation.decision.kind == decision.kind && deviation.decision.cpu == decision.cpu,
        };
        let found = due.enumerate().find(|(_, deviation)| meant(deviation)).map(|(index, _)| index);
        found.and_then(|index| self.list.remove(index)).map_or(0, |deviation| deviation.answer)
    }
}

/// Asked at every point, and never does anything unexpected: for a record of all decisions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fine;

impl Chooser for Fine {
    fn pause(&mut self, _now: u64) -> u64 {
        POINT
    }

    fn choose(&mut self, _decision: Decision) -> u32 {
        0
    }
}
