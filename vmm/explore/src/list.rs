//! Choosers that record a list of deviations, and that follow one.

use crate::schedule::Deviation;
use sim::Chooser;
use sim::chooser::{Decision, Kind, POINT};
use std::cell::RefCell;
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
    decisions: Option<Vec<Decision>>,
    overflow: bool,
}

impl Record {
    /// A record that keeps every decision about CPU and time, too, whatever was answered.
    pub fn with_decisions() -> Self {
        let record = Self::default();
        record.0.borrow_mut().decisions = Some(Vec::new());
        record
    }

    /// The deviations, in order; `None` if there were more than [`MAX_DEVIATIONS`].
    pub fn deviations(&self) -> Option<Vec<Deviation>> {
        let mut inner = self.0.borrow_mut();
        (!inner.overflow).then(|| std::mem::take(&mut inner.deviations))
    }

    /// Every decision, if they were kept.
    pub fn decisions(&self) -> Vec<Decision> {
        self.0.borrow_mut().decisions.take().unwrap_or_default()
    }

    fn note(&self, decision: Decision, answer: u32) {
        let mut inner = self.0.borrow_mut();
        let room = |kept: usize| kept < MAX_DEVIATIONS;
        if let Some(decisions) = &mut inner.decisions
            && room(decisions.len())
        {
            decisions.push(decision);
        }
        if answer == 0 {
            return;
        }
        if room(inner.deviations.len()) {
            inner.deviations.push(Deviation { decision, answer });
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

    fn choose(&mut self, decision: Decision) -> u32 {
        // What is written is what the machine does with the answer.
        let answer = self.inner.choose(decision).min(decision.alternatives - 1);
        self.record.note(decision, answer);
        answer
    }
}

/// Follows a list: first answers, but for the decisions in it.
pub struct ListChooser {
    list: Vec<Deviation>,
    next: usize,
}

impl ListChooser {
    /// `list` is in order of time.
    pub fn new(list: Vec<Deviation>) -> Self {
        Self { list, next: 0 }
    }

    /// Forgets what the run has passed: in another run than the recorded one some decisions never come.
    fn skip(&mut self, now: u64) {
        while self.list.get(self.next).is_some_and(|deviation| deviation.decision.now < now) {
            self.next += 1;
        }
    }
}

impl Chooser for ListChooser {
    fn pause(&mut self, now: u64) -> u64 {
        self.skip(now);
        let asked = |d: &&Deviation| matches!(d.decision.kind, Kind::Cpu | Kind::Elapse) && d.decision.now > now;
        let next = self.list[self.next..].iter().find(asked);
        next.map_or(LONGEST, |deviation| (deviation.decision.now - now).min(LONGEST))
    }

    fn choose(&mut self, decision: Decision) -> u32 {
        self.skip(decision.now);
        let same_time = |d: &&Deviation| d.decision.now == decision.now;
        let found = self.list[self.next..].iter().take_while(same_time).position(|d| d.is_about(decision));
        match found {
            Some(offset) => {
                self.next += offset + 1;
                self.list[self.next - 1].answer
            }
            None => 0,
        }
    }
}
