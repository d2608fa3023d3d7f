//! The plain ways: a plan on KVM, again and again, until its bug happens to show.
//!
//! The machine is built and booted anew each time, as whoever stresses a driver by hand would do it.

use super::cell::{Allowance, Cell, End};
use super::zoo::Bug;
use devices::fault::plan::Plan;
use explore::hunt::Moments;
use std::time::Instant;
use verdict::{Verdict, Verifier};
use vmm::probe::{HostKind, HostReport};

/// What is run again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The plan as it is.
    Plan,
    /// The plan's removals taken out, one removal at a random moment.
    Moments,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plan, Self::Moments];

    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "stress",
            Self::Moments => "stress-moments",
        }
    }

    /// What `plan` becomes, time after time, each with its seed; the same for the same `seed`.
    fn plans(self, plan: &Plan, seed: u64) -> Result<Box<dyn Iterator<Item = (Plan, u64)>>, String> {
        Ok(match self {
            Self::Plan => {
                let plan = plan.clone();
                Box::new((0..).map(move |n| (plan.clone(), seed.wrapping_add(n))))
            }
            Self::Moments => {
                let mut moments = Moments::new(plan, seed)?;
                Box::new(std::iter::from_fn(move || Some(moments.next_plan())))
            }
        })
    }
}

/// The host's KVM, if a stress loop on it says anything; else why not. `asked`: also where guest instructions are interpreted.
///
/// # Errors
/// Why there is none.
pub fn host(host: &Result<HostReport, String>, asked: bool) -> Result<&HostReport, String> {
    let host = host.as_ref().map_err(Clone::clone)?;
    match host.kind {
        HostKind::Emulating if !asked => Err(format!("{}; --kvm runs it nevertheless", host.kind)),
        _ => Ok(host),
    }
}

/// Runs what the bug's plan becomes until its rule is broken, then what its twin's does as often.
///
/// # Errors
/// A machine cannot be started.
pub fn hunt(
    bug: &Bug,
    way: Way,
    host: &HostReport,
    allowed: Allowance,
    stop: &dyn Fn() -> bool,
) -> Result<Cell, String> {
    let run = |plan: &Plan, seed: u64| once(plan, host, seed);
    hunt_by(bug, way, allowed, stop, &run)
}

/// The same on whatever machine `run` runs a plan.
fn hunt_by(
    bug: &Bug,
    way: Way,
    allowed: Allowance,
    stop: &dyn Fn() -> bool,
    run: &dyn Fn(&Plan, u64) -> Result<Verdict, String>,
) -> Result<Cell, String> {
    let begin = Instant::now();
    let over = |begin: Instant| stop() || begin.elapsed() >= allowed.limit;
    let (mut executions, mut end, mut shown_by) = (0, End::Executions, None);
    for (plan, seed) in way.plans(&bug.plan, allowed.seed)? {
        if executions >= allowed.executions {
            break;
        }
        if over(begin) {
            end = End::Time;
            break;
        }
        let verdict = run(&plan, seed)?;
        executions += 1;
        if verdict.findings.iter().any(|finding| finding.rule == bug.specimen.rule) {
            end = End::Found;
            shown_by = Some((plan.to_string(), format!("KVM, seed {seed}")));
            break;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let (mut twin_executions, mut alarm, begin) = (0, None, Instant::now());
    for (plan, seed) in way.plans(&bug.twin, allowed.seed)? {
        if twin_executions >= executions || alarm.is_some() || over(begin) {
            break;
        }
        let verdict = run(&plan, seed)?;
        twin_executions += 1;
        alarm =
            verdict.findings.first().map(|first| format!("{} in execution {twin_executions}", first.rule));
    }
    Ok(Cell { method: way.word(), end, executions, seconds, shown_by, twin_executions, alarm })
}

fn once(plan: &Plan, host: &HostReport, seed: u64) -> Result<Verdict, String> {
    let mut verifier = Verifier::new(plan).of_shared_time();
    let options = vmm::Options { seed, ..crate::machine::kvm_options(host) };
    let outcome = vmm::run(plan, guest_image::IMAGE, &options, &mut |event| verifier.event(event));
    let outcome = outcome.map_err(|error| error.to_string())?;
    Ok(verifier.finish(crate::machine::kvm_ended(&outcome)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loops themselves, on the simulator: no test waits for KVM.
    #[test]
    fn each_way_runs_until_the_rule_is_broken_and_the_twin_as_often() {
        let bugs = super::super::zoo::bugs(&["close-early".to_owned()]).expect("in the zoo");
        let allowed =
            Allowance { seed: 1, executions: 60, limit: std::time::Duration::from_secs(3_600), twins: 0 };
        let run = |plan: &Plan, seed: u64| {
            let run = explore::execute::run(plan, &explore::Schedule::Seed(seed), &mut |_| {});
            run.map(|run| run.verdict).map_err(|error| error.to_string())
        };
        for way in Way::ALL {
            let hunt = || hunt_by(&bugs[0], way, allowed, &|| false, &run).expect("it runs");
            let cell = hunt();
            assert_eq!((cell.method, cell.end, cell.alarm.as_deref()), (way.word(), End::Found, None));
            assert_eq!(cell.twin_executions, cell.executions);
            let (plan, _) = cell.shown_by.expect("a plan");
            assert!(
                Plan::parse("shown", &plan).is_ok_and(|plan| devices::catalogue::check(&plan).is_empty())
            );
            assert_eq!(hunt().executions, cell.executions, "the same plans every time");
            let stopped = hunt_by(&bugs[0], way, allowed, &|| true, &run).expect("nothing runs");
            assert_eq!((stopped.end, stopped.executions, stopped.twin_executions), (End::Time, 0, 0));
        }
    }

    #[test]
    fn what_cannot_be_stressed_is_said_by_name() {
        let none = Err("no KVM device".to_owned());
        assert_eq!(host(&none, true).err().as_deref(), Some("no KVM device"));
    }
}
