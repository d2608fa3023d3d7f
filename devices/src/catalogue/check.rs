//! What a plan says, held against what the models have.

mod faults;
mod places;

use super::{Accepts, Model, catalogue, guest_sites, model};
use crate::fault::plan::units::TIME;
use crate::fault::plan::{Action, Load, Nanos, Plan, PlanError, Plug, Rule, Span, Trigger};
use crate::fault::plane::{Site, guest_kind};
use std::collections::BTreeMap;

/// Models with blocks.
const DISKS: [&str; 3] = ["virtio-blk", "usb-storage", "firewire-disk"];
/// Models that a user program exercises (`as=tasks`).
const PROGRAMS: [&str; 2] = ["virtio-blk", "daq"];

/// Every mistake in `plan` that the parser cannot see: models, options, values and sites that do not exist, a slot used twice, and
/// rules that can never act. Empty = the plan can run.
pub fn check(plan: &Plan) -> Vec<PlanError> {
    let mut errors = Vec::new();
    let mut slots = BTreeMap::new();
    for plug in &plan.plugs {
        check_plug(plug, &mut errors);
        places::check(plan, plug, &mut errors);
        if let Some(other) = slots.insert(plug.slot, &plug.name) {
            let message = format!("slot {} is taken by `{other}`", plug.slot);
            let error = PlanError::new(plug.span_of("slot"), message);
            errors.push(error.expected("a slot of its own for each device"));
        }
    }
    check_loads(plan, &mut errors);
    super::mirror::check(plan, &mut errors);
    for rule in &plan.rules {
        check_time(plan, rule, &mut errors);
        check_site(plan, rule, &mut errors);
        check_action(plan, rule, &mut errors);
        faults::check(plan, rule, &mut errors);
    }
    errors.sort_by_key(|error| error.span.start);
    errors.into_iter().map(|error| error.in_plan(&plan.name)).collect()
}

fn check_plug(plug: &Plug, errors: &mut Vec<PlanError>) {
    let Some(model) = model(&plug.model) else {
        let words = || catalogue().iter().map(|model| model.word);
        let message = format!("there is no model `{}`", plug.model);
        let error = PlanError::new(plug.span_of("model"), message);
        let expected = words().collect::<Vec<_>>().join(" or ");
        errors.push(error.expected(expected).nearest(&plug.model, words()));
        return;
    };
    for (name, value) in plug.options.iter().filter(|(name, _)| !super::is_place(plug, name)) {
        check_option(plug, model, name, value, errors);
    }
}

fn check_option(plug: &Plug, model: &Model, name: &str, value: &str, errors: &mut Vec<PlanError>) {
    let span = plug.span_of(name);
    let Some(option) = model.option(name) else {
        let names = || model.all_options().map(|option| option.name);
        let error = PlanError::new(span, format!("`{}` has no option `{name}`", model.word));
        let expected = format!("one of {}", names().collect::<Vec<_>>().join(", "));
        errors.push(error.expected(expected).nearest(name, names()));
        return;
    };
    if !option.accepts.takes(value) {
        let message = format!("`{name}` does not take `{value}`");
        let words = match option.accepts {
            Accepts::Words(words) => words,
            _ => &[],
        };
        let error = PlanError::new(span, message).expected(option.accepts.expected());
        errors.push(error.nearest(value, words.iter().copied()));
    }
}

fn check_loads(plan: &Plan, errors: &mut Vec<PlanError>) {
    for load in &plan.loads {
        if never_plugged(plan, &load.device) {
            errors.push(absent(&load.device, load.span_of("device")));
        }
        if load.tasks {
            check_tasks(plan, load, errors);
        }
        if load.size.is_some() {
            check_size(plan, load, errors);
        }
    }
}

/// Threads of one task at the most.
const TASK_THREADS: u32 = 16;

/// There is a program for disks, and one for data acquisition.
fn check_tasks(plan: &Plan, load: &Load, errors: &mut Vec<PlanError>) {
    let Some(plug) = plan.plug_named(&load.device) else { return };
    let is_mirrored = plug.options.get("driver").is_some_and(|word| word == "mirror");
    if is_mirrored || !PROGRAMS.contains(&plug.model.as_str()) {
        let what = if is_mirrored { "a mirror" } else { plug.model.as_str() };
        let error = PlanError::new(load.span_of("as"), format!("there is no program for {what}"));
        errors.push(error.expected(format!("`as=tasks` for one of {} only", PROGRAMS.join(", "))));
    }
    if load.depth > TASK_THREADS {
        let error = PlanError::new(load.span_of("depth"), format!("a task has no {} threads", load.depth));
        errors.push(error.expected(format!("1 to {TASK_THREADS} with `as=tasks`")));
    }
}

/// Requests have a size where there are blocks; the program for disks has its own.
fn check_size(plan: &Plan, load: &Load, errors: &mut Vec<PlanError>) {
    let Some(plug) = plan.plug_named(&load.device) else { return };
    let what = match () {
        () if load.tasks => "of a user task".to_owned(),
        () if !DISKS.contains(&plug.model.as_str()) => format!("on `{}`", plug.model),
        () => return,
    };
    let error = PlanError::new(load.span_of("size"), format!("a load {what} has no size"));
    errors.push(error.expected(format!("`size=` for kernel threads on one of {} only", DISKS.join(", "))));
}

/// A device that is not there at boot and that no rule plugs in.
fn never_plugged(plan: &Plan, name: &str) -> bool {
    let plugs = |rule: &Rule| matches!(&rule.action, Action::Plug(device) if device == name);
    plan.plug_named(name).is_some_and(Plug::absent) && !plan.rules.iter().any(plugs)
}

fn absent(name: &str, span: Span) -> PlanError {
    PlanError::new(span, format!("`{name}` is never plugged in"))
        .expected(format!("a rule with `plug {name}`, or no `absent=yes` in its declaration"))
}

fn check_time(plan: &Plan, rule: &Rule, errors: &mut Vec<PlanError>) {
    let (Trigger::At(time) | Trigger::Every(time)) = rule.trigger else { return };
    if time >= plan.run_for {
        let run = TIME.show(plan.run_for);
        let message = format!("this never happens: the plan ends at {run}");
        let error = PlanError::new(rule.span_of("when"), message);
        errors.push(error.expected(format!("a time before {run}, or a longer `run for=`")));
    }
}

fn check_site(plan: &Plan, rule: &Rule, errors: &mut Vec<PlanError>) {
    let (Trigger::Nth { device, site, .. } | Trigger::Chance { device, site, .. }) = &rule.trigger else {
        return;
    };
    let Some(plug) = plan.plug_named(device) else { return };
    let span = rule.span_of("site");
    if never_plugged(plan, device) {
        errors.push(absent(device, span));
        return;
    }
    let own = model(&plug.model).map_or(Site::CARD, |model| model.sites);
    if let Some(known) = Site::from_word(site) {
        if !own.contains(&known) {
            let message = format!("this never happens: `{}` has no `{site}`", plug.model);
            let words: Vec<_> = own.iter().map(|site| site.word()).collect();
            errors.push(PlanError::new(span, message).expected(words.join(", ")));
        }
        return;
    }
    if guest_sites().any(|word| word == site) {
        return;
    }
    let message = if guest_kind(site).is_some() {
        format!("this never happens: `{site}` does not belong to a device")
    } else {
        format!("there is no site `{site}`")
    };
    let words = || own.iter().map(|site| site.word()).chain(guest_sites());
    let error = PlanError::new(span, message);
    errors.push(error.expected("a site that `workgate devices` lists").nearest(site, words()));
}

fn check_action(plan: &Plan, rule: &Rule, errors: &mut Vec<PlanError>) {
    let Some(name) = rule.action.device() else { return };
    if plan.plug_named(name).is_none() {
        return;
    }
    if let Some(plug) = plan.plug_named(name) {
        places::check_action(plug, rule, errors);
    }
    let span = rule.span_of("action");
    if never_plugged(plan, name) {
        errors.push(absent(name, rule.span_of("device")));
    } else if matches!(rule.action, Action::Replug(_)) && !removed_before(plan, name, rule) {
        let message = format!("this does nothing: no rule takes `{name}` out before");
        errors.push(
            PlanError::new(span, message).expected(format!("an earlier `unplug {name}` or `eject {name}`")),
        );
    } else if !matches!(rule.action, Action::Plug(_) | Action::Replug(_)) && !there_before(plan, name, rule) {
        let message = format!("this does nothing: `{name}` is not plugged in by then");
        errors.push(PlanError::new(span, message).expected(format!("an earlier `plug {name}`")));
    }
}

/// True if some rule may take the device out before `rule` acts.
fn removed_before(plan: &Plan, name: &str, rule: &Rule) -> bool {
    let removes = |action: &Action| match action {
        Action::Unplug(device) | Action::Eject(device) => device == name,
        _ => false,
    };
    plan.rules.iter().any(|other| removes(&other.action) && may_precede(other, rule))
}

/// True if the device is there at boot, or some rule may plug it in before `rule` acts.
fn there_before(plan: &Plan, name: &str, rule: &Rule) -> bool {
    let plugs = |other: &Rule| {
        matches!(&other.action, Action::Plug(device) if device == name) && may_precede(other, rule)
    };
    !plan.plug_named(name).is_some_and(Plug::absent) || plan.rules.iter().any(plugs)
}

/// False only if the times alone say that `first` acts after `second`. Rules of one instant act in their order in the plan.
fn may_precede(first: &Rule, second: &Rule) -> bool {
    let earliest = |rule: &Rule| match rule.trigger {
        Trigger::At(time) | Trigger::Every(time) => time,
        Trigger::Nth { .. } | Trigger::Chance { .. } => 0,
    };
    let latest: Nanos = match second.trigger {
        Trigger::At(time) => time,
        Trigger::Every(_) | Trigger::Nth { .. } | Trigger::Chance { .. } => return true,
    };
    earliest(first) <= latest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Platform;

    fn messages(text: &str) -> Vec<String> {
        let plan = Plan::parse("t", text).expect("the parser has nothing against it");
        check(&plan).iter().map(ToString::to_string).collect()
    }

    fn only(text: &str, part: &str) {
        let found = messages(text);
        assert!(found.len() == 1 && found[0].contains(part), "{text}: {found:?}");
    }

    #[test]
    fn good_plans_pass() {
        let text = "plug edu0 edu slot=1 irq=intx dma=5us driver=close-early\n\
                    plug disk0 virtio-blk slot=2 size=16M absent=yes\n\
                    load disk0 clients=1 depth=1\n\
                    at 1ms plug disk0\n\
                    on disk0.doorbell #3 unplug disk0\n\
                    on edu0.gate.close #3 eject edu0\n\
                    every 5ms replug edu0\n\
                    on edu0.timer.fire unplug edu0\n\
                    at 9ms storm edu0 rate=1kHz for=5ms\n\
                    run for=10ms\n";
        assert_eq!(messages(text), Vec::<String>::new());
    }

    #[test]
    fn every_scenario_passes() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/scenarios");
        for folder in [folder.to_owned(), format!("{folder}/zoo")] {
            every_plan_passes(&folder);
        }
    }

    fn every_plan_passes(folder: &str) {
        let entries = std::fs::read_dir(folder).expect("the scenarios");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        for path in paths.filter(|path| path.extension().is_some_and(|e| e == "plan")) {
            let text = std::fs::read_to_string(path).expect("a plan");
            assert_eq!(messages(&text), Vec::<String>::new(), "{text}");
            let plan = Plan::parse("t", &text).expect("it parses");
            assert!(Platform::new(&plan).is_ok(), "{text}");
        }
    }

    #[test]
    fn words_that_do_not_exist() {
        only(
            "plug edu0 eud slot=1\n",
            "no model `eud`; expected edu or virtio-blk or daq or xhci or usb-storage or usb-keyboard or usb-mouse or \
             usb-serial or usb-hub or ohci or firewire-disk or firewire-node or firewire-camera; did you mean `edu`?",
        );
        only("plug edu0 edu slot=1 irk=msi\n", "no option `irk`");
        only("plug edu0 edu slot=1 irq=smoke\n", "expected msi or intx or msix");
        only("plug disk0 virtio-blk slot=1 size=513\n", "multiple of 512");
        only("plug edu0 edu slot=1 driver=close-earl\n", "expected close-early");
        only("plug edu0 edu slot=1 driver=zoo-lost-wakup\n", "did you mean `zoo-lost-wakeup`?");
        only("plug disk0 virtio-blk slot=1 driver=close-early\n", "expected mirror");
        only("plug daq0 daq slot=1 driver=close-early\n", "no option `driver`");
        only("plug edu0 edu slot=1\non edu0.mmio.wirte unplug edu0\n", "did you mean `mmio.write`?");
    }

    #[test]
    fn only_requests_of_disks_have_a_size() {
        let plan = |model: &str, more: &str| {
            format!("plug a {model} slot=1\nload a clients=1 depth=1 size=64K{more}\n")
        };
        assert_eq!(messages(&plan("virtio-blk", "")), Vec::<String>::new());
        only(
            &plan("edu", ""),
            "t:2:26: a load on `edu` has no size; expected `size=` for kernel threads on one of virtio-blk",
        );
        only(&plan("virtio-blk", " as=tasks"), "t:2:26: a load of a user task has no size");
    }

    #[test]
    fn rules_that_never_act() {
        let edu = "plug edu0 edu slot=1\n";
        let absent = "plug edu0 edu slot=1 absent=yes\n";
        only(&format!("{edu}at 10ms unplug edu0\nrun for=10ms\n"), "the plan ends at 10ms");
        only(&format!("{edu}on edu0.doorbell unplug edu0\n"), "`edu` has no `doorbell`");
        only(&format!("{edu}on edu0.boot.ready unplug edu0\n"), "does not belong to a device");
        // Threads of the plan belong to nobody, even where they use a driver's gate.
        for site in ["thread.turn", "thread.inversion"] {
            only(&format!("{edu}on edu0.{site} unplug edu0\n"), "does not belong to a device");
        }
        only(&format!("{edu}at 1ms replug edu0\n"), "no rule takes `edu0` out before");
        only(&format!("{edu}at 2ms unplug edu0\nat 1ms replug edu0\n"), "out before");
        only(&format!("{absent}at 1ms unplug edu0\n"), "never plugged in");
        only(&format!("{absent}at 1ms unplug edu0\nat 2ms plug edu0\n"), "not plugged in by then");
        only(&format!("{absent}load edu0 clients=1 depth=1\n"), "never plugged in");
        only(&format!("{absent}at 1ms freeze edu0\n"), "never plugged in");
        only(&format!("{edu}at 1ms stick edu0 for=1us\n"), "no interrupt line with `irq=msi`");
        only(&format!("{edu}at 1ms kill edu0\n"), "`edu0` has no load");
        only(
            "plug daq0 daq slot=1\nat 1ms duplicate daq0 what=completion\n",
            "no `daq` delivers a completion twice; expected `what=interrupt`, or one of edu, virtio-blk",
        );
        only(&format!("{edu}at 1ms race edu0 timer=after\n"), "`edu0` has no load");
        only("every 1ms stall cpu=0 for=1ms\n", "would never run again");
        let intx = "plug edu0 edu slot=1 irq=intx\n";
        only(&format!("{intx}every 1ms stick edu0 for=1ms\n"), "the line would never fall again");
        only(&format!("{edu}on edu0.boot.ready p=0.5 preempt\n"), "does not belong to a device");
        only(&format!("{edu}at 200ms preempt\n"), "the plan ends at 100ms");
    }
}
