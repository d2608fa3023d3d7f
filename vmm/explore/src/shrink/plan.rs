//! Fewer statements and smaller numbers.
//!
//! A schedule means nothing in another plan, so each candidate is tried under a few: none unexpected, the first answers, the one
//! that is known to fail here, and some seeds. What fails under a plainer one goes on with that.

use super::{Budget, Failing, breaks};
use crate::execute;
use crate::schedule::Schedule;
use devices::catalogue;
use devices::fault::plan::{ON, PORT, Plan, Trigger};
use std::collections::BTreeSet;

/// Seeds that a candidate is tried under.
const SEEDS: u64 = 8;
/// Machine time that a run goes on behind its first finding, in nanoseconds.
const BEHIND: u64 = 1_000;
/// Occurrences that are tried in place of a probability.
const CERTAIN: u64 = 4;
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
    let none = Schedule::none(best.schedule.dice());
    let schedules = [none, Schedule::Plain, best.schedule.clone()].into_iter();
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
    list.extend((0..plan.plugs.len()).filter_map(|n| without_hub(plan, n)));
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
            Trigger::Chance { device, site, .. } => {
                // One of the first occurrences may be enough, and needs no dice.
                let nth = |count| Trigger::Nth { device: device.clone(), site: site.clone(), count };
                list.extend((1..=CERTAIN).map(|count| edited(plan, |p| p.rules[n].trigger = nth(count))));
                continue;
            }
        };
        list.extend(smaller(value).map(|value| edited(plan, |p| set(&mut p.rules[n].trigger, value))));
    }
}

fn set(trigger: &mut Trigger, value: u64) {
    match trigger {
        Trigger::Nth { count, .. } => *count = value,
        Trigger::At(time) | Trigger::Every(time) => *time = value,
        Trigger::Chance { .. } => {}
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

/// Without a device and all that is plugged in behind it, their loads and the rules that name them.
fn without_device(plan: &Plan, index: usize) -> Plan {
    let gone = with_all_behind(plan, &plan.plugs[index].name);
    edited(plan, |p| {
        p.plugs.retain(|plug| !gone.contains(plug.name.as_str()));
        p.loads.retain(|load| !gone.contains(load.device.as_str()));
        p.threads.retain(|thread| thread.gate.as_deref().is_none_or(|gate| !gone.contains(gate)));
        p.rules.retain(|rule| {
            let site = matches!(
                &rule.trigger,
                Trigger::Nth { device, .. } | Trigger::Chance { device, .. } if gone.contains(device.as_str())
            );
            !site && rule.action.device().is_none_or(|device| !gone.contains(device))
        });
        // What is behind controllers has its numbers by its place in the text, as whoever reads the plan gives them.
        p.number();
    })
}

/// The device called `name`, and what is behind it, in however many tiers.
fn with_all_behind<'p>(plan: &'p Plan, name: &'p str) -> BTreeSet<&'p str> {
    let mut names = BTreeSet::from([name]);
    loop {
        let before = names.len();
        let behind = plan.plugs.iter().filter(|plug| plug.on().is_some_and(|on| names.contains(on)));
        let behind: Vec<&str> = behind.map(|plug| plug.name.as_str()).collect();
        names.extend(behind);
        if names.len() == before {
            return names;
        }
    }
}

/// The plan with a device one tier higher: on the port of the hub that it was plugged into, which goes.
fn without_hub(plan: &Plan, index: usize) -> Option<Plan> {
    let leaf = &plan.plugs[index];
    let hub = plan.plug_named(leaf.on()?)?;
    let place = [ON, PORT].map(|key| hub.options.get(key).cloned());
    let [Some(on), Some(port)] = place else { return None };
    let (name, hub) = (leaf.name.clone(), hub.name.clone());
    let mut moved = plan.clone();
    moved.plugs[index].options.extend([(ON.to_owned(), on), (PORT.to_owned(), port)]);
    let at = moved.plugs.iter().position(|plug| plug.name == hub)?;
    let moved = without_device(&moved, at);
    moved.plug_named(&name).is_some().then_some(moved)
}
