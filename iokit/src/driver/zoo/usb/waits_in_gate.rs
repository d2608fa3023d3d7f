//! A disconnection that waits, with the gate shut, for those who need the gate to leave.
//!
//! - Symptom: a controller is pulled out while somebody reads from a keyboard behind it, and its slot can never be used again.
//! - Cause: `willTerminate` waits until no call and no transfer of its own is left, and keeps the gate: completions and readers come through it.
//! - Fix: close, wake, abort, and let go of the gate: the last one out closes the provider.

use crate::driver::common::{Frame, UsbHabits};

/// How often it looks, machine ns.
const STEP: u64 = 1_000_000;

/// Waits in the gate.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn leaving(&self, frame: &Frame) {
        while frame.calls() != 0 {
            frame.kernel().delay(STEP);
        }
    }
}

/// Does not wait.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn leaving(&self, _frame: &Frame) {}
}
