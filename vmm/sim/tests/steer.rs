//! Somebody who holds a run, looks at it, and changes it.

use devices::fault::plan::{Plan, Spoken};
use sim::{Ended, Held, Outcome, Sim, Steer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::Kind;

const PLAN: &str =
    "machine cpus=2 memory=16M\nplug edu0 edu slot=1\nload edu0 clients=2 depth=4\nrun for=3ms\n";

fn plan() -> Plan {
    Plan::parse("steer.plan", PLAN).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Does something each time it looks; `looks` counts.
struct Hand<F> {
    flag: Arc<AtomicBool>,
    looks: u32,
    act: F,
}

impl<F: FnMut(&mut Held, u32)> Steer for Hand<F> {
    fn attention(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    fn look(&mut self, machine: &mut Held) {
        self.flag.store(false, Ordering::Release);
        self.looks += 1;
        (self.act)(machine, self.looks);
    }
}

/// A run with a hand that is let look at the beginning if `from_start`: how it ended, and how often the hand looked.
fn steered(from_start: bool, act: impl FnMut(&mut Held, u32)) -> (Outcome, u32) {
    let plan = plan();
    let mut hand = Hand { flag: Arc::new(AtomicBool::new(from_start)), looks: 0, act };
    let outcome =
        sim::run_on(Sim::builder().seed(5).steer(&mut hand), &plan, &mut |_| {}).expect("a machine");
    (outcome, hand.looks)
}

fn plain() -> Outcome {
    sim::run_on(Sim::builder().seed(5), &plan(), &mut |_| {}).expect("a machine")
}

#[test]
fn a_hand_that_does_nothing_changes_nothing() {
    let plain = plain();
    assert_eq!(plain.ended, Ended::Done);
    assert_eq!(steered(false, |_, _| {}), (plain.clone(), 0));
    let (outcome, looks) = steered(true, |machine, look| match look {
        1 => machine.stop_at_time(1_000_000),
        2 => machine.stop_at_event(Kind::IoDone, Some(1), 3),
        _ => assert!(!machine.cpus().is_empty()),
    });
    assert_eq!((outcome, looks), (plain, 3));
}

#[test]
fn it_stops_at_the_first_point_behind_a_time_and_right_behind_an_event() {
    let mut places = Vec::new();
    steered(true, |machine, look| {
        places.push((machine.reached(), machine.reached(), machine.now()));
        match look {
            1 => machine.stop_at_time(1_000_000),
            2 => machine.stop_at_event(Kind::IoDone, None, 2),
            _ => {}
        }
    });
    let told: Vec<_> = places.iter().map(|(first, again, _)| (*first, *again)).collect();
    assert_eq!(told, [(false, false), (true, false), (true, false)]);
    assert!(places[1].2 >= 1_000_000 && places[2].2 > places[1].2, "{places:?}");
}

#[test]
fn what_is_done_by_hand_is_done_at_once_and_is_in_the_trace() {
    let plan = plan();
    let Ok(Spoken::Now(unplug)) = plan.speak("hand", "unplug edu0") else { panic!("an action") };
    let mut told = 0;
    let mut hand = Hand {
        flag: Arc::new(AtomicBool::new(true)),
        looks: 0,
        act: |machine: &mut Held, look: u32| match look {
            1 => machine.stop_at_time(1_000_000),
            2 => machine.platform(|platform, host| platform.perform(&plan, &unplug, host)),
            _ => machine.platform(|platform, _| assert_eq!(platform.present(), 0)),
        },
    };
    let sim = Sim::builder().seed(5).steer(&mut hand);
    let mut sink =
        |event: &trace::Event| told += u32::from(event.kind == Kind::Fault && event.text_str() == "unplug");
    let outcome = sim::run_on(sim, &plan, &mut sink).expect("a machine");
    // The third look is because a device has gone.
    assert_eq!((outcome.ended, told, hand.looks), (Ended::Done, 1, 3));
}

#[test]
fn it_can_be_ended_at_any_place_and_every_stack_is_unwound() {
    for count in [1, 2, 7, 40] {
        for kind in [Kind::GateClose, Kind::Interrupt, Kind::Dispatch, Kind::IoIssue] {
            let (outcome, _) = steered(true, |machine, look| match look {
                1 => machine.stop_at_event(kind, None, count),
                _ => machine.end(),
            });
            assert_eq!((outcome.ended, outcome.abandoned), (Ended::Stopped, 0), "{kind:?} {count}");
        }
    }
}

#[test]
fn the_plan_can_be_ended_early_and_in_order() {
    let (outcome, _) = steered(true, |machine, look| match look {
        1 => {
            assert!(!machine.finish(), "its time has not begun");
            machine.stop_at_time(500_000);
        }
        _ => assert!(machine.finish()),
    });
    assert_eq!(outcome.ended, Ended::Done);
    assert!(outcome.virtual_time < plain().virtual_time);
}
