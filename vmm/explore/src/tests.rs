//! Schedules as lists give the same run.

use crate::shrink::{Budget, Failing, VERIFIED, Work, shrink};
use crate::{Capsule, Schedule, execute};
use devices::fault::plan::Plan;

fn plan() -> Plan {
    let text = "machine cpus=2\nplug edu0 edu slot=1\nload edu0 clients=2 depth=2\non edu0.mmio.write #40 unplug edu0\n\
                on edu0.irq.raise p=0.05 delay edu0 by=3us\n                at 500us replug edu0\nrun for=1ms\n";
    Plan::parse("t.plan", text).expect("a good plan")
}

#[test]
fn a_recorded_schedule_gives_the_same_trace() {
    let plan = plan();
    let schedules = (0..60).flat_map(|seed| {
        let pct = Schedule::Pct { seed, depth: 1 + (seed % 5) as u32, horizon: 3_000_000 };
        [Schedule::Seed(seed), pct, Schedule::Pos { seed }]
    });
    let mut lengths = Vec::new();
    for schedule in schedules {
        let (run, list) = execute::recorded(&plan, &schedule, &mut |_| {}).expect("it starts");
        let list = list.expect("a short run");
        lengths.push(list.len());
        let again =
            execute::run(&plan, &Schedule::List { deviations: list, dice: schedule.dice() }, &mut |_| {})
                .expect("it starts");
        assert_eq!(run.outcome.trace_hash, again.outcome.trace_hash, "{schedule:?}");
    }
    assert!(lengths.iter().any(|n| *n > 100) && lengths.iter().any(|n| *n < 100), "{lengths:?}");
}

#[test]
fn correct_drivers_show_no_cause() {
    for seed in 0..20 {
        for schedule in [Schedule::Seed(seed), Schedule::Pos { seed }] {
            let run = execute::run(&plan(), &schedule, &mut |_| {}).expect("it starts");
            assert_eq!(run.cause, None, "{schedule:?}: {}", verdict::render(&run.verdict));
        }
    }
}

/// What is behind a controller is numbered by its place in the plan: a device that goes makes others' numbers change.
#[test]
fn a_bug_of_a_usb_device_becomes_small() {
    let text = "plug usb0 xhci slot=3\nplug mouse0 usb-mouse on=usb0 port=2\nplug hub0 usb-hub on=usb0 port=4\n\
                plug kb0 usb-keyboard on=hub0 port=1 driver=zoo-usb-asks-again period=2ms\nplug tty0 usb-serial on=usb0 port=3\n\
                load mouse0 clients=1 depth=1\nload kb0 clients=4 depth=2\nat 150ms unplug kb0\nat 250ms replug kb0\nrun for=300ms\n";
    let plan = Plan::parse("t.plan", text).expect("a good plan");
    let cause = crate::Cause { rule: "endpoint-after-removal".to_owned() };
    let failing = Failing { plan, schedule: Schedule::none(0), cause: cause.clone() };
    let small = shrink(&failing, &mut Budget { runs: 400, stop: &mut |_| false }).expect("it fails");
    let plan = Plan::parse("small.plan", &small.capsule.plan).expect("a plan");
    let names: Vec<_> = plan.plugs.iter().map(|plug| plug.name.as_str()).collect();
    assert_eq!(names, ["usb0", "kb0"], "{}", small.capsule.plan);
    assert_eq!(plan.plugs[1].on(), Some("usb0"), "the hub is not needed");
    assert_eq!((small.statements, small.verified), (4, VERIFIED), "{}", small.capsule.plan);
    let run = execute::run(&plan, &small.capsule.schedule, &mut |_| {}).expect("it starts");
    assert_eq!((run.cause, run.outcome.trace_hash), (Some(cause), small.capsule.hash));
    assert_eq!(run.verdict.findings[0].device.as_deref(), Some("kb0"));
}

/// Who has had enough gets what there is, run again once at least.
#[test]
fn making_small_stops_when_it_is_enough() {
    let text = include_str!("../../../tests/scenarios/close-early.plan");
    let plan = Plan::parse("close-early.plan", text).expect("a good plan");
    let cause = crate::Cause { rule: "close-before-return".to_owned() };
    let failing = Failing { plan, schedule: Schedule::Seed(1), cause };
    let (mut asked, mut looked) = (Vec::new(), 0);
    let mut stop = |work| {
        asked.push(work);
        looked += u32::from(work == Work::Shrinking);
        work == Work::Verifying || looked > 10
    };
    let small = shrink(&failing, &mut Budget { runs: 3_000, stop: &mut stop }).expect("it fails");
    assert_eq!((small.tried, small.verified, small.runs), (1, 1, 10 + 1 + 1));
    assert_eq!(asked.iter().filter(|&&work| work == Work::Verifying).count(), 1);
}

#[test]
fn a_bug_becomes_small() {
    let text = include_str!("../../../tests/scenarios/close-early.plan");
    let plan = Plan::parse("close-early.plan", text).expect("a good plan");
    let schedule = Schedule::Seed(1);
    let run = execute::run(&plan, &schedule, &mut |_| {}).expect("it starts");
    let cause = run.cause.expect("a bug");
    assert_eq!(cause.rule, "close-before-return");
    let failing = Failing { plan, schedule, cause: cause.clone() };
    let small = shrink(&failing, &mut Budget { runs: 3_000, stop: &mut |_| false }).expect("it fails");
    println!("{}", small.capsule);
    assert!(small.statements <= 3 && small.preemptions <= 3 && small.runs < 3_000, "{small:?}");
    let (load, end) = (&Plan::parse("t", &small.capsule.plan).expect("a plan"), 1_000_000);
    assert!(load.loads.iter().all(|load| load.clients * load.depth <= 4), "{}", small.capsule.plan);
    assert!(load.run_for < end && load.expects.is_empty() && load.cpus == 1, "{}", small.capsule.plan);
    assert_eq!((small.tried, small.verified), (VERIFIED, VERIFIED));
    let capsule = Capsule::parse(&small.capsule.to_string()).expect("it is read again");
    let plan = Plan::parse(&capsule.name, &capsule.plan).expect("a good plan");
    let again = execute::run(&plan, &capsule.schedule, &mut |_| {}).expect("it starts");
    assert_eq!((again.cause, again.outcome.trace_hash), (Some(cause), capsule.hash));
}
