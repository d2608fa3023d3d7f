//! `workgate shrink`: the smallest plan and schedule that still break the same rule.

use super::bug;
use crate::cli::ShrinkArgs;
use crate::exit::{Exit, Failure};
use crate::load::Bug;
use explore::shrink::Failing;
use explore::{Schedule, execute};
use serde::Serialize;
use std::path::PathBuf;

/// Seeds that are tried to see a plan fail.
const SEEDS: u64 = 500;

/// The `--json` document.
#[derive(Serialize)]
struct Document {
    rule: String,
    statements: usize,
    deviations: usize,
    preemptions: usize,
    runs: u64,
    tried: u32,
    verified: u32,
    capsule: PathBuf,
    plan: String,
}

/// Makes a bug small.
pub fn shrink(args: &ShrinkArgs) -> Result<Exit, Failure> {
    let stop = super::explore::stopper()?;
    let failing = failing(args)?;
    let small = bug::small(&failing, &stop).map_err(Failure::request)?;
    let path = args.out.clone().unwrap_or_else(|| args.file.with_extension("small.capsule"));
    bug::write_whole(&path, &small.capsule.to_string())?;
    if args.json {
        let document = Document {
            rule: failing.cause.rule,
            statements: small.statements,
            deviations: small.deviations,
            preemptions: small.preemptions,
            runs: small.runs,
            tried: small.tried,
            verified: small.verified,
            capsule: path,
            plan: small.capsule.plan,
        };
        crate::output::println(&crate::run::to_json(&document)?)?;
        return Ok(Exit::Found);
    }
    crate::output::print(&format!(
        "{}  {} statements, {} deviations; {} runs; {} of {} runs again the same\n",
        bug::told(&failing.cause, &small.capsule, &path),
        small.statements,
        small.deviations,
        small.runs,
        small.verified,
        small.tried
    ))?;
    Ok(Exit::Found)
}

/// The bug of a capsule, or the first that a plan shows.
fn failing(args: &ShrinkArgs) -> Result<Failing, Failure> {
    let (plan, schedules): (_, Vec<Schedule>) = match crate::load::plan_or_capsule(&args.file, &args.script)?
    {
        Bug::Capsule(plan, capsule) => (plan, vec![capsule.schedule]),
        Bug::Plan(plan) => match args.seed {
            Some(seed) => (plan, vec![Schedule::Seed(seed)]),
            None => (plan, std::iter::once(Schedule::Plain).chain((0..SEEDS).map(Schedule::Seed)).collect()),
        },
    };
    for schedule in &schedules {
        let run = execute::run(&plan, schedule, &mut |_| {}).map_err(Failure::request)?;
        if let Some(cause) = run.cause {
            return Ok(Failing { plan, schedule: schedule.clone(), cause });
        }
    }
    Err(Failure::request(format_args!(
        "{} shows no bug in {} schedule(s), so there is nothing to make small; `workgate explore` looks for one",
        args.file.display(),
        schedules.len()
    )))
}
