//! The tests inside of the guest image.
//!
//! `conform=WORD` on the command line makes the guest carry out the tests whose names contain the word (`all`: every one), in the order of the table,
//! instead of booting IOKit, and power off. `conform_from=TEST.RUN` begins later: a run that ends the machine, as it must or as it must not, is followed by
//! another boot behind it.
//!
//! Each run is marked in the trace at its beginning and at its end ([`trace::Kind::TestRun`]), so that the host knows whose events it reads.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::cell::Cell;

use mach::{FAIL_SAFE_MODERN, KernelRef, Policy, Preemption, band};
use trace::{Event, Kind};

use crate::{
    lab::{Job, Lab, PlanJob, Site},
    run::Run,
    table::tests,
};

/// What a guest says last that has seen that nothing will ever happen any more.
pub const NOTHING: &str = ": nothing will happen";

/// The word that means every test.
pub const EVERY: &str = "all";

/// `arg` of a [`Kind::TestRun`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Mark {
    /// A run ends.
    End = 0,
    /// A run begins.
    Begin = 1,
    /// A test begins.
    Test = 2,
}

/// Which tests a guest carries out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Part of the names; [`EVERY`] = all.
    pub word: String,
    /// The place in the table of the first test.
    pub test: u32,
    /// The number of its first run.
    pub run: u32,
}

impl Request {
    /// What `conform=` and `conform_from=` ask for. A beginning that cannot be read is the beginning of the table.
    pub fn new(word: &str, from: Option<&str>) -> Self {
        let from = from.and_then(|from| from.split_once('.'));
        let from = from.and_then(|(test, run)| Some((test.parse().ok()?, run.parse().ok()?)));
        let (test, run) = from.unwrap_or((0, 0));
        Self { word: word.to_string(), test, run }
    }

    /// The words of the command line that ask for it.
    pub fn words(&self) -> String {
        format!("conform={} conform_from={}.{}", self.word, self.test, self.run)
    }

    /// Whether a test of this name, at this place in the table, is asked for.
    pub fn wants(&self, place: u32, name: &str) -> bool {
        place >= self.test && (self.word == EVERY || name.contains(&*self.word))
    }
}

/// Carries out what was asked for on a thread of its own, a line on the console for each test, and powers off.
///
/// # Panics
/// If there is no memory for the thread.
pub fn start(kernel: &KernelRef, request: Request) {
    let tests = move |kernel: &KernelRef| {
        run(kernel, &request);
        kernel.trace(Event::new(Kind::Done));
        kernel.machine().power_off();
    };
    kernel.spawn("tests", band::KERNEL, Policy::Fixed, tests).expect("memory for a thread");
}

fn run(kernel: &KernelRef, request: &Request) {
    for (place, test) in (0..).zip(tests()) {
        if request.wants(place, test.name) {
            let first = if place == request.test { request.run } else { 0 };
            // What is printed from here on is this test's.
            kernel.kprintf(format_args!("conform: {}", test.name));
            let site = Guest { kernel, place, first, next: Cell::new(0) };
            site.mark(0, Mark::Test);
            (test.test)(&Lab::new(&site));
            kernel.kprintf(format_args!("conform: {} ok", test.name));
        }
    }
}

/// The kernel that tests run on, one after the other.
struct Guest<'a> {
    kernel: &'a KernelRef,
    place: u32,
    /// Runs before this one have been made, in another boot.
    first: u32,
    next: Cell<u32>,
}

impl Guest<'_> {
    fn mark(&self, run: u32, mark: Mark) {
        self.kernel.trace(Event::new(Kind::TestRun).object(self.place).other(run).arg(mark as u64));
    }

    /// What earlier tests have left in the kernel must not be taken for this one's.
    fn forget(&self) {
        self.kernel.forget_lock_orders();
        self.kernel.set_fail_safe(FAIL_SAFE_MODERN);
        self.kernel.set_priority_push(true);
        self.kernel.set_preemption(Preemption::default());
        self.kernel.stop_log();
    }
}

impl Site for Guest<'_> {
    fn run(&self, job: &Job) -> Vec<Run> {
        let number = self.next.replace(self.next.get() + 1);
        if number < self.first || !job.cpus.are(self.kernel.machine().cpu_count()) {
            return Vec::new();
        }
        self.forget();
        self.mark(number, Mark::Begin);
        let body = job.body.clone();
        // A thread of its own: the body may abort it, and it is dead afterwards.
        let thread = self.kernel.spawn("first", band::KERNEL, Policy::Fixed, move |kernel| body.run(kernel));
        thread.expect("memory for a thread").join(self.kernel);
        // As at the end of a machine: what is logged belongs to this run.
        self.kernel.stop_log();
        self.mark(number, Mark::End);
        Vec::new()
    }

    /// Its devices would have to be there when the machine is built: the host makes one.
    fn plan(&self, _: &PlanJob<'_>) -> Vec<Run> {
        Vec::new()
    }

    fn tries_many(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back_from_its_words() {
        let request = Request { word: "wl9".to_string(), test: 3, run: 2 };
        assert_eq!(request.words(), "conform=wl9 conform_from=3.2");
        assert_eq!(Request::new("wl9", Some("3.2")), request);
        for wrong in [None, Some(""), Some("3"), Some("3.x"), Some("-1.2"), Some("99999999999.0")] {
            assert_eq!(
                Request::new("wl9", wrong),
                Request { test: 0, run: 0, ..request.clone() },
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn a_word_chooses_by_name_and_place() {
        let request = Request::new("wl9", Some("3.2"));
        assert!(request.wants(3, "wl9_a_wakeup") && request.wants(4, "the_wl9_rule"));
        assert!(!request.wants(2, "wl9_a_wakeup") && !request.wants(3, "wl10_an_abort"));
        assert!(Request::new(EVERY, None).wants(0, "wl10_an_abort"));
    }
}
