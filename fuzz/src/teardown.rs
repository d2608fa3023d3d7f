//! Whole runs in the simulator: correct drivers pass any plan under any schedule.

use crate::case::Case;
use devices::fault::plan::Plan;
use sim::{Limits, Sim};
use verdict::{Ended, Verdict, Verifier};

/// Bounds that keep a run within milliseconds of the host; a run that is over them makes no progress, or too little.
const LIMITS: Limits =
    Limits { spins: 200_000, idle_points: 2_000_000, points: 20_000_000, time: 60_000_000_000 };

/// Runs a case.
///
/// # Panics
/// If the run shows anything that correct drivers do not do; the plan and the seed are printed before.
pub fn check(case: &Case) {
    let plan = case.plan();
    let printed = plan.to_string();
    // What runs is what a person can run again: the plan as printed.
    let plan = Plan::parse("fuzz.plan", &printed)
        .unwrap_or_else(|errors| panic!("a case's plan does not parse: {errors:?}\n{printed}"));
    if let Some(trouble) = run(&plan, case.seed) {
        eprintln!("--- fuzz.plan, seed {} ---\n{printed}--- end of the plan ---\n{trouble}", case.seed);
        panic!(
            "correct drivers failed; to see it again: workgate run fuzz.plan --machine sim --seed {}",
            case.seed
        );
    }
}

/// Runs `plan` with the schedule of `seed`. `None` if correct drivers would do the same, else what they would not.
pub fn run(plan: &Plan, seed: u64) -> Option<String> {
    let mut verifier = Verifier::new(plan);
    let machine = Sim::builder().seed(seed).limits(LIMITS);
    let outcome = match sim::run_on(machine, plan, &mut |event| verifier.event(event)) {
        Ok(outcome) => outcome,
        Err(error) => return Some(error.to_string()),
    };
    let ended = match &outcome.ended {
        sim::Ended::Done => Ended::Done,
        sim::Ended::Fatal { message } => Ended::Panic(message.clone()),
        sim::Ended::Deadlock => Ended::Hang("deadlock".to_owned()),
        sim::Ended::Stuck { reason } => Ended::Hang(reason.clone()),
    };
    let verdict = verifier.finish(ended);
    let broken = verdict.findings_total > 0 || !failed_expectations(&verdict).is_empty();
    let left = (outcome.abandoned, outcome.kernel_references);
    if outcome.ended == sim::Ended::Done && !broken && left == (0, 0) {
        return None;
    }
    let console = outcome.console.join("\n  | ");
    Some(format!(
        "{}{} fibres abandoned, {} references to the kernel left, {} points\n  | {console}",
        verdict::render(&verdict),
        left.0,
        left.1,
        outcome.points
    ))
}

/// Expectations that did not hold. A plan that removes nothing shows nothing about removals, and need not.
fn failed_expectations(verdict: &Verdict) -> Vec<&str> {
    let demanded = |expect: &str| expect == "no-leaks" || !verdict.removals.is_empty();
    let failed = verdict.expectations.iter().filter(|e| !e.held && demanded(&e.expect));
    failed.map(|e| e.expect.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_case_passes() {
        check(&Case::default());
    }

    #[test]
    fn a_broken_driver_is_noticed() {
        let text = include_str!("../../tests/scenarios/close-early.plan");
        let plan = Plan::parse("t", text).expect("it parses");
        assert!(run(&plan, 1).is_some_and(|trouble| trouble.contains("close-before-return")));
    }
}
