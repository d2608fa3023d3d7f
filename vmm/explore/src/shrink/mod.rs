//! Making a bug small: fewer statements, smaller numbers, an earlier end, then fewer deviations of the schedule, while the same rule breaks.

mod plan;
mod schedule;

use crate::capsule::Capsule;
use crate::cause::Cause;
use crate::execute;
use crate::schedule::Schedule;
use devices::fault::plan::Plan;

/// Times that the result is run again, at the most.
pub const VERIFIED: u32 = 100;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Looking for something smaller.
    Shrinking,
    /// Running the result again.
    Verifying,
}

/// What shrinking may cost.
pub struct Budget<'s> {
    /// Runs that are left for looking.
    pub runs: u64,
    /// Asked before each run, but the first that verifies: true = enough of this work.
    pub stop: &'s mut dyn FnMut(Work) -> bool,
}

impl Budget<'_> {
    /// Takes one run; false if there is none left.
    fn take(&mut self) -> bool {
        if self.runs == 0 || (self.stop)(Work::Shrinking) {
            return false;
        }
        self.runs -= 1;
        true
    }
}

/// A plan and a schedule that show a bug.
#[derive(Clone, Debug)]
pub struct Failing {
    /// The plan.
    pub plan: Plan,
    /// Its schedule.
    pub schedule: Schedule,
    /// What breaks.
    pub cause: Cause,
}

/// The result.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The bug, small.
    pub capsule: Capsule,
    /// Statements that are left: devices, loads, rules.
    pub statements: usize,
    /// Deviations of the schedule that are left.
    pub deviations: usize,
    /// Of these, CPUs that lose their turn.
    pub preemptions: usize,
    /// Runs that it took.
    pub runs: u64,
    /// How often the result was run again: [`VERIFIED`] times, if that did not take too long.
    pub tried: u32,
    /// How often of these it broke the same rule with the same trace.
    pub verified: u32,
}

/// Makes `failing` small within `budget`.
///
/// # Errors
/// Its run does not break the rule that it is said to break: the message says what it does.
pub fn shrink(failing: &Failing, budget: &mut Budget<'_>) -> Result<Shrunk, String> {
    let before = budget.runs;
    if !breaks(&failing.plan, &failing.schedule, &failing.cause, budget) {
        return Err(format!("this run does not break {}", failing.cause));
    }
    let mut small = plan::shrink(failing, budget);
    small.schedule = schedule::shrink(&small, budget);
    let runs = before - budget.runs;
    Ok(finish(&small, runs, &mut || (budget.stop)(Work::Verifying)))
}

/// True if `plan` breaks the rule of `cause` under `schedule`.
fn breaks(plan: &Plan, schedule: &Schedule, cause: &Cause, budget: &mut Budget<'_>) -> bool {
    budget.take()
        && execute::run(plan, schedule, &mut |_| {}).is_ok_and(|run| run.cause.as_ref() == Some(cause))
}

fn finish(small: &Failing, runs: u64, stop: &mut dyn FnMut() -> bool) -> Shrunk {
    let run = || execute::run(&small.plan, &small.schedule, &mut |_| {}).ok();
    let hash = run().map_or(0, |run| run.outcome.trace_hash);
    let same =
        |run: &execute::Run| run.cause.as_ref() == Some(&small.cause) && run.outcome.trace_hash == hash;
    let (mut tried, mut verified) = (0, 0);
    while tried < VERIFIED && (tried == 0 || !stop()) {
        tried += 1;
        verified += u32::from(run().is_some_and(|run| same(&run)));
    }
    let deviations: &[_] = match &small.schedule {
        Schedule::List { deviations, .. } => deviations,
        _ => &[],
    };
    let preempts = |d: &&crate::Deviation| d.decision.kind == sim::chooser::Kind::Cpu;
    Shrunk {
        statements: small.plan.plugs.len() + small.plan.loads.len() + small.plan.rules.len(),
        deviations: deviations.len(),
        preemptions: deviations.iter().filter(preempts).count(),
        runs: runs + 1 + u64::from(tried),
        tried,
        verified,
        capsule: Capsule::new(&small.plan, small.schedule.clone(), Some(small.cause.clone()), hash),
    }
}
