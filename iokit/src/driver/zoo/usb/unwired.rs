//! A buffer that is given back while the controller still writes to it.
//!
//! - Symptom: now and then, after a serial port was closed, a few bytes of somebody's memory are what the port received.
//! - Cause: closing the port unwires its read buffer; but the port is always being read, and the transfer that reads is still on the ring.
//! - Fix: leave it wired until the transfer has come back, which then unwires it.

use crate::driver::common::UsbHabits;
use crate::io::MemoryDescriptor;

/// Unwires it.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn let_go(&self, memory: &MemoryDescriptor) {
        // NotReady: nothing is being read, and it is not wired.
        let _ = memory.complete();
    }
}

/// Leaves that to the transfer.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn let_go(&self, _memory: &MemoryDescriptor) {}
}
