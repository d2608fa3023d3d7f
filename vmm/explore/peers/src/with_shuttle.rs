//! The model under shuttle.

use crate::model::{self, Bug};
use crate::world::World;
use shuttle::Config;
use shuttle::Runner;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread::JoinHandle;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone)]
struct Shuttle;

struct Gate<T> {
    value: Mutex<T>,
    sleepers: Condvar,
}

impl World for Shuttle {
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
        shuttle::thread::spawn(body)
    }

    fn join(&self, thread: JoinHandle<()>) {
        thread.join().expect("a thread that panics ends the run");
    }
}

/// Executions until `bug` shows; `None` and all of them if it does not.
fn executions<S: Scheduler + 'static>(scheduler: S, bug: Bug) -> (bool, u64) {
    let count = Arc::new(AtomicU64::new(0));
    let own = count.clone();
    let mut config = Config::new();
    config.failure_persistence = shuttle::FailurePersistence::None;
    let runner = Runner::new(scheduler, config);
    let ran = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runner.run(move || {
            own.fetch_add(1, Ordering::Relaxed);
            model::run(&Shuttle, bug);
        })
    }));
    (ran.is_err(), count.load(Ordering::Relaxed))
}

/// Random schedules, at most so many.
pub fn random(bug: Bug, seed: u64, most: usize) -> (bool, u64) {
    executions(RandomScheduler::new_from_seed(seed, most), bug)
}

/// PCT schedules of `depth`, at most so many.
pub fn pct(bug: Bug, depth: u32, seed: u64, most: usize) -> (bool, u64) {
    executions(PctScheduler::new_from_seed(seed, depth as usize, most), bug)
}
