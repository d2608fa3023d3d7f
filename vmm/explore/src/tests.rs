//! Schedules as lists give the same run.

use crate::{Schedule, execute};
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
