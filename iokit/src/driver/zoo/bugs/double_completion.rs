//! A request that is completed twice: a timeout meets a late interrupt.
//!
//! - Symptom: now and then a completion routine runs for a request that has been freed, or is somebody else's.
//! - Cause: the watchdog finds the work done and completes the request, but leaves it to the interrupt, which is on its way, to take it off.
//! - Fix: take it off first, then complete it: whoever comes second finds nothing.

use crate::driver::zoo::card::Look;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;

/// How long the card may take before the watchdog looks, machine ns: as long as the plan's card takes for a factorial.
const PATIENCE: u64 = 30_000;

/// Completes what it leaves on the card.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn patience(&self) -> u64 {
        PATIENCE
    }

    fn watch(&self, zoo: &Zoo) {
        if let Look::Done(output) = zoo.look()
            && let Some(running) = zoo.queue().with(|q| q.running.clone())
        {
            zoo.complete(&running.request, Ok(output));
        }
        zoo.pump_and_watch();
    }
}

/// Takes it off the card, then completes it.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn patience(&self) -> u64 {
        PATIENCE
    }

    fn watch(&self, zoo: &Zoo) {
        if let Look::Done(output) = zoo.look() {
            zoo.finish(Ok(output));
        }
        zoo.pump_and_watch();
    }
}
