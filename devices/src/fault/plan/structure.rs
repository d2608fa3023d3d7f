//! Checks between statements that need no knowledge of the device models.

use super::{Action, Expect, ON, PORT, Plan, PlanError, Rule, Span, Trigger, limits};
use std::collections::BTreeMap;

/// Files what does not fit together: a name or slot used twice, a device that nobody plugs.
pub(super) fn check(plan: &Plan, errors: &mut Vec<PlanError>) {
    plugs(plan, errors);
    places(plan, errors);
    loads(plan, errors);
    threads(plan, errors);
    for rule in &plan.rules {
        check_rule(plan, rule, errors);
    }
    errors.sort_by_key(|error| error.span.start);
}

fn plugs(plan: &Plan, errors: &mut Vec<PlanError>) {
    let mut names: BTreeMap<&str, Span> = BTreeMap::new();
    let mut slots: BTreeMap<u32, &str> = BTreeMap::new();
    for plug in &plan.plugs {
        if let Some(first) = names.get(plug.name.as_str()) {
            let message = format!("there is a device `{}` already, in line {}", plug.name, first.line);
            errors.push(PlanError::new(plug.span_of("name"), message).expected("another name"));
            continue;
        }
        names.insert(&plug.name, plug.span);
        if plug.slot == 0 {
            let error = PlanError::new(plug.span, "there are too many devices");
            errors.push(error.expected(format!(
                "at most {}, those on controllers and hubs included",
                limits::SLOTS.end()
            )));
        } else if let Some(other) = slots.get(&plug.slot) {
            let message = format!("slot {} is taken by `{other}`", plug.slot);
            errors.push(
                PlanError::new(plug.span_of("slot"), message).expected("a slot of its own for each device"),
            );
        }
        slots.entry(plug.slot).or_insert(&plug.name);
    }
}

/// Files what is wrong with the places of devices behind controllers: a hub that nobody plugs in, a port that is taken, a way in a circle.
fn places(plan: &Plan, errors: &mut Vec<PlanError>) {
    let mut taken: BTreeMap<(&str, u8), &str> = BTreeMap::new();
    for plug in plan.behind() {
        let on = plug.on().unwrap_or_default();
        let there = errors.len();
        known(plan, on, plug.span_of(ON), errors);
        if errors.len() > there {
            continue;
        }
        if let Some(other) = taken.insert((on, plug.port()), &plug.name) {
            let message = format!("port {} of `{on}` is taken by `{other}`", plug.port());
            let error = PlanError::new(plug.span_of(PORT), message);
            errors.push(error.expected("a port of its own for each device"));
        }
        match plan.path(plug) {
            Some((_, ports)) if ports.len() <= limits::TIERS + 1 => {}
            _ => {
                let message = format!("the way to `{}` has no end, or too many hubs", plug.name);
                let expected = format!("at most {} hubs between a controller and a device", limits::TIERS);
                errors.push(PlanError::new(plug.span_of(ON), message).expected(expected));
            }
        }
    }
}

fn loads(plan: &Plan, errors: &mut Vec<PlanError>) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for load in &plan.loads {
        let span = load.span_of("device");
        known(plan, &load.device, span, errors);
        if let Some(first) = seen.insert(&load.device, span) {
            let message = format!("`{}` has a load already, in line {}", load.device, first.line);
            errors.push(PlanError::new(span, message).expected("one load for each device"));
        }
    }
}

fn threads(plan: &Plan, errors: &mut Vec<PlanError>) {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    for thread in &plan.threads {
        if let Some(gate) = &thread.gate {
            known(plan, gate, thread.span_of("gate"), errors);
        }
        if let Some(first) = seen.insert(&thread.name, thread.span) {
            let message = format!("there is a thread `{}` already, in line {}", thread.name, first.line);
            errors.push(PlanError::new(thread.span_of("name"), message).expected("another name"));
        }
    }
    for expect in &plan.expects {
        let Expect::Turn { thread, span, marks, .. } = expect else { continue };
        if !seen.contains_key(thread.as_str()) {
            let at = marks.0.get("thread").copied().unwrap_or(*span);
            let error = PlanError::new(at, format!("there is no thread `{thread}`"));
            let names = || seen.keys().copied();
            errors.push(error.expected("a thread declared with `thread`").nearest(thread, names()));
        }
    }
}

fn check_rule(plan: &Plan, rule: &Rule, errors: &mut Vec<PlanError>) {
    if let Trigger::Nth { device, .. } | Trigger::Chance { device, .. } = &rule.trigger {
        known(plan, device, rule.span_of("site"), errors);
    }
    let Some(device) = rule.action.device() else {
        check_cpu(plan, rule, errors);
        return;
    };
    known(plan, device, rule.span_of("device"), errors);
    let declared = plan.plug_named(device);
    if matches!(rule.action, Action::Plug(_)) && declared.is_some_and(|plug| !plug.absent()) {
        let message = format!("`{device}` is plugged in from the start");
        let hint = format!("`replug {device}`, or `absent=yes` in its declaration");
        errors.push(PlanError::new(rule.span_of("action"), message).expected(hint));
    }
}

/// Files an error if a fault names a CPU that the machine does not have.
fn check_cpu(plan: &Plan, rule: &Rule, errors: &mut Vec<PlanError>) {
    let Action::Guest(fault) = rule.action else { return };
    if let Some(cpu) = fault.cpu().filter(|cpu| *cpu as usize >= plan.cpus) {
        let error = PlanError::new(rule.span_of("cpu"), format!("there is no CPU {cpu}"));
        errors.push(error.expected(format!("from 0 to {}", plan.cpus - 1)));
    }
}

/// Files an error unless the plan plugs a device with this name.
fn known(plan: &Plan, device: &str, span: Span, errors: &mut Vec<PlanError>) {
    if plan.plug_named(device).is_some() {
        return;
    }
    let names = || plan.plugs.iter().map(|plug| plug.name.as_str());
    let error = PlanError::new(span, format!("there is no device `{device}`"));
    let hint = match names().collect::<Vec<_>>().as_slice() {
        [] => "a device declared with `plug`".to_owned(),
        all => format!("a device of this plan: {}", all.join(", ")),
    };
    errors.push(error.expected(hint).nearest(device, names()));
}
