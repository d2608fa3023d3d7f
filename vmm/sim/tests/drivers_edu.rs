//! The edu driver on the PCI family, under plans and many seeds.

mod common;

use common::{judge, passes};
use devices::fault::plan::Plan;
use trace::Kind;

#[test]
fn a_card_works() {
    passes("machine cpus=1\nplug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=2ms\n", 0..20);
}

#[test]
fn a_card_that_goes_and_comes_back() {
    passes(
        "machine cpus=2\nplug edu0 edu slot=1\nload edu0 clients=4 depth=8\n\
         on edu0.mmio.write #40 unplug edu0\nat 10ms replug edu0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=15ms\n",
        0..20,
    );
}

#[test]
fn cards_are_ejected_in_order_and_torn_out() {
    passes(
        "machine cpus=2\nplug edu0 edu slot=1\nplug edu1 edu slot=2\nload edu0 clients=2 depth=4\nload edu1 clients=1 depth=2\n\
         at 2ms eject edu0\nat 3ms unplug edu1\nat 5ms replug edu1\nat 10ms replug edu0\nat 12ms eject edu1\nat 20ms replug edu1\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=30ms\n",
        0..10,
    );
}

#[test]
fn a_card_is_torn_out_while_it_is_ejected() {
    passes(
        "machine cpus=2\nplug edu0 edu slot=1\nload edu0 clients=4 depth=8\nat 2ms eject edu0\n\
         on edu0.willTerminate #1 unplug edu0\nat 10ms replug edu0\n\
         expect offline within=20ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=15ms\n",
        0..15,
    );
}

#[test]
fn a_card_goes_while_its_driver_starts() {
    for access in 1..30 {
        for site in ["mmio.read", "mmio.write", "config.read", "config.write"] {
            passes(
                &format!(
                    "machine cpus=2\nplug edu0 edu slot=1 absent=yes\nload edu0 clients=1 depth=1\nat 1ms plug edu0\n\
                     on edu0.{site} #{access} unplug edu0\nat 5ms replug edu0\n\
                     expect no-leaks\nrun for=7ms\n"
                ),
                0..1,
            );
        }
    }
}

#[test]
fn two_cards_on_one_line_and_a_storm() {
    passes(
        "machine cpus=2\nplug edu0 edu slot=1 irq=intx\nplug edu1 edu slot=5 irq=intx\n\
         load edu0 clients=2 depth=4\nload edu1 clients=2 depth=4\n\
         at 1ms storm edu0 rate=50kHz for=5ms\nat 8ms unplug edu0\nat 12ms replug edu0\n\
         expect offline within=5ms\nexpect quiet within=1s\nexpect no-leaks\nrun for=20ms\n",
        0..10,
    );
}

/// The card finishes what it was doing after its driver let go of the line: it must not assert it any more, or the handlers of
/// the other card are called over and over.
#[test]
fn a_card_on_a_shared_line_is_ejected_at_work() {
    for at in (2000..2100).step_by(5) {
        let text = format!(
            "machine cpus=2\nplug edu0 edu slot=1 irq=intx\nplug edu1 edu slot=5 irq=intx\n\
             load edu0 clients=1 depth=2\nload edu1 clients=3 depth=3\nat {at}us eject edu1\nrun for=6ms\n"
        );
        let plan = Plan::parse("test.plan", &text).unwrap();
        let (mut unclaimed, mut most) = (0, 0);
        sim::run(&plan, at, &mut |event| {
            if event.kind == Kind::Filter {
                unclaimed = if event.arg == 0 { unclaimed + 1 } else { 0 };
                most = most.max(unclaimed);
            }
        })
        .unwrap();
        assert!(most < 16, "at {at} us: {most} interrupts in a row were nobody's");
    }
}

#[test]
fn the_driver_that_closes_early_is_found() {
    for seed in 0..20 {
        let (verdict, _) = judge(
            "machine cpus=2\nplug edu0 edu slot=1 driver=close-early\nload edu0 clients=4 depth=8\n\
             on edu0.mmio.write #40 unplug edu0\nexpect quiet within=1s\nexpect no-leaks\nrun for=10ms\n",
            seed,
        );
        assert!(!verdict.passed, "seed {seed}");
        let rules: Vec<_> = verdict.findings.iter().map(|f| f.rule.as_str()).collect();
        assert_eq!(rules[0], "close-before-return", "seed {seed}: {rules:?}");
    }
}

/// OV1: the plan says what is too long, and a driver that was right a moment ago is named.
#[test]
fn the_plan_says_how_long_an_action_may_take() {
    let text = |limit: &str| {
        format!("machine cpus=1{limit}\nplug edu0 edu slot=1\nload edu0 clients=1 depth=1\nrun for=2ms\n")
    };
    let (verdict, _) = judge(&text(" overstay=1ns"), 3);
    assert!(!verdict.passed && verdict.findings.iter().all(|f| f.rule == "overstay"), "{verdict:?}");
    assert!(verdict.findings.iter().any(|f| f.device.as_deref() == Some("edu0")), "{verdict:?}");
    for limit in ["", " overstay=0ns"] {
        assert!(judge(&text(limit), 3).0.passed, "{limit}");
    }
}
