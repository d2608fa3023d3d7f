//! The words for what goes wrong: how they read, how they print, and which mistakes are told.

use crate::fault::plan::{
    Action, Chance, DeviceFault, GuestFault, Plan, PlanError, Scarcity, Trigger, What, limits,
};
use proptest::option;
use proptest::prelude::*;

/// Any fault of a device.
pub(crate) fn device_fault() -> impl Strategy<Value = DeviceFault> {
    let (count, time) = (|| limits::FAULTS, || limits::DURATION);
    prop_oneof![
        Just(DeviceFault::Spurious),
        count().prop_map(|count| DeviceFault::Drop { count }),
        (any::<bool>(), time(), count()).prop_map(|(irq, by, count)| DeviceFault::Delay {
            what: if irq { What::Interrupt } else { What::Completion },
            by,
            count
        }),
        (any::<bool>(), time(), count()).prop_map(|(irq, after, count)| DeviceFault::Duplicate {
            what: if irq { What::Interrupt } else { What::Completion },
            after,
            count
        }),
        limits::SHORT.prop_map(|duration| DeviceFault::Stick { duration }),
        time().prop_map(|duration| DeviceFault::Mute { duration }),
        option::of(time()).prop_map(|duration| DeviceFault::Freeze { duration }),
        count().prop_map(|count| DeviceFault::Corrupt { count }),
        count().prop_map(|count| DeviceFault::ShortDma { count }),
        (time(), count()).prop_map(|(by, count)| DeviceFault::LateDma { by, count }),
        option::of(time()).prop_map(|duration| DeviceFault::LinkDown { duration }),
        count().prop_map(|count| DeviceFault::UsbStall { count }),
        count().prop_map(|count| DeviceFault::UsbError { count }),
        count().prop_map(|count| DeviceFault::Babble { count }),
        time().prop_map(|duration| DeviceFault::Nak { duration }),
        (1u8..16, option::of(time()))
            .prop_map(|(port, duration)| DeviceFault::DisconnectPort { port, duration }),
        (1u8..16, option::of(time()))
            .prop_map(|(port, duration)| DeviceFault::Overcurrent { port, duration }),
    ]
}

/// Any probability.
pub(crate) fn chance() -> impl Strategy<Value = Chance> {
    (1..=1_000_000_000u32).prop_map(|parts| Chance::from_parts(parts).expect("in range"))
}

/// Any fault of a guest with `cpus` processors.
pub(crate) fn guest_fault(cpus: u32) -> impl Strategy<Value = GuestFault> {
    prop_oneof![
        (0..cpus, limits::SHORT).prop_map(|(cpu, duration)| GuestFault::Stall { cpu, duration }),
        limits::SHORT.prop_map(|by| GuestFault::ClockJump { by }),
        option::of(0..cpus).prop_map(|cpu| GuestFault::Preempt { cpu }),
        limits::ALLOCATIONS.prop_map(|n| GuestFault::FailAlloc(Scarcity::Nth(n))),
        (chance(), option::of(limits::DURATION))
            .prop_map(|(chance, duration)| GuestFault::FailAlloc(Scarcity::Chance { chance, duration })),
    ]
}

fn plan(rule: &str) -> Result<Plan, Vec<PlanError>> {
    Plan::parse("p.plan", &format!("plug edu0 edu slot=1\n{rule}\n"))
}

fn action(rule: &str) -> Action {
    plan(rule).unwrap_or_else(|errors| panic!("{errors:?}")).rules[0].action.clone()
}

fn error(rule: &str) -> PlanError {
    let mut errors = plan(rule).expect_err(rule);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

#[test]
fn faults_mean_what_they_say_and_print_as_they_were() {
    for text in [
        "at 5ms spurious edu0",
        "on edu0.irq.raise #3 drop edu0",
        "at 5ms drop edu0 count=3",
        "at 5ms delay edu0 by=2ms",
        "at 5ms delay edu0 what=completion by=2ms count=2",
        "at 5ms duplicate edu0",
        "at 5ms duplicate edu0 after=20us count=4",
        "at 5ms duplicate edu0 what=completion",
        "on edu0.dma.write #3 duplicate edu0 what=completion after=20us count=4",
        "at 5ms stick edu0 for=1ms",
        "at 5ms mute edu0 for=1ms",
        "at 5ms freeze edu0",
        "at 5ms freeze edu0 for=1ms",
        "on edu0.dma.write p=0.01 corrupt edu0",
        "at 5ms short-dma edu0",
        "at 5ms late-dma edu0 by=30us",
        "at 5ms link-down edu0 for=3ms",
        "at 5ms race edu0 timer=before",
        "at 5ms race edu0 timer=after",
        "at 5ms kill edu0",
        "every 5ms stall cpu=1 for=1ms",
        "at 5ms clock-jump by=1s",
        "on edu0.gate.close p=1 preempt",
        "at 5ms preempt cpu=0",
        "on edu0.start #1 fail-alloc #3  # and a comment",
        "at 5ms fail-alloc p=0.25 for=2ms",
        "at 5ms fail-alloc p=0.25",
    ] {
        let plan = plan(text).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(plan.to_string(), format!("plug edu0 edu slot=1\n{text}\n"));
    }
    let delay = DeviceFault::Delay { what: What::Interrupt, by: 2_000_000, count: 1 };
    assert_eq!(
        action("at 1ms delay edu0 by=2ms what=interrupt"),
        Action::Fault { device: "edu0".into(), fault: delay }
    );
    assert_eq!(action("at 1ms fail-alloc"), Action::Guest(GuestFault::FailAlloc(Scarcity::Nth(1))));
    let trigger = plan("on edu0.start p=0.5 unplug edu0").map(|plan| plan.rules[0].trigger.clone());
    let chance = Chance::parse("0.5").expect("a probability");
    assert_eq!(trigger, Ok(Trigger::Chance { device: "edu0".into(), site: "start".into(), chance }));
}

#[test]
fn mistakes_are_told_with_what_was_expected() {
    for (rule, message) in [
        ("at 1ms delay edu0", "`by=` is missing"),
        ("at 1ms delay edu0 by=1ms what=dma", "`dma` is not a value of `what`"),
        ("at 1ms race edu0", "`timer=` is missing"),
        ("at 1ms race edu0 timer=first", "`first` is not a value of `timer`"),
        ("at 1ms stick edu0", "`for=` is missing"),
        ("at 1ms drop edu0 count=0", "`0` is out of range"),
        ("at 1ms spurious edu0 count=2", "unknown option `count`"),
        ("at 1ms freeze", "the statement ends too early"),
        ("at 1ms freeze edu1", "there is no device `edu1`"),
        ("on edu0.start p=1.5 freeze edu0", "`1.5` is not a probability"),
        ("on edu0.start p=0 freeze edu0", "`0` is not a probability"),
        ("at 1ms fail-alloc p=", "`` is not a probability"),
        ("at 1ms fail-alloc #0", "`0` is out of range"),
        ("at 1ms fail-alloc #2 p=0.5", "unknown option `p`"),
        ("at 1ms stall cpu=2 for=1ms", "there is no CPU 2"),
        ("at 1ms stall for=1ms", "`cpu=` is missing"),
        ("at 1ms preempt edu0", "`edu0` is one word too many"),
        ("at 1ms clock-jump by=1h", "unknown unit `h`"),
        ("at 1ms freez edu0", "unknown action `freez`"),
    ] {
        let error = error(rule);
        assert_eq!(error.message, message, "{rule}");
        assert!(error.expected.is_some() && error.line == 2, "{rule}: {error:?}");
    }
    assert_eq!(error("at 1ms freez edu0").suggestion.as_deref(), Some("freeze"));
}
