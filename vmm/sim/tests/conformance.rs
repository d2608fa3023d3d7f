//! The rules in the simulator: every test of the crate `conformance` under many schedules.
//!
//! The names are `sim::FILE::TEST`; the usual words of `cargo test` choose among them.

use std::process::ExitCode;

use conformance::{Cpus, Ended, Job, Lab, Run, Site};
use libtest_mimic::{Arguments, Trial};
use sim::{Outcome, Sim};

/// Schedules that each rule is tried under.
const SEEDS: u64 = 1_000;

/// The simulator. Every run has a machine of its own.
struct Simulator;

impl Site for Simulator {
    fn run(&self, job: &Job) -> Vec<Run> {
        (0..job.schedules.map_or(SEEDS, |least| least.max(SEEDS))).map(|seed| run(job, seed)).collect()
    }

    fn tries_many(&self) -> bool {
        true
    }
}

/// Runs the job's body on the first thread of a machine, which is off when it returns.
fn run(job: &Job, seed: u64) -> Run {
    let cpus = match job.cpus {
        Cpus::Any => 1 + (seed as usize % 3),
        Cpus::Exactly(cpus) => cpus,
    };
    let body = job.body.clone();
    let sim = Sim::builder().cpus(cpus).seed(seed);
    let (outcome, events) = sim::harness::traced(sim, move |kernel| body.run(kernel));
    if job.clean && outcome.ended == sim::Ended::Done {
        let left = (outcome.abandoned, outcome.kernel_references);
        assert_eq!(left, (0, 0), "seed {seed}: stacks not unwound, references to the kernel left");
    }
    let ended = ended(&outcome);
    Run { seed, ended, events, console: outcome.console, standing: Vec::new() }
}

fn ended(outcome: &Outcome) -> Ended {
    match &outcome.ended {
        sim::Ended::Done => Ended::Done,
        sim::Ended::Fatal { message } => Ended::Panicked(message.clone()),
        _ => Ended::Otherwise(format!("{outcome:#?}")),
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trial = |test: conformance::Test| {
        Trial::test(format!("sim::{}::{}", test.file(), test.name), move || {
            (test.test)(&Lab::new(&Simulator));
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, conformance::tests().map(trial).collect()).exit_code()
}
