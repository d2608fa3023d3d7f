//! A driver that resets its own side of a halt, and leaves the device's.
//!
//! - Symptom: after one command that a stick refused nothing comes from it any more; whoever waits long enough gets errors. Pulled out and put back, it works.
//! - Cause: a STALL is taken for the end of a transfer. But the endpoint is halted, at both ends: the controller's was reset by the family; the device answers everything with
//!   STALL until it is told CLEAR_FEATURE(ENDPOINT_HALT).
//! - Fix: tell it, before anything else is begun there.

use crate::driver::common::UsbHabits;
use crate::family::usb::Pipe;
use crate::ioreturn::IOResult;

/// Goes on.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn end_halt(&self, _pipe: &Pipe) -> IOResult {
        Ok(())
    }
}

/// Tells the device.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn end_halt(&self, pipe: &Pipe) -> IOResult {
        pipe.clear_stall()
    }
}
