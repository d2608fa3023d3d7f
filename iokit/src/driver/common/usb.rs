//! What drivers of USB interfaces have in common: they share the bus's work loop, and keep a transfer of their own in flight.

use super::{Frame, Kind, Life, Parts};
use crate::family::usb::standard::{CLASS, TO_INTERFACE};
use crate::family::usb::{Data, Device, Pipe, Setup, UsbInterface};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec;

/// What the frame's watchdog would wait for; it is never armed, because the controller's watches over each transfer.
const NEVER_NS: u64 = u64::MAX;

/// The frame of a driver of an interface.
pub struct UsbFrame {
    me: Weak<Service>,
    frame: Frame,
    device: Arc<Device>,
    interface: u8,
}

impl UsbFrame {
    /// The frame of driver `me` of the interface that `provider` is; and the interface. BadArgument: it is none.
    pub fn new<'a>(me: &ServiceRef, provider: &'a ServiceRef) -> IOResult<(Self, &'a UsbInterface)> {
        let interface = UsbInterface::of(provider).ok_or(IOReturn::BadArgument)?;
        let device = interface.device().clone();
        let work_loop = device.bus().host().work_loop().clone();
        let frame = Frame::sharing(work_loop, me, vec![], NEVER_NS, |_| {});
        let number = interface.descriptor().number;
        Ok((Self { me: Arc::downgrade(me), frame, device, interface: number }, interface))
    }

    /// Work loop, gate, calls in flight.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The device that the interface belongs to.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The driver. Offline: there is none any more.
    pub fn me(&self) -> IOResult<ServiceRef> {
        self.me.upgrade().ok_or(IOReturn::Offline)
    }

    /// A request of the interface's class to it, with `length` bytes that go there.
    pub fn setup(&self, request: u8, value: u16, length: u16) -> Setup {
        Setup { kind: CLASS | TO_INTERFACE, request, value, index: u16::from(self.interface), length }
    }

    /// Begins a transfer of the driver's own, without a time limit, which uses the provider until it is back: then `answered` is called, in
    /// the gate, unless the driver is stopped by then. What [`Frame::closed`] says if nothing is started any more. Gated.
    pub fn begin<K: Kind>(
        &self,
        pipe: &Pipe,
        data: Data,
        answered: impl FnOnce(&K::Parts, IOResult<u32>) + Send + 'static,
    ) -> IOResult {
        self.frame.hold()?;
        let me = self.me.clone();
        let done = Box::new(move |result| {
            if let Some(me) = me.upgrade()
                && let Ok(parts) = Life::<K>::parts_of(&me)
            {
                answered(&parts, result);
                parts.frame().release(&me);
            }
        });
        let begun = pipe.submit(data, None, done);
        if begun.is_err()
            && let Some(me) = self.me.upgrade()
        {
            self.frame.release(&me);
        }
        begun
    }

    /// `willTerminate`: in the gate `wake` wakes who sleeps, then what is in flight on `pipes` comes back with the device, or is aborted if that is
    /// still there.
    pub fn go_offline<'a>(&self, pipes: impl IntoIterator<Item = &'a Pipe>, wake: impl FnOnce(&Frame)) {
        self.frame.go_offline(|| {
            wake(&self.frame);
            pipes.into_iter().for_each(Pipe::abort);
        });
    }
}
