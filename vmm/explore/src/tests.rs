//! Schedules as lists give the same run.

use crate::shrink::{Budget, Failing, shrink};
use crate::{Capsule, Schedule, execute};
use devices::fault::plan::Plan;

fn plan() -> Plan {
    let text = "machine cpus=2\nplug edu0 edu slot=1\nload edu0 clients=2 depth=2\non edu0.mmio.write #40 unplug edu0\n\
                at 500us replug edu0\nrun for=1ms\n";
    Plan::parse("t.plan", text).expect("a good plan")
}

#[test]
fn a_recorded_schedule_gives_the_same_trace() {
    let plan = plan();
    let schedules = (0..60).flat_map(|seed| {
        [Schedule::Seed(seed), Schedule::Pct { seed, depth: 1 + (seed % 5) as u32, horizon: 3_000_000 }]
    });
    let mut lengths = Vec::new();
    for schedule in schedules {
        let (run, list) = execute::recorded(&plan, &schedule, &mut |_| {}).expect("it starts");
        let list = list.expect("a short run");
        lengths.push(list.len());
        let again = execute::run(&plan, &Schedule::List(list), &mut |_| {}).expect("it starts");
        assert_eq!(run.outcome.trace_hash, again.outcome.trace_hash, "{schedule:?}");
    }
    assert!(lengths.iter().any(|n| *n > 100) && lengths.iter().any(|n| *n < 100), "{lengths:?}");
}

#[test]
fn correct_drivers_show_no_cause() {
    for seed in 0..20 {
        let run = execute::run(&plan(), &Schedule::Seed(seed), &mut |_| {}).expect("it starts");
        assert_eq!(run.cause, None, "{}", verdict::render(&run.verdict));
    }
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
    let mut never = || false;
    let small = shrink(&failing, &mut Budget { runs: 3_000, stop: &mut never }).expect("it fails");
    println!("{}", small.capsule);
    assert!(small.statements <= 3 && small.preemptions <= 3 && small.runs < 3_000, "{small:?}");
    let (load, end) = (&Plan::parse("t", &small.capsule.plan).expect("a plan"), 1_000_000);
    assert!(load.loads.iter().all(|load| load.clients * load.depth <= 4), "{}", small.capsule.plan);
    assert!(load.run_for < end && load.expects.is_empty() && load.cpus == 1, "{}", small.capsule.plan);
    assert_eq!(small.verified, crate::shrink::VERIFIED);
    let capsule = Capsule::parse(&small.capsule.to_string()).expect("it is read again");
    let plan = Plan::parse(&capsule.name, &capsule.plan).expect("a good plan");
    let again = execute::run(&plan, &capsule.schedule, &mut |_| {}).expect("it starts");
    assert_eq!((again.cause, again.outcome.trace_hash), (Some(cause), capsule.hash));
}
