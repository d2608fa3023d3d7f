//! A timer that is believed cancelled: in 10.3 a cancel in the gate can come too late (T3).
//!
//! - Symptom: on old systems now and then a request times out the moment it begins; never on new ones.
//! - Cause: the interrupt's action cancels the watchdog in the gate, takes that for final, and starts the next request. A callout that had looked
//!   at the enabled flag already, and waits for the gate, comes all the same (T3), and gives up whatever runs.
//! - Fix: the watchdog looks for how long the card has been at it, before it gives anything up.

use crate::driver::common::Parts;
use crate::driver::zoo::card::Look;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Output;
use crate::ioreturn::IOReturn;

/// How long the card may take before the watchdog looks, machine ns.
const PATIENCE: u64 = 200_000;

/// Gives up what runs.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn patience(&self) -> u64 {
        PATIENCE
    }

    fn done(&self, zoo: &Zoo, output: Output) {
        zoo.frame().disarm_watchdog();
        zoo.finish(Ok(output));
    }

    fn watch(&self, zoo: &Zoo) {
        match zoo.look() {
            Look::Done(output) => zoo.finish(Ok(output)),
            Look::Turn(bytes) => zoo.turn(bytes),
            Look::Busy if zoo.queue().with(|q| q.running.as_ref().is_none_or(|r| r.returning)) => {}
            // It was armed when the request began, and nobody cancelled it since: so the card is late.
            Look::Busy => zoo.finish(Err(IOReturn::Timeout)),
        }
        zoo.pump_and_watch();
    }
}

/// Looks for how long it has been running.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn patience(&self) -> u64 {
        PATIENCE
    }

    fn done(&self, zoo: &Zoo, output: Output) {
        zoo.frame().disarm_watchdog();
        zoo.finish(Ok(output));
    }

    fn watch(&self, zoo: &Zoo) {
        zoo.give_up_if_late();
    }
}
