//! What a test asks of its machine.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};

use iokit::{BootArgs, IoKit};
use mach::KernelRef;
use trace::Kind;

use crate::{
    run::{Ended, Run},
    world::SETTLE,
};

/// Kernel code that a test runs on the first thread.
#[derive(Clone)]
pub enum Body {
    /// With IOKit started on these words of the kernel command line.
    Kit(String, Arc<dyn Fn(&IoKit) + Send + Sync>),
    /// On the kernel alone.
    Kernel(Arc<dyn Fn(&KernelRef) + Send + Sync>),
}

impl Body {
    /// Runs it on the calling thread.
    pub fn run(&self, kernel: &KernelRef) {
        match self {
            Self::Kernel(body) => body(kernel),
            Self::Kit(args, body) => {
                let kit = iokit::start(kernel, &BootArgs::parse(args));
                body(&kit);
                // What other threads still have in hand when the body is content: the worker's list of what to free last.
                kernel.delay(SETTLE);
                kit.shutdown();
            }
        }
    }
}

/// CPUs that a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpus {
    /// Any number.
    Any,
    /// This many. A guest that has another number leaves the run out.
    Exactly(usize),
}

impl Cpus {
    /// Machines with more CPUs are for what asks for them.
    const ANY: usize = 2;

    /// Whether a guest with `cpus` CPUs runs it.
    pub fn are(self, cpus: usize) -> bool {
        match self {
            Self::Any => cpus <= Self::ANY,
            Self::Exactly(wanted) => cpus == wanted,
        }
    }
}

/// A run that a test wants.
#[derive(Clone)]
pub struct Job {
    /// CPUs of the machine.
    pub cpus: Cpus,
    /// Schedules that are enough, where there is a choice; `None` = as many as the machine tries for a rule.
    pub schedules: Option<u64>,
    /// Schedules that are enough even where a rule is tried under more: the body computes for long, and others hold the same rule.
    pub at_most: Option<u64>,
    /// Whether no thread and no reference to the kernel may be left when the machine is off.
    pub clean: bool,
    /// Whether nothing comes of the body: the machine must be given up.
    pub hangs: bool,
    /// What runs.
    pub body: Body,
}

/// A run of a whole plan that a test wants: with devices, drivers and a workload, as `workgate run` has it.
#[derive(Clone, Copy, Debug)]
pub struct PlanJob<'a> {
    /// CPUs of the machine.
    pub cpus: usize,
    /// The plan, without the `machine` statement.
    pub text: &'a str,
    /// The events that the test wants to look at.
    pub kinds: &'a [Kind],
}

/// A machine, as tests see it.
pub trait Site {
    /// Runs the job's body; the runs that can be looked at.
    fn run(&self, job: &Job) -> Vec<Run>;

    /// Runs a plan and judges it; the runs that can be looked at.
    fn plan(&self, job: &PlanJob<'_>) -> Vec<Run>;

    /// Whether a body is tried under so many schedules that what is possible can be expected to happen in one of them.
    fn tries_many(&self) -> bool;
}

/// Where a test is carried out.
pub struct Lab<'a> {
    site: &'a dyn Site,
}

impl<'a> Lab<'a> {
    /// The lab at `site`.
    pub fn new(site: &'a dyn Site) -> Self {
        Self { site }
    }

    fn job(&self, args: &str, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Job {
        let body = Body::Kit(args.to_owned(), Arc::new(body));
        Job { cpus: Cpus::Any, schedules: None, at_most: None, clean: false, hangs: false, body }
    }

    /// Runs `body`, which must end in order, leave nothing behind and break no rule.
    pub fn everywhere(&self, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        self.everywhere_in("", body)
    }

    /// The same with a kernel command line.
    pub fn everywhere_in(&self, args: &str, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        let runs = self.site.run(&Job { clean: true, ..self.job(args, body) });
        violate_nothing(&runs);
        runs
    }

    /// Runs `body` on one CPU, where it must end in order and break no rule.
    pub fn on_one_cpu(&self, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        let runs = self.site.run(&Job { cpus: Cpus::Exactly(1), ..self.job("", body) });
        violate_nothing(&runs);
        runs
    }

    /// Runs `body`, which must end in order and break exactly `rules`, in this order.
    pub fn violating(&self, rules: &[&str], body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        let runs = self.each("", body);
        for run in &runs {
            run.assert_done();
            assert_eq!(run.violations(), rules, "{}", run.name());
        }
        runs
    }

    /// Runs `body`, which must make the kernel panic; the message has all of `words`.
    pub fn panicking(&self, words: &[&str], body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        let runs = self.each("", body);
        runs.iter().for_each(|run| run.assert_panicked(words));
        runs
    }

    /// Runs `body`, after which nothing ever happens.
    pub fn hanging(&self, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        let runs = self.site.run(&Job { hangs: true, ..self.job("", body) });
        runs.iter().for_each(Run::assert_hung);
        runs
    }

    /// Runs `body`, whatever comes of it.
    pub fn each(&self, args: &str, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        self.site.run(&self.job(args, body))
    }

    /// The same under a few schedules only.
    pub fn few(&self, schedules: u64, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        self.site.run(&Job { schedules: Some(schedules), ..self.job("", body) })
    }

    /// The same under no more than this many schedules, for a body that computes for long.
    pub fn for_long(&self, at_most: u64, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        self.site.run(&Job { at_most: Some(at_most), ..self.job("", body) })
    }

    /// Runs `body` on a kernel with `cpus` CPUs and without IOKit, under this many schedules; it must end in order and leave nothing behind.
    pub fn kernel(
        &self,
        cpus: usize,
        schedules: u64,
        body: impl Fn(&KernelRef) + Send + Sync + 'static,
    ) -> Vec<Run> {
        let job = Job { clean: true, ..kernel_job(cpus, schedules, body) };
        let runs = self.site.run(&job);
        runs.iter().for_each(Run::assert_done);
        runs
    }

    /// The same under no more than this many schedules.
    pub fn kernel_for_long(
        &self,
        cpus: usize,
        at_most: u64,
        body: impl Fn(&KernelRef) + Send + Sync + 'static,
    ) -> Vec<Run> {
        let job = Job { clean: true, at_most: Some(at_most), ..kernel_job(cpus, 1, body) };
        let runs = self.site.run(&job);
        runs.iter().for_each(Run::assert_done);
        runs
    }

    /// The same for a body that must make the kernel panic; the message has all of `words`.
    pub fn kernel_panicking(
        &self,
        cpus: usize,
        words: &[&str],
        body: impl Fn(&KernelRef) + Send + Sync + 'static,
    ) -> Vec<Run> {
        let runs = self.site.run(&kernel_job(cpus, 1, body));
        runs.iter().for_each(|run| run.assert_panicked(words));
        runs
    }

    /// The same for a body after which nothing ever happens.
    pub fn kernel_hanging(&self, cpus: usize, body: impl Fn(&KernelRef) + Send + Sync + 'static) -> Vec<Run> {
        let runs = self.site.run(&Job { hangs: true, ..kernel_job(cpus, 1, body) });
        runs.iter().for_each(Run::assert_hung);
        runs
    }

    /// Runs a plan, of which every run must pass, with every request accounted for.
    pub fn plan_passes(&self, job: &PlanJob<'_>) -> Vec<Run> {
        let runs = self.site.plan(job);
        for run in &runs {
            run.assert_done();
            let judged = run.judged.as_ref().expect("a plan's run is judged");
            assert!(judged.passed, "{}\n{}\n{}\n{:#?}", run.name(), job.text, judged.text, run.console);
        }
        runs
    }

    /// Runs a plan, which must end in order, whatever is thought of it.
    pub fn plan(&self, job: &PlanJob<'_>) -> Vec<Run> {
        let runs = self.site.plan(job);
        runs.iter().for_each(Run::assert_done);
        runs
    }

    /// What is possible happens under some schedule, where many are tried.
    pub fn under_some(&self, runs: &[Run], what: &str, happens: impl Fn(&Run) -> bool) {
        assert!(!self.site.tries_many() || runs.iter().any(happens), "{what}");
    }

    /// The site, for what only one of them can tell.
    pub fn tries_many(&self) -> bool {
        self.site.tries_many()
    }
}

fn kernel_job(cpus: usize, schedules: u64, body: impl Fn(&KernelRef) + Send + Sync + 'static) -> Job {
    let body = Body::Kernel(Arc::new(body));
    let cpus = Cpus::Exactly(cpus);
    Job { cpus, schedules: Some(schedules), at_most: None, clean: false, hangs: false, body }
}

fn violate_nothing(runs: &[Run]) {
    for run in runs {
        run.assert_done();
        assert_eq!(run.violations(), Vec::<String>::new(), "{}", run.name());
    }
}

impl Run {
    fn assert_panicked(&self, words: &[&str]) {
        let Ended::Panicked(message) = &self.ended else { panic!("{}: {:?}", self.name(), self.ended) };
        assert!(words.iter().all(|word| message.contains(word)), "{}: {message}", self.name());
    }

    fn assert_hung(&self) {
        assert!(matches!(self.ended, Ended::Hung(_)), "{}: {:?}", self.name(), self.ended);
    }

    /// What tells it from others, for a message.
    pub fn name(&self) -> String {
        format!("seed {}", self.seed)
    }
}
