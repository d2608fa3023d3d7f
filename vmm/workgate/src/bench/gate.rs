//! `runAction` of a command gate that nobody else wants, beside a re-entrant mutex of the host.

use super::context::Context;
use super::report::{Part, Row};
use iokit::service::Plain;
use iokit::work_loop::{CommandGate, WorkLoop};
use iokit::{BootArgs, Class, IoKit, ServiceBuilder};
use parking_lot::ReentrantMutex;
use sim::chooser;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Calls in a batch.
const BATCH: u32 = 20_000;
/// Batches of each side, turn by turn, of which the best counts.
const BATCHES: usize = 400;

static OWNER: Class = Class::new("BenchOwner", &iokit::class::IO_SERVICE);

/// Both sides, in ns a call.
#[derive(Clone, Copy, Debug)]
struct Nanos {
    action: f64,
    mutex: f64,
}

/// Measures in a simulated machine without a trace.
pub fn measure(_: &Context) -> Vec<Row> {
    let ratio = nanos().map(|Nanos { action, mutex }| {
        let peer = "parking_lot::ReentrantMutex, lock and unlock";
        (action / mutex, vec![Part::new("runAction", action, "ns"), Part::new(peer, mutex, "ns")])
    });
    vec![Row::new("run-action", ratio)]
}

fn nanos() -> Result<Nanos, String> {
    let result = Arc::new(Mutex::new(None));
    let place = result.clone();
    let machine = sim::Sim::builder().chooser(Box::new(chooser::Plain)).limits(sim::Limits::NONE);
    let machine = machine.untraced().without_points();
    let body = move |kernel: &mach::KernelRef| {
        let kit = iokit::start(kernel, &BootArgs::default());
        *place.lock().unwrap_or_else(PoisonError::into_inner) = compare(&kit);
        kit.shutdown();
    };
    let outcome = machine.run_kernel(body, &mut |_| {}).map_err(|error| error.to_string())?;
    let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    result.ok_or_else(|| format!("the machine ended early: {:?}", outcome.ended))
}

fn compare(kit: &IoKit) -> Option<Nanos> {
    let owner = ServiceBuilder::new(kit, Box::new(Plain(&OWNER))).named("bench").build();
    let work_loop = WorkLoop::new(&owner);
    let gate = CommandGate::new(&owner);
    work_loop.add_event_source(&gate).ok()?;
    let mutex = ReentrantMutex::new(());
    let mut best = Nanos { action: f64::INFINITY, mutex: f64::INFINITY };
    for _ in 0..BATCHES {
        best.action = best.action.min(batch(|| {
            // The action's result is not what is measured.
            let _ = black_box(&gate).run_action(|| {
                black_box(0);
                Ok(())
            });
        }));
        best.mutex = best.mutex.min(batch(|| {
            let guard = black_box(&mutex).lock();
            black_box(());
            drop(guard);
        }));
    }
    Some(best)
}

/// ns a call.
fn batch(mut call: impl FnMut()) -> f64 {
    let begin = Instant::now();
    for _ in 0..BATCH {
        call();
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
}
