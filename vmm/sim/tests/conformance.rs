//! The rules in the simulator: every test of the crate `conformance` under many schedules.
//!
//! The names are `sim::FILE::TEST`; the usual words of `cargo test` choose among them.

use std::process::ExitCode;

use conformance::{Cpus, Ended, Job, Judged, Lab, PlanJob, Run, Site};
use devices::fault::plan::Plan;
use libtest_mimic::{Arguments, Trial};
use sim::{Limits, Outcome, Sim};
use verdict::{Verdict, Verifier};

/// Schedules that each rule is tried under.
const SEEDS: u64 = 1_000;

/// How soon a machine is given up that is known to hang.
const SOON: Limits = Limits { spins: 5_000, idle_points: 50_000, points: u64::MAX, time: 3_600_000_000_000 };

/// The simulator. Every run has a machine of its own.
struct Simulator;

impl Site for Simulator {
    fn run(&self, job: &Job) -> Vec<Run> {
        let schedules = job.schedules.map_or(SEEDS, |least| least.max(SEEDS));
        (0..job.at_most.unwrap_or(schedules)).map(|seed| run(job, seed)).collect()
    }

    fn plan(&self, job: &PlanJob<'_>) -> Vec<Run> {
        let text = format!("machine cpus={} memory=32M\n{}", job.cpus, job.text);
        let plan = Plan::parse("conformance", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
        (0..SEEDS).map(|seed| run_plan(job, &plan, seed)).collect()
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
    let sim = if job.hangs { sim.limits(SOON) } else { sim };
    let (outcome, events) = sim::harness::traced(sim, move |kernel| {
        kernel.set_user_program(user::native::program());
        body.run(kernel);
    });
    if job.clean && outcome.ended == sim::Ended::Done {
        let left = (outcome.abandoned, outcome.kernel_references);
        assert_eq!(left, (0, 0), "seed {seed}: stacks not unwound, references to the kernel left");
    }
    let ended = ended(&outcome);
    Run { seed, ended, events, console: outcome.console, standing: Vec::new(), judged: None }
}

fn run_plan(job: &PlanJob<'_>, plan: &Plan, seed: u64) -> Run {
    let mut verifier = Verifier::new(plan);
    let mut events = Vec::new();
    let outcome = sim::run(plan, seed, &mut |event| {
        verifier.event(event);
        if job.kinds.contains(&event.kind) {
            events.push(*event);
        }
    });
    let outcome = outcome.unwrap_or_else(|error| panic!("{error}"));
    let ended = ended(&outcome);
    if ended == Ended::Done {
        assert_eq!(outcome.kernel_references, 0, "seed {seed}: the kernel is still referred to");
    }
    let verdict = verifier.finish(match &outcome.ended {
        sim::Ended::Done => verdict::Ended::Done,
        _ => verdict::Ended::Bad(format!("{:?}", outcome.ended)),
    });
    let judged = Some(judged(&verdict));
    Run { seed, ended, events, console: outcome.console, standing: Vec::new(), judged }
}

fn judged(verdict: &Verdict) -> Judged {
    let passed = verdict.passed && verdict.io.values().all(|counts| counts.balanced());
    Judged { passed, text: verdict::render(verdict) }
}

fn ended(outcome: &Outcome) -> Ended {
    match &outcome.ended {
        sim::Ended::Done => Ended::Done,
        sim::Ended::Fatal { message } => Ended::Panicked(message.clone()),
        sim::Ended::Deadlock | sim::Ended::Stuck { .. } | sim::Ended::Stopped => {
            Ended::Hung(format!("{outcome:#?}"))
        }
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
