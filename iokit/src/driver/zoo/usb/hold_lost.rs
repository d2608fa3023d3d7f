//! A driver that forgets on the error path that a transfer of its own is over.
//!
//! - Symptom: a hub that was pulled out stays in the registry with all that was behind it, busy for ever.
//! - Cause: the completion returns early if the transfer failed, before it counts itself out: the provider is held open for a transfer that came back long ago.
//! - Fix: count it out on every path.

use crate::driver::common::{Frame, UsbHabits};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;

/// Counts out what went well.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn release(&self, frame: &Frame, me: &ServiceRef, result: IOResult<u32>) {
        if result.is_ok() {
            frame.release(me);
        }
    }
}

/// Counts out whatever comes back.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn release(&self, frame: &Frame, me: &ServiceRef, _result: IOResult<u32>) {
        frame.release(me);
    }
}
