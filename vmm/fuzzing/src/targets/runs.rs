//! Whole runs in the simulator, with the trace as what they reach.

use crate::target::{Features, Trouble};
use devices::fault::plan::Plan;
use explore::coverage::Coverage;
use explore::{Schedule, execute};

/// Runs `plan` under `schedule`. Correct drivers break no rule, end in order, and leave nothing: no instance of a class, no reference to the kernel,
/// no fibre.
pub fn run(plan: &Plan, schedule: &Schedule, features: &mut Features) -> Option<Trouble> {
    let mut coverage = Coverage::default();
    coverage.begin();
    let ran = match execute::run(plan, schedule, &mut |event| coverage.event(event)) {
        Ok(ran) => ran,
        Err(error) => return Some(Trouble::new("no-start", error.to_string())),
    };
    coverage.take_fresh().into_iter().for_each(|state| features.note(state));
    let cause = ran.cause?;
    let console = ran.outcome.console.join("\n  | ");
    let told = format!(
        "{}{} fibres abandoned, {} references to the kernel left, {} points\n  | {console}",
        verdict::render(&ran.verdict),
        ran.outcome.abandoned,
        ran.outcome.kernel_references,
        ran.outcome.points
    );
    Some(Trouble { cause, told })
}

/// Plan and schedule as a person reads them.
pub fn describe(plan: &Plan, schedule: &Schedule) -> String {
    format!("{plan}# schedule: {}\n", schedule.describe())
}
