//! The gate held over slow I/O.
//!
//! - Symptom: everything else of the driver stalls while one request is on the card; timers fire late, a removal waits.
//! - Cause: the gated action polls the card until it is done, and sleeps between two looks without opening the gate.
//! - Fix: sleep in the gate (`commandSleep` opens it) until the interrupt's action wakes the thread.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Request;
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use mach::WaitMode;

/// How long the driver allows itself to hold its gate (WL14), machine ns.
const MAXIMUM: u64 = 1_000_000;
/// Time between two looks, machine ns.
const LOOK: u64 = 100_000;

fn watch_the_gate(zoo: &Zoo) {
    zoo.frame().work_loop().set_maximum_lock_time(Some(MAXIMUM));
}

/// Polls with the gate closed.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn begin(&self, zoo: &Zoo, _me: &ServiceRef) -> IOResult {
        watch_the_gate(zoo);
        Ok(())
    }

    fn sleep(&self, zoo: &Zoo, request: &Request) {
        while !request.completion.is_done() && zoo.card().answers() {
            zoo.kernel().delay(LOOK);
            if zoo.settle() {
                zoo.pump();
            }
        }
    }
}

/// Sleeps with the gate open.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn begin(&self, zoo: &Zoo, _me: &ServiceRef) -> IOResult {
        watch_the_gate(zoo);
        Ok(())
    }

    fn sleep(&self, zoo: &Zoo, request: &Request) {
        zoo.frame().gate().command_sleep(request.event, WaitMode::Uninterruptible, None);
    }
}
