//! A driver that never closes its provider.
//!
//! - Symptom: after a removal the stack stays in the registry, busy for ever; the slot cannot be used again.
//! - Cause: `didTerminate` leaves the provider open, and an open provider holds back the driver's `stop`.
//! - Fix: close it in `didTerminate`, if nothing is in flight, else behind the last call.

use crate::driver::zoo::habits::Habits;

/// Leaves the provider open.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn closes(&self) -> bool {
        false
    }
}

/// Closes it.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn closes(&self) -> bool {
        true
    }
}
