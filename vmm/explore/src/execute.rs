//! One run of a plan under a schedule, judged.

use crate::cause::Cause;
use crate::list::{Record, Recording};
use crate::schedule::{Deviation, Schedule};
use devices::fault::plan::Plan;
use sim::chooser::Decision;
use sim::{Chooser, Limits, Outcome, Sim, StartError};
use trace::Event;
use verdict::{Ended, Verdict, Verifier};

/// Bounds that keep a run within a second or so of the host. A run that passes them makes no progress, or too little.
pub const LIMITS: Limits =
    Limits { spins: 1_000_000, idle_points: 10_000_000, points: 400_000_000, time: 3_600_000_000_000 };

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Run {
    /// The verdict.
    pub verdict: Verdict,
    /// What the simulator says.
    pub outcome: Outcome,
    /// The bug that it shows, if any.
    pub cause: Option<Cause>,
}

/// How a run in the simulator ended, as the verdict needs to know it.
pub fn ended(outcome: &Outcome) -> Ended {
    match &outcome.ended {
        sim::Ended::Done => Ended::Done,
        sim::Ended::Fatal { message } => Ended::Panic(message.clone()),
        sim::Ended::Stopped => Ended::Quit,
        sim::Ended::Deadlock => Ended::Hang(format!(
            "deadlock: every CPU is idle, nothing is pending, and threads {:?} wait",
            outcome.waiting
        )),
        sim::Ended::Stuck { reason } => Ended::Hang(reason.clone()),
    }
}

/// The machine on which a schedule is run, for somebody who steers it.
pub fn machine<'p>(schedule: &Schedule) -> Sim<'p> {
    Sim::builder().fault_seed(schedule.dice()).chooser(schedule.chooser()).limits(LIMITS)
}

/// Runs `plan` under `schedule`. `sink` gets every event.
///
/// # Errors
/// The machine cannot be started.
pub fn run(plan: &Plan, schedule: &Schedule, sink: &mut dyn FnMut(&Event)) -> Result<Run, StartError> {
    run_with(plan, schedule.chooser(), schedule.dice(), sink)
}

/// [`run`], and the schedule as a list: it gives the same run again. `None` if that would be too long a list.
///
/// # Errors
/// The machine cannot be started.
pub fn recorded(
    plan: &Plan,
    schedule: &Schedule,
    sink: &mut dyn FnMut(&Event),
) -> Result<(Run, Option<Vec<Deviation>>), StartError> {
    let record = Record::default();
    let chooser = Recording::new(schedule.chooser(), record.clone());
    let run = run_with(plan, Box::new(chooser), schedule.dice(), sink)?;
    Ok((run, record.deviations()))
}

/// [`run`] with every decision that the machine asked for, as [`Record::decisions`] has them.
///
/// # Errors
/// The machine cannot be started.
pub fn with_decisions(
    plan: &Plan,
    chooser: Box<dyn Chooser>,
    sink: &mut dyn FnMut(&Event),
) -> Result<(Run, Vec<(Decision, u32)>), StartError> {
    let record = Record::with_decisions();
    let run = run_with(plan, Box::new(Recording::new(chooser, record.clone())), 0, sink)?;
    Ok((run, record.decisions()))
}

fn run_with(
    plan: &Plan,
    chooser: Box<dyn Chooser>,
    dice: u64,
    sink: &mut dyn FnMut(&Event),
) -> Result<Run, StartError> {
    let mut verifier = Verifier::new(plan);
    let machine = Sim::builder().fault_seed(dice).chooser(chooser).limits(LIMITS);
    let outcome = sim::run_on(machine, plan, &mut |event| {
        verifier.event(event);
        sink(event);
    })?;
    let verdict = verifier.finish(ended(&outcome));
    let cause = Cause::of(&verdict, &outcome);
    Ok(Run { verdict, outcome, cause })
}
