//! The places at which drivers of USB interfaces and of FireWire units go wrong in the field.

use super::Frame;
use crate::family::firewire::{Device, Generation};
use crate::family::usb::{self, Outcome, Pipe, Stage};
use crate::io::MemoryDescriptor;
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;

/// What a driver of a USB interface does in its own way. Every default is right, and is what drivers do; the zoo has the others.
pub trait UsbHabits: Send + Sync + 'static {
    /// What a command of driver `me` has to exchange with the device, each stage in at most `limit` machine ns. Gated; sleeps.
    fn exchange(&self, _me: &ServiceRef, _frame: &Frame, stages: &[Stage], limit: u64) -> IOResult<Outcome> {
        usb::exchange(stages, limit)
    }

    /// An endpoint has answered with a halt, which is ended at both ends. Gated; sleeps.
    fn end_halt(&self, pipe: &Pipe) -> IOResult {
        pipe.clear_stall()
    }

    /// A transfer of the driver's own has come back with `result`, and was looked at: it uses the provider no more. Gated.
    fn release(&self, frame: &Frame, me: &ServiceRef, _result: IOResult<u32>) {
        frame.release(me);
    }

    /// The device goes: nothing is started any more, and nobody was woken yet. Gated.
    fn leaving(&self, _frame: &Frame) {}

    /// A reader was woken; `ask` asks its pipe. Gated.
    fn woken(&self, _ask: &dyn Fn()) {}

    /// A client lets go of the port that reads into `memory`. Gated.
    fn let_go(&self, _memory: &MemoryDescriptor) {}

    /// Below whom the nubs of what is plugged into hub `me` are.
    fn parent(&self, me: &ServiceRef) -> ServiceRef {
        me.clone()
    }
}

/// What a driver of a FireWire unit does in its own way. Every default is right, and is what drivers do; the zoo has the others.
pub trait FireHabits: Send + Sync + 'static {
    /// The generation in which a command is made by a driver that logged in in that of `login`, after so many bus resets have `aborted` the command; known by
    /// machine time `deadline`. Gated; sleeps.
    fn generation(
        &self,
        device: &Device,
        _login: Generation,
        _aborted: u32,
        deadline: u64,
    ) -> IOResult<Generation> {
        device.join(deadline)
    }
}

/// The right habits.
pub struct Right;

impl UsbHabits for Right {}

impl FireHabits for Right {}
