//! The model under loom: every schedule with a bounded number of preemptions.

use crate::model::{self, Bug};
use crate::world::World;
use loom::sync::{Condvar, Mutex};
use loom::thread::JoinHandle;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Clone)]
struct Loom;

struct Gate<T> {
    value: Mutex<T>,
    sleepers: Condvar,
}

impl World for Loom {
    type Gate<T: Send + 'static> = Gate<T>;
    type Thread = JoinHandle<()>;

    fn gate<T: Send + 'static>(&self, value: T) -> Gate<T> {
        Gate { value: Mutex::new(value), sleepers: Condvar::new() }
    }

    fn run<T: Send + 'static, R>(&self, gate: &Gate<T>, action: impl FnOnce(&mut T) -> R) -> R {
        action(&mut gate.value.lock().expect("nobody panics in a gate that goes on"))
    }

    fn change<T: Send + 'static, R>(&self, gate: &Gate<T>, action: impl FnOnce(&mut T) -> R) -> R {
        let mut value = gate.value.lock().expect("nobody panics in a gate that goes on");
        let result = action(&mut value);
        gate.sleepers.notify_all();
        result
    }

    fn sleep<T: Send + 'static, R>(&self, gate: &Gate<T>, mut ready: impl FnMut(&mut T) -> Option<R>) -> R {
        let mut value = gate.value.lock().expect("nobody panics in a gate that goes on");
        loop {
            if let Some(result) = ready(&mut value) {
                return result;
            }
            value = gate.sleepers.wait(value).expect("nobody panics in a gate that goes on");
        }
    }

    fn nested<T: Send + 'static, U: Send + 'static>(&self, outer: &Gate<T>, inner: &Gate<U>) {
        let _outer = outer.value.lock().expect("nobody panics in a gate that goes on");
        let _inner = inner.value.lock().expect("nobody panics in a gate that goes on");
    }

    fn spawn(&self, _: &'static str, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        loom::thread::spawn(body)
    }

    fn join(&self, thread: JoinHandle<()>) {
        thread.join().expect("a thread that panics ends the run");
    }
}

/// Executions until `bug` shows, with at most `preemptions` in each, within `limit`.
pub fn exhaustive(bug: Bug, preemptions: usize, limit: Duration) -> (bool, u64) {
    let count = Arc::new(AtomicU64::new(0));
    let own = count.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_duration = Some(limit);
    let ran = std::panic::catch_unwind(AssertUnwindSafe(|| {
        builder.check(move || {
            own.fetch_add(1, Ordering::Relaxed);
            model::run(&Loom, bug);
        });
    }));
    (ran.is_err(), count.load(Ordering::Relaxed))
}
