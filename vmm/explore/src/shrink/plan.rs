//! Fewer statements and smaller numbers.
//!
//! A schedule means nothing in another plan, so each candidate is tried under a few: none unexpected, the first answers, the one
//! that is known to fail here, and some seeds. What fails under a plainer one goes on with that.

use super::{Budget, Failing, breaks};
use crate::execute;
use crate::schedule::Schedule;
use devices::catalogue;
use devices::fault::plan::{Plan, Trigger};

/// Seeds that a candidate is tried under.
const SEEDS: u64 = 8;
/// Machine time that a run goes on behind its first finding, in nanoseconds.
const BEHIND: u64 = 1_000;
/// Least memory of a machine, as the simulator wants it.
const LEAST_MEMORY: u64 = 16 << 20;

/// The smallest plan found.
pub fn shrink(failing: &Failing, budget: &mut Budget<'_>) -> Failing {
    let mut best = failing.clone();
    best.plan.lines.clear();
    loop {
        let before = best.plan.clone();
        best = end_early(best, budget);
        let mut list = candidates(&best.plan);
        let mut index = 0;
        while index < list.len() && budget.runs > 0 {
            match attempt(&best, list[index].clone(), budget) {
                // The plan has changed under the candidates; those before this one did not help, and are tried in the next round.
                Some(smaller) => {
                    best = smaller;
                    list = candidates(&best.plan);
                }
                None => index += 1,
            }
        }
        if best.plan == before {
            return best;
        }
    }
}

/// Tries a plan under the schedules; the failing pair, if there is one.
fn attempt(best: &Failing, plan: Plan, budget: &mut Budget<'_>) -> Option<Failing> {
    if plan == best.plan || !is_valid(&plan) {
        return None;
    }
    let seeds = (0..SEEDS).map(Schedule::Seed);
    let schedules = [Schedule::List(Vec::new()), Schedule::Plain, best.schedule.clone()].into_iter();
    let schedule = schedules.chain(seeds).find(|schedule| breaks(&plan, schedule, &best.cause, budget))?;
    Some(Failing { plan, schedule, cause: best.cause.clone() })
}

/// What is kept must be a plan that a person could have written.
fn is_valid(plan: &Plan) -> bool {
    let text = plan.to_string();
    let same = |read: Plan| Plan { lines: Vec::new(), ..read } == *plan;
    Plan::parse(&plan.name, &text).is_ok_and(same) && catalogue::check(plan).is_empty()
}

/// Ends the run where the rule breaks, or else earlier and earlier.
fn end_early(best: Failing, budget: &mut Budget<'_>) -> Failing {
    let found = execute::run(&best.plan, &best.schedule, &mut |_| {})
        .ok()
        .and_then(|run| run.verdict.findings.first().map(|finding| finding.time));
    let mut best = best;
    let at_finding = found.map(|time| time.saturating_add(BEHIND));
    let run_for = best.plan.run_for;
    for time in at_finding.into_iter().chain((1..12).map(|n| run_for >> n)) {
        if time == 0 || time >= best.plan.run_for {
            continue;
        }
        if let Some(shorter) = attempt(&best, Plan { run_for: time, ..best.plan.clone() }, budget) {
            best = shorter;
        }
    }
    best
}

/// Plans that are one step smaller, the largest steps first.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut list: Vec<Plan> = (0..plan.plugs.len()).map(|n| without_device(plan, n)).collect();
    list.extend((0..plan.rules.len()).map(|n| edited(plan, |p| _ = p.rules.remove(n))));
    list.extend((0..plan.loads.len()).map(|n| edited(plan, |p| _ = p.loads.remove(n))));
    list.extend((0..plan.expects.len()).map(|n| edited(plan, |p| _ = p.expects.remove(n))));
    list.push(edited(plan, |p| p.cpus = 1));
    list.push(edited(plan, |p| p.cpus = 2.min(p.cpus)));
    list.push(edited(plan, |p| p.memory = LEAST_MEMORY.min(p.memory)));
    for (n, plug) in plan.plugs.iter().enumerate() {
        list.extend(plug.options.keys().map(|key| edited(plan, |p| _ = p.plugs[n].options.remove(key))));
    }
    numbers(plan, &mut list);
    list
}

/// Smaller numbers in loads and triggers.
fn numbers(plan: &Plan, list: &mut Vec<Plan>) {
    for (n, load) in plan.loads.iter().enumerate() {
        let clients = smaller(u64::from(load.clients));
        list.extend(clients.map(|value| edited(plan, |p| p.loads[n].clients = value as u32)));
        let depth = smaller(u64::from(load.depth));
        list.extend(depth.map(|value| edited(plan, |p| p.loads[n].depth = value as u32)));
    }
    for (n, rule) in plan.rules.iter().enumerate() {
        let value = match &rule.trigger {
            Trigger::Nth { count, .. } => *count,
            Trigger::At(time) | Trigger::Every(time) => *time,
            #[allow(unreachable_patterns)] // triggers without a number
            _ => 1,
        };
        list.extend(smaller(value).map(|value| edited(plan, |p| set(&mut p.rules[n].trigger, value))));
    }
}

fn set(trigger: &mut Trigger, value: u64) {
    match trigger {
        Trigger::Nth { count, .. } => *count = value,
        Trigger::At(time) | Trigger::Every(time) => *time = value,
        #[allow(unreachable_patterns)] // triggers without a number
        _ => {}
    }
}

/// 1, a half, and one less.
fn smaller(value: u64) -> impl Iterator<Item = u64> {
    let mut values = vec![1, value / 2, value.saturating_sub(1)];
    values.dedup();
    values.into_iter().filter(move |&n| n > 0 && n < value)
}

fn edited(plan: &Plan, edit: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = plan.clone();
    edit(&mut plan);
    plan
}

/// Without a device, its loads and the rules that name it.
fn without_device(plan: &Plan, index: usize) -> Plan {
    edited(plan, |p| {
        let name = p.plugs.remove(index).name;
        p.loads.retain(|load| load.device != name);
        p.rules.retain(|rule| {
            let site = matches!(&rule.trigger, Trigger::Nth { device, .. } if *device == name);
            !site && rule.action.device() != Some(name.as_str())
        });
    })
}
