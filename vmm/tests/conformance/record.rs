//! What the guest left of its runs.

use std::{cell::Cell, collections::BTreeMap};

use conformance::{Job, PlanJob, Run, Site, guest::Mark};
use trace::{Event, Kind};

use crate::plans;

/// Runs by the place of their test and their number, and what went wrong outside of any.
#[derive(Default)]
pub struct Record {
    /// CPUs of the machine.
    pub cpus: usize,
    /// Why this host cannot tell.
    pub no_kvm: Option<String>,
    /// What went wrong with all of it.
    pub trouble: Option<String>,
    /// Tests that failed in the guest before or after a run, or were not reached.
    pub failures: BTreeMap<u32, String>,
    runs: BTreeMap<(u32, u32), Run>,
}

impl Record {
    /// Nothing yet, of a machine with `cpus` CPUs.
    pub fn new(cpus: usize) -> Self {
        Self { cpus, ..Self::default() }
    }

    /// Keeps a run.
    pub fn add(&mut self, test: u32, number: u32, run: Run) {
        self.runs.insert((test, number), run);
    }
}

/// The site of a test outside of the machine: its bodies have been run already.
pub struct Host<'a> {
    record: &'a Record,
    place: u32,
    next: Cell<u32>,
    made: Cell<bool>,
    left_out: Cell<bool>,
}

impl<'a> Host<'a> {
    /// The runs of the test at `place` in the table.
    pub fn new(record: &'a Record, place: u32) -> Self {
        Self { record, place, next: Cell::new(0), made: Cell::new(false), left_out: Cell::new(false) }
    }

    /// Whether all that the test runs is for another number of CPUs.
    pub fn has_nothing(&self) -> bool {
        self.left_out.get() && !self.made.get()
    }
}

impl Site for Host<'_> {
    fn run(&self, job: &Job) -> Vec<Run> {
        let number = self.next.replace(self.next.get() + 1);
        if !job.cpus.are(self.record.cpus) {
            self.left_out.set(true);
            return Vec::new();
        }
        self.made.set(true);
        let run = self.record.runs.get(&(self.place, number)).cloned();
        vec![run.unwrap_or_else(|| panic!("the guest has not come to run {number} of this test"))]
    }

    fn plan(&self, job: &PlanJob<'_>) -> Vec<Run> {
        if job.cpus != self.record.cpus {
            self.left_out.set(true);
            return Vec::new();
        }
        self.made.set(true);
        vec![plans::run(job)]
    }

    fn tries_many(&self) -> bool {
        false
    }
}

/// Sorts a boot's events by runs.
#[derive(Default)]
pub struct Sorter {
    /// The test that is under way, and its run, if it is in one.
    pub at: Option<(u32, Option<u32>)>,
    /// The guest said that it has carried out everything.
    pub done: bool,
    /// Runs that have ended.
    pub ended: Vec<(u32, u32, Vec<Event>, Vec<Event>)>,
    events: Vec<Event>,
    standing: Vec<Event>,
    living: BTreeMap<u32, Event>,
}

impl Sorter {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::TestRun => return self.mark(event),
            Kind::Done if self.at.is_none_or(|(_, run)| run.is_none()) => self.done = true,
            Kind::ThreadStart => drop(self.living.insert(event.object, *event)),
            Kind::ThreadEnd => drop(self.living.remove(&event.object)),
            _ => {}
        }
        if matches!(self.at, Some((_, Some(_)))) {
            self.events.push(*event);
        }
    }

    fn mark(&mut self, event: &Event) {
        let (test, run) = (event.object, event.other);
        if event.arg == Mark::End as u64 {
            self.end();
        } else if event.arg == Mark::Begin as u64 {
            self.at = Some((test, Some(run)));
            self.standing = self.living.values().copied().collect();
        } else {
            self.at = Some((test, None));
        }
    }

    /// The run that is under way is over: where it was.
    pub fn end(&mut self) -> Option<(u32, u32)> {
        let (test, run) = self.at?;
        let run = run?;
        let (events, standing) = (std::mem::take(&mut self.events), std::mem::take(&mut self.standing));
        self.ended.push((test, run, events, standing));
        self.at = Some((test, None));
        Some((test, run))
    }
}
