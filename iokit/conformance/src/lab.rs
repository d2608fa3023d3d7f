//! What a test asks of its machine.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};

use iokit::IoKit;

use crate::run::{Ended, Run};

/// Kernel code that a test runs.
pub type Body = Arc<dyn Fn(&IoKit) + Send + Sync>;

/// Which schedules a body is to be tried under, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedules {
    /// As many as the machine tries for a rule, on one to three CPUs.
    Many,
    /// The same on one CPU only. A guest that has more leaves the run out.
    OneCpu,
    /// The first of them, which are enough.
    Few(u64),
}

/// A run that a test wants.
#[derive(Clone)]
pub struct Job {
    /// IOKit's words of the kernel command line.
    pub args: String,
    /// Schedules.
    pub schedules: Schedules,
    /// Whether no thread and no reference to the kernel may be left when the machine is off.
    pub clean: bool,
    /// What runs on the first thread.
    pub body: Body,
}

/// A machine, as tests see it.
pub trait Site {
    /// Runs the job's body; the runs that can be looked at.
    fn run(&self, job: &Job) -> Vec<Run>;

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
        Job { args: args.to_owned(), schedules: Schedules::Many, clean: false, body: Arc::new(body) }
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
        let runs = self.site.run(&Job { schedules: Schedules::OneCpu, ..self.job("", body) });
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
        for run in &runs {
            let Ended::Panicked(message) = &run.ended else { panic!("{}: {:?}", run.name(), run.ended) };
            assert!(words.iter().all(|word| message.contains(word)), "{}: {message}", run.name());
        }
        runs
    }

    /// Runs `body`, whatever comes of it.
    pub fn each(&self, args: &str, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        self.site.run(&self.job(args, body))
    }

    /// The same under a few schedules only.
    pub fn few(&self, schedules: u64, body: impl Fn(&IoKit) + Send + Sync + 'static) -> Vec<Run> {
        self.site.run(&Job { schedules: Schedules::Few(schedules), ..self.job("", body) })
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

fn violate_nothing(runs: &[Run]) {
    for run in runs {
        run.assert_done();
        assert_eq!(run.violations(), Vec::<String>::new(), "{}", run.name());
    }
}

impl Run {
    /// What tells it from others, for a message.
    pub fn name(&self) -> String {
        format!("seed {}", self.seed)
    }
}
