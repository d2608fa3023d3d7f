//! A machine that stands behind events, on the stacks of its threads, for a debugger.

use devices::fault::plan::Plan;
use sim::debug::{ALL_THREADS, Board, TO_THE_END};
use sim::{Ended, Held, Outcome, Sim, Steer};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::{Event, Kind};

const PLAN: &str =
    "machine cpus=2 memory=16M\nplug edu0 edu slot=1\nload edu0 clients=2 depth=4\nrun for=400us\n";
const REMOVAL: &str = "on edu0.mmio.write #30 unplug edu0\n";

fn plan(more: &str) -> Plan {
    let text = PLAN.replace("run", &format!("{more}run"));
    Plan::parse("stand.plan", &text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// What a [`Hand`] does when the machine stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It has come to a place: a debugger is let look.
    Come,
    /// A debugger has looked at the thread that runs: it is let look at all others.
    Looked,
    /// It goes on to the next place.
    Visited,
}

/// Stops behind every event, and has all stacks shown there.
struct Hand {
    flag: Arc<AtomicBool>,
    board: Rc<Board>,
    seen: Rc<RefCell<Vec<Event>>>,
    step: Step,
    /// Number on the board, and events that the sink had, at each place.
    places: Vec<(u64, usize)>,
    /// Threads that were visited last, at each place.
    visited: Vec<u64>,
}

impl Hand {
    fn new(seen: Rc<RefCell<Vec<Event>>>) -> Self {
        let flag = Arc::new(AtomicBool::new(true));
        Self { flag, board: Rc::default(), seen, step: Step::Come, places: Vec::new(), visited: Vec::new() }
    }
}

impl Steer for Hand {
    fn attention(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }

    fn look(&mut self, machine: &mut Held) {
        let number = self.board.number.get();
        if self.flag.swap(false, Ordering::AcqRel) {
            return machine.stop_behind(1);
        }
        match self.step {
            Step::Come if !machine.reached() => {}
            Step::Come => {
                self.places.push((number, self.seen.borrow().len()));
                self.board.visited.set(0);
                self.step = Step::Looked;
                machine.stand();
            }
            Step::Looked => {
                self.step = Step::Visited;
                machine.visit(ALL_THREADS);
            }
            Step::Visited => {
                self.visited.push(self.board.visited.get());
                self.step = Step::Come;
                machine.stop_behind(number + 1);
            }
        }
    }

    fn board(&self) -> Option<Rc<Board>> {
        Some(self.board.clone())
    }
}

fn plain(plan: &Plan) -> Outcome {
    sim::run_on(Sim::builder().seed(5), plan, &mut |_| {}).expect("a machine")
}

/// A run that stops behind every event.
fn stepped(plan: &Plan) -> (Outcome, Hand, Vec<Event>) {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut hand = Hand::new(seen.clone());
    let sim = Sim::builder().seed(5).steer(&mut hand);
    let outcome = sim::run_on(sim, plan, &mut |event| seen.borrow_mut().push(*event)).expect("a machine");
    let events = seen.take();
    (outcome, hand, events)
}

#[test]
fn a_run_that_stops_behind_every_event_is_the_same_run() {
    let plan = plan("");
    let plain = plain(&plan);
    assert_eq!(plain.ended, Ended::Done);
    let (outcome, hand, events) = stepped(&plan);
    assert_eq!(outcome, plain);
    let expected: Vec<_> = (1..=events.len()).map(|number| (number as u64, number)).collect();
    assert_eq!(hand.places, expected, "each event has a place, and the sink has all of them there");
    let busy = hand.visited.iter().filter(|thread| **thread != 0).count();
    assert!(busy > events.len() / 2, "threads have stacks that are shown: {busy} of {}", events.len());
    assert_ne!(hand.board.directory.get(), 0, "the kernel publishes its threads");
}

#[test]
fn what_the_machine_itself_records_is_stopped_behind_too() {
    let plan = plan(REMOVAL);
    let (outcome, hand, events) = stepped(&plan);
    assert_eq!(outcome, plain(&plan));
    let unplug = events.iter().position(|event| event.kind == Kind::Fault).expect("it is in the trace");
    let number = unplug as u64 + 1;
    assert!(hand.places.contains(&(number, unplug + 1)), "event {number} has no place");
}

#[test]
fn a_goal_that_is_passed_is_reached_at_once_and_none_is_never_reached() {
    struct Goal(Arc<AtomicBool>, Rc<Board>, u64, Vec<u64>);
    impl Steer for Goal {
        fn attention(&self) -> Arc<AtomicBool> {
            self.0.clone()
        }
        fn look(&mut self, machine: &mut Held) {
            if self.0.swap(false, Ordering::AcqRel) {
                return machine.stop_behind(20);
            }
            if machine.reached() {
                self.3.push(self.1.number.get());
                machine.stop_behind(self.2);
                self.2 = TO_THE_END;
            }
        }
        fn board(&self) -> Option<Rc<Board>> {
            Some(self.1.clone())
        }
    }
    for (next, expected) in [(TO_THE_END, vec![20]), (7, vec![20, 20]), (25, vec![20, 25])] {
        let mut goal = Goal(Arc::new(AtomicBool::new(true)), Rc::default(), next, Vec::new());
        let plan = plan("");
        let outcome = sim::run_on(Sim::builder().seed(5).steer(&mut goal), &plan, &mut |_| {});
        assert_eq!(outcome.expect("a machine").ended, Ended::Done);
        assert_eq!(goal.3, expected);
    }
}
