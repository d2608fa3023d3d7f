//! Looking for one bug, in one way, one run after another: what `workgate bench find` compares.
//!
//! Each way is that of a command: a hunt of [`Method::Random`] runs what `explore` would, one schedule after another. A hunt is
//! a function of plan, method and seed: it takes the same number of runs every time, on every host. Runs that a method needs for looking around (a
//! reference run, counting a device's sites) are counted like any other.

mod fuzz;
mod hunter;

pub use hunter::Moments;

use crate::campaign::Task;
use crate::cause::Cause;
use crate::coverage::Coverage;
use crate::execute::{self, Run};
use devices::fault::plan::Plan;
use serde::Serialize;

/// A way to look for a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The plan as it is, random schedules.
    Random,
    /// The plan as it is, PCT schedules of depth 1 to 3.
    Pct,
    /// The plan's removals taken out; one removal at a random moment, by surprise or in order, random schedules.
    Moments,
    /// The plan's removals taken out; what goes wrong and when is mutated, guided by coverage.
    Fuzz,
    /// The plan's removals taken out; one removal at every event of a reference run, by surprise and in order.
    Removal,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Random, Self::Pct, Self::Moments, Self::Fuzz, Self::Removal];

    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Pct => "pct",
            Self::Moments => "moments",
            Self::Fuzz => "fuzz",
            Self::Removal => "removal",
        }
    }
}

/// Where a hunt ends if it finds nothing.
pub struct Bounds<'s> {
    /// Most runs.
    pub executions: u64,
    /// Asked before each run: true = end with what there is.
    pub stop: &'s mut dyn FnMut() -> bool,
}

/// How a hunt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunted {
    /// Runs, the one that found the bug included.
    pub executions: u64,
    /// Events in them.
    pub events: u64,
    /// The run that showed the bug, if one did.
    pub found: Option<Found>,
    /// The method has nothing more to try.
    pub exhausted: bool,
}

/// A run that was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Plan and schedule.
    pub task: Task,
    /// What it broke first.
    pub cause: Option<Cause>,
}

/// Runs what `method` proposes for `plan` until a run is `wanted`.
///
/// # Errors
/// The plan plugs no device in, or cannot run.
pub fn hunt(
    plan: &Plan,
    method: Method,
    seed: u64,
    wanted: &dyn Fn(&Run) -> bool,
    bounds: &mut Bounds<'_>,
) -> Result<Hunted, String> {
    let mut hunter = hunter::hunter(plan, method, seed)?;
    let mut coverage = Coverage::default();
    let mut hunted = Hunted { executions: 0, events: 0, found: None, exhausted: false };
    while hunted.executions < bounds.executions && !(bounds.stop)() {
        let Some(task) = hunter.next(&mut hunted.executions)? else {
            hunted.exhausted = true;
            break;
        };
        coverage.begin();
        let ran = execute::run(&task.plan, &task.schedule, &mut |event| coverage.event(event));
        let run = ran.map_err(|error| error.to_string())?;
        hunted.executions += 1;
        hunted.events += run.outcome.events;
        if wanted(&run) {
            hunted.found = Some(Found { task, cause: run.cause });
            break;
        }
        hunter.learn(&run, !coverage.take_fresh().is_empty());
    }
    Ok(hunted)
}

/// True if `rule` is what `run` broke, first or later.
pub fn breaks(run: &Run, rule: &str) -> bool {
    let first = run.cause.as_ref().is_some_and(|cause| cause.rule == rule);
    first || run.verdict.findings.iter().any(|finding| finding.rule == rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(driver: &str) -> Plan {
        let text = format!(
            "machine cpus=2\nplug edu0 edu slot=1{driver}\nload edu0 clients=2 depth=2\nat 200us unplug edu0\nrun for=500us\n"
        );
        Plan::parse("t.plan", &text).expect("a good plan")
    }

    fn search(driver: &str, method: Method, seed: u64, executions: u64) -> Hunted {
        let wanted: &dyn Fn(&Run) -> bool = match driver {
            "" => &|run| run.cause.is_some(),
            _ => &|run| breaks(run, "close-before-return"),
        };
        let mut bounds = Bounds { executions, stop: &mut || false };
        hunt(&plan(driver), method, seed, wanted, &mut bounds).expect("it runs")
    }

    #[test]
    fn every_method_finds_the_bug_after_the_same_runs_every_time() {
        for method in Method::ALL {
            let hunted = search(" driver=close-early", method, 7, 1_000);
            let found = hunted.found.as_ref().unwrap_or_else(|| panic!("{}: {hunted:?}", method.word()));
            let task = &found.task;
            assert_eq!(search(" driver=close-early", method, 7, 1_000), hunted, "{}", method.word());
            let run = execute::run(&task.plan, &task.schedule, &mut |_| {}).expect("it runs");
            assert!(breaks(&run, "close-before-return"), "{}", method.word());
            let again =
                Plan::parse("again", &task.plan.to_string()).map_err(|e| format!("{e:?}")).expect("a plan");
            assert!(devices::catalogue::check(&again).is_empty(), "{}", method.word());
        }
    }

    #[test]
    fn no_method_accuses_a_correct_driver() {
        for method in Method::ALL {
            let hunted = search("", method, 7, 60);
            assert!(hunted.found.is_none() && hunted.executions >= 60, "{}: {hunted:?}", method.word());
        }
    }

    #[test]
    fn another_seed_is_another_hunt_and_a_stop_ends_it() {
        let events = |seed| search("", Method::Fuzz, seed, 20).events;
        assert_ne!(events(1), events(2));
        let mut bounds = Bounds { executions: 100, stop: &mut || true };
        let hunted = hunt(&plan(""), Method::Random, 1, &|_| true, &mut bounds).expect("it runs");
        assert_eq!((hunted.executions, hunted.found.is_none()), (0, true));
        let empty = Plan::parse("t.plan", "run for=1ms\n").expect("a plan");
        for method in [Method::Moments, Method::Fuzz, Method::Removal] {
            let mut bounds = Bounds { executions: 1, stop: &mut || false };
            let error = hunt(&empty, method, 1, &|_| true, &mut bounds).expect_err("nothing can go");
            assert!(error.contains("plugs no device in"), "{error}");
        }
    }
}
