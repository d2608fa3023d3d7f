//! What is said to a platform that runs already.

use super::testing::{Bench, on};
use super::{TooLate, layout};
use crate::fault::plan::{Plan, Rule, Spoken};
use crate::spec::edu;

const TEXT: &str = "plug edu0 edu slot=1\nplug disk0 virtio-blk slot=2\non disk0.mmio.write #900 replug edu0\nrun for=100ms\n";

fn read() -> Plan {
    Plan::parse("live.plan", TEXT).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn rule(plan: &Plan, text: &str) -> Rule {
    match plan.speak("here", text) {
        Ok(Spoken::Rule(rule)) => rule,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn an_action_is_done_now_and_is_told() {
    let plan = read();
    let mut bench = Bench::new(&plan);
    assert_eq!(bench.platform.present(), 1 << 1 | 1 << 2);
    let Ok(Spoken::Now(action)) = plan.speak("here", "unplug edu0") else { panic!("an action") };
    bench.platform.perform(&plan, &action, &mut bench.machine);
    assert_eq!(bench.platform.present(), 1 << 2);
    assert_eq!(bench.machine.faults, [(1, "unplug")]);
    assert_eq!(bench.read32(Bench::bar0(1)), u32::MAX);
}

#[test]
fn occurrences_of_a_late_rule_are_counted_from_where_it_was_said() {
    let plan = read();
    let mut bench = Bench::new(&plan);
    for _ in 0..7 {
        bench.read32(Bench::bar0(1));
    }
    for text in ["on edu0.mmio.read #3 unplug edu0", "on edu0.mmio.read #2 spurious edu0"] {
        bench.platform.add_rule(&plan, &rule(&plan, text), &mut bench.machine).expect("in time");
    }
    let reads = [(); 3].map(|()| bench.read32(Bench::bar0(1)));
    assert_eq!(reads, [edu::IDENTIFICATION_VALUE, edu::IDENTIFICATION_VALUE, u32::MAX]);
}

#[test]
fn a_late_rule_waits_among_those_of_the_plan() {
    let mut plan = read();
    plan.rules = vec![on("edu0", "mmio.read", 5, crate::fault::plan::Action::Unplug("edu0".into()))];
    let mut bench = Bench::new(&plan);
    bench.read32(Bench::bar0(1));
    let eject = rule(&plan, "on edu0.mmio.read #2 eject edu0");
    bench.platform.add_rule(&plan, &eject, &mut bench.machine).expect("in time");
    for _ in 0..4 {
        bench.read32(Bench::bar0(1));
    }
    assert_eq!(bench.machine.faults, [(1, "eject"), (1, "unplug")]);
}

#[test]
fn times_are_plan_times_and_a_time_that_is_over_is_refused() {
    let plan = read();
    let mut bench = Bench::new(&plan);
    bench.machine.now = 1_000;
    bench.platform.start_plan(1_000);
    bench.run_until(5_001_000);
    let late = rule(&plan, "at 4ms unplug edu0");
    assert_eq!(bench.platform.add_rule(&plan, &late, &mut bench.machine), Err(TooLate { now: 5_000_000 }));
    let soon = rule(&plan, "at 6ms unplug edu0");
    bench.platform.add_rule(&plan, &soon, &mut bench.machine).expect("in time");
    bench.run_until(6_000_999);
    assert_eq!(bench.platform.present() & 2, 2);
    bench.run_until(6_001_000);
    assert_eq!(bench.platform.present() & 2, 0);
}

#[test]
fn a_rule_that_is_said_before_the_plans_clock_starts_waits_for_it() {
    let plan = read();
    let mut bench = Bench::new(&plan);
    let soon = rule(&plan, "at 1ms unplug edu0");
    bench.platform.add_rule(&plan, &soon, &mut bench.machine).expect("in time");
    bench.run_until(3_000_000);
    assert_eq!(bench.platform.plan_time(3_000_000), None);
    assert_eq!(bench.platform.present() & 2, 2);
    bench.platform.start_plan(3_000_000);
    bench.run_until(4_000_000);
    assert_eq!(bench.platform.present() & 2, 0);
    assert_eq!(bench.platform.plan_time(4_000_000), Some(1_000_000));
}

#[test]
fn mistakes_stand_where_they_were_said() {
    let plan = read();
    let cases = [
        ("unplug edu1", 8, "there is no device `edu1`"),
        ("unplgu edu0", 1, "unknown action `unplgu`"),
        ("storm edu0 rate=many for=1ms", 12, "many"),
        ("on edu0.mmio.raed #3 unplug edu0", 4, "mmio.raed"),
        ("at 200ms unplug edu0", 4, "the plan ends at 100ms"),
        ("stall cpu=5 for=1ms", 7, "there is no CPU 5"),
        ("unplug edu0\nunplug disk0", 12, "control character"),
        ("", 1, "action"),
    ];
    for (text, column, part) in cases {
        let errors = plan.speak("here", text).expect_err(text);
        assert_eq!((errors[0].line, errors[0].column), (1, column), "{text}: {}", errors[0]);
        assert!(
            errors[0].message.contains(part) || errors[0].to_string().contains(part),
            "{text}: {}",
            errors[0]
        );
        // Rendered under its own text it must not panic, wherever it points.
        errors.iter().for_each(|error| assert!(!error.render(text, false).is_empty()));
    }
}

#[test]
fn a_device_that_was_not_there_at_first_may_be_there_by_now() {
    let text = "plug edu0 edu slot=1 absent=yes\nat 90ms plug edu0\nrun for=100ms\n";
    let plan = Plan::parse("late.plan", text).unwrap_or_else(|errors| panic!("{errors:?}"));
    for statement in
        ["plug edu0", "unplug edu0", "replug edu0", "at 5ms spurious edu0", "on edu0.irq.raise eject edu0"]
    {
        plan.speak("here", statement).unwrap_or_else(|errors| panic!("{errors:?}"));
    }
    let errors = read().speak("here", "plug edu0").expect_err("it was never absent");
    assert!(errors[0].message.contains("plugged in from the start"), "{}", errors[0]);
}

#[test]
fn the_inventory_is_what_software_would_find() {
    let plan = read();
    let mut bench = Bench::new(&plan);
    let before = bench.platform.site_counts();
    let functions = bench.platform.functions();
    let ids: Vec<_> = functions.iter().map(|f| (f.bus, f.device, f.id)).collect();
    assert_eq!(ids[0].2.0, bench.config16(0, 0, 0));
    assert_eq!(
        ids[1..],
        [
            (0, 1, (0x1b36, 0x000c)),
            (1, 0, (0x1234, 0x11e8)),
            (0, 2, (0x1b36, 0x000c)),
            (2, 0, (0x1af4, 0x1042))
        ]
    );
    let edu = &functions[2];
    assert_eq!((edu.slot, edu.pin, edu.bars[0].address, edu.bars[0].size), (1, 1, Bench::bar0(1), 1 << 20));
    let bridge = functions[1].bridge.expect("a bridge");
    assert!(
        bridge.secondary == 1 && bridge.windows[0].is_some_and(|(base, _)| base >= layout::APERTURE_BASE)
    );
    assert_eq!(bench.platform.site_counts(), before, "nothing was counted");
}
