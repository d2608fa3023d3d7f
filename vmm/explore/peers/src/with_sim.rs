//! The model on Workgate's kernel, in its simulator.

use crate::model::{self, Bug};
use crate::world::World;
use explore::{Pct, Pos};
use mach::{KernelRef, LockClass, Policy, RecursiveLock, Thread, WaitEvent, WaitMode, band};
use sim::{Chooser, Ended, Limits, Outcome, Sim};
use std::sync::{Arc, Mutex, PoisonError};
use trace::{Event, Kind};

/// The model's threads, and the one that starts them: each has a CPU, so that the chooser decides which goes on.
const CPUS: usize = 4;
/// Machine time of a run at the most, in ns: it takes some tens of microseconds.
const LIMITS: Limits =
    Limits { spins: 100_000, idle_points: 100_000, points: 1_000_000, time: 1_000_000_000 };
/// What the kernel calls a circle in the order of locks, and one that is closed.
const CIRCLES: [&str; 2] = ["lock-order", "deadlock"];

#[derive(Clone)]
struct Mach(KernelRef);

struct Gate<T> {
    lock: RecursiveLock,
    event: WaitEvent,
    /// Never contended: whoever is here has the lock.
    value: Mutex<T>,
}

impl<T> Gate<T> {
    fn value<R>(&self, action: impl FnOnce(&mut T) -> R) -> R {
        action(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Mach {
    fn open<T>(&self, gate: &Gate<T>) {
        gate.lock.unlock(&self.0);
        if self.0.traced() {
            self.0.trace(Event::new(Kind::GateOpen));
        }
    }
}

impl World for Mach {
    type Gate<T: Send + 'static> = Gate<T>;
    type Thread = Arc<Thread>;

    fn gate<T: Send + 'static>(&self, value: T) -> Gate<T> {
        // A class for each gate: the kernel watches the order in which they are taken.
        let class = match self.0.traced() {
            true => self.0.lock_class(std::any::type_name::<T>()),
            false => LockClass::NONE,
        };
        let lock = RecursiveLock::in_class(&self.0, class);
        Gate { lock, event: self.0.new_event(), value: Mutex::new(value) }
    }

    fn run<T: Send + 'static, R>(&self, gate: &Gate<T>, action: impl FnOnce(&mut T) -> R) -> R {
        gate.lock.lock(&self.0);
        let result = gate.value(action);
        self.open(gate);
        result
    }

    fn change<T: Send + 'static, R>(&self, gate: &Gate<T>, action: impl FnOnce(&mut T) -> R) -> R {
        gate.lock.lock(&self.0);
        let result = gate.value(action);
        self.0.wakeup(gate.event);
        self.open(gate);
        result
    }

    fn sleep<T: Send + 'static, R>(&self, gate: &Gate<T>, mut ready: impl FnMut(&mut T) -> Option<R>) -> R {
        gate.lock.lock(&self.0);
        loop {
            if let Some(result) = gate.value(&mut ready) {
                self.open(gate);
                return result;
            }
            gate.lock.sleep(&self.0, gate.event, WaitMode::Uninterruptible, None);
        }
    }

    fn nested<T: Send + 'static, U: Send + 'static>(&self, outer: &Gate<T>, inner: &Gate<U>) {
        outer.lock.lock(&self.0);
        inner.lock.lock(&self.0);
        self.open(inner);
        self.open(outer);
    }

    fn spawn(&self, name: &'static str, body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
        let thread = self.0.spawn(name, band::KERNEL, Policy::Fixed, move |_| body());
        thread.expect("memory for a stack")
    }

    fn join(&self, thread: Arc<Thread>) {
        thread.join(&self.0);
    }
}

/// One run under `chooser`.
fn once(bug: Bug, chooser: Box<dyn Chooser>, traced: bool, sink: &mut dyn FnMut(&Event)) -> Outcome {
    let machine = Sim::builder().cpus(CPUS).chooser(chooser).limits(LIMITS);
    let machine = if traced { machine } else { machine.untraced() };
    let body = move |kernel: &KernelRef| model::run(&Mach(kernel.clone()), bug);
    machine.run_kernel(body, sink).expect("the machine starts")
}

/// What counts as a failure, and whether events are recorded: each costs a little machine time, so that a run with them is not one without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// Failed assertions and deadlocks; no events.
    Failures,
    /// The same, with events.
    Traced,
    /// What the kernel says about the order of locks, too.
    Oracles,
}

/// Executions until `bug` shows, with a chooser for each from `choose`; false if it does not in `most`.
fn executions(
    bug: Bug,
    most: usize,
    watch: Watch,
    mut choose: impl FnMut(u64) -> Box<dyn Chooser>,
) -> (bool, u64) {
    for number in 0..most as u64 {
        let mut circle = false;
        let mut look =
            |event: &Event| circle |= event.kind == Kind::Violation && CIRCLES.contains(&event.text_str());
        let outcome = once(bug, choose(number), watch != Watch::Failures, &mut look);
        if outcome.ended != Ended::Done || (circle && watch == Watch::Oracles) {
            return (true, number + 1);
        }
    }
    (false, most as u64)
}

/// Random schedules.
pub fn random(bug: Bug, seed: u64, most: usize, watch: Watch) -> (bool, u64) {
    executions(bug, most, watch, |n| Box::new(sim::chooser::Seeded::new(seed.wrapping_add(n))))
}

/// PCT schedules: changes of mind at any time of a run.
pub fn pct(bug: Bug, depth: u32, seed: u64, most: usize) -> (bool, u64) {
    let horizon = reference(bug);
    executions(bug, most, Watch::Failures, |n| Box::new(Pct::new(seed.wrapping_add(n), depth, horizon)))
}

/// Partial order sampling: steps from one gate to the next, in the order of random ranks.
pub fn pos(bug: Bug, seed: u64, most: usize, watch: Watch) -> (bool, u64) {
    executions(bug, most, watch, |n| Box::new(Pos::new(seed.wrapping_add(n))))
}

/// PCT schedules whose changes of mind fall where a gate opens: between two of these, a thread does nothing that another could see. Each execution
/// tells where gates open after the last change; one of these places is the next change, up to `depth` executions with the same ranks.
pub fn sites(bug: Bug, depth: u32, seed: u64, most: usize, watch: Watch) -> (bool, u64) {
    let mut executions = 0;
    for ranks in seed.. {
        let (mut rng, mut changes) = (sim::Rng::new(ranks), Vec::new());
        for _ in 0..depth {
            if executions >= most as u64 {
                return (false, executions);
            }
            let (found, places) = at_places(bug, ranks, &changes, watch);
            executions += 1;
            if found {
                return (true, executions);
            }
            match places.len() {
                0 => break,
                some => changes.push(places[rng.below(some as u32) as usize]),
            }
        }
    }
    (false, executions)
}

/// One of them: whether it fails, and where gates open after the last change.
fn at_places(bug: Bug, ranks: u64, changes: &[u64], watch: Watch) -> (bool, Vec<u64>) {
    let last = changes.last().copied().unwrap_or(0);
    let (mut places, mut circle) = (Vec::new(), false);
    let outcome = once(bug, Box::new(Pct::demoting(ranks, changes)), true, &mut |event| match event.kind {
        Kind::GateOpen if event.time > last => places.push(event.time),
        Kind::Violation => circle |= CIRCLES.contains(&event.text_str()),
        _ => {}
    });
    (outcome.ended != Ended::Done || (circle && watch == Watch::Oracles), places)
}

/// How long a run takes.
fn reference(bug: Bug) -> u64 {
    once(bug, Box::new(sim::chooser::Plain), false, &mut |_| {}).virtual_time
}
