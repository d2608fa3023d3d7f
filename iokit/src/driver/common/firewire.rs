//! What drivers of FireWire units have in common: they share the bus's work loop, and find their node again after each bus reset.

use super::Frame;
use crate::family::firewire::{Ask, Device, FireWireUnit, Generation};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// What the frame's watchdog would wait for; it is never armed, because the controller's watches over each request.
const NEVER_NS: u64 = u64::MAX;
/// How long a request may take with all of its attempts, machine ns.
const PATIENCE_NS: u64 = 10_000_000_000;
/// Attempts that fail for another reason than a bus reset.
const TRIES: u32 = 4;

/// The frame of a driver of a unit.
pub struct FireWireFrame {
    frame: Frame,
    device: Arc<Device>,
}

impl FireWireFrame {
    /// The frame of driver `me` of the unit that `provider` is. BadArgument: it is none.
    pub fn new(me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self> {
        let device = FireWireUnit::of(provider).ok_or(IOReturn::BadArgument)?.device().clone();
        let frame = Frame::sharing(device.work_loop().clone(), me, vec![], NEVER_NS, |_| {});
        Ok(Self { frame, device })
    }

    /// Work loop, gate, calls in flight.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The node that the unit belongs to.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// The generation in which the node can be reached, as soon as there is one, at most until machine time `deadline`. Gated; sleeps.
    /// What [`Frame::closed`] says if nothing is started any more; Offline: the node is gone. Timeout.
    pub fn join(&self, deadline: u64) -> IOResult<Generation> {
        loop {
            self.frame.alive()?;
            match self.device.generation() {
                Err(IOReturn::BusReset) if self.frame.kernel().now() < deadline => {
                    self.device.sleep(deadline)
                }
                Err(IOReturn::BusReset) => return Err(IOReturn::Timeout),
                other => return other,
            }
        }
    }

    /// Asks once, in the generation that there is, or comes. After BusReset, NotResponding and Timeout nobody knows whether what was asked for is
    /// done: whoever must know looks. Gated; sleeps. As [`Device::ask`].
    pub fn once(&self, offset: u64, ask: Ask<'_>) -> IOResult<Vec<u8>> {
        let deadline = self.frame.kernel().now().saturating_add(PATIENCE_NS);
        let result = self.join(deadline).and_then(|generation| self.device.ask(generation, offset, ask));
        result.map_err(|why| self.frame.closed().unwrap_or(why))
    }

    /// Asks until there is an answer: for what may be done twice. Gated; sleeps. As [`Device::ask`], but for BusReset.
    pub fn insist(&self, offset: u64, ask: Ask<'_>) -> IOResult<Vec<u8>> {
        let deadline = self.frame.kernel().now().saturating_add(PATIENCE_NS);
        let mut tries = TRIES;
        loop {
            match self.once(offset, ask) {
                Err(IOReturn::BusReset) if self.frame.kernel().now() < deadline => {}
                Err(IOReturn::BusReset) => return Err(IOReturn::Timeout),
                Err(IOReturn::NotResponding | IOReturn::Timeout | IOReturn::Busy) if tries > 1 => tries -= 1,
                other => return other,
            }
        }
    }

    /// `willTerminate`: in the gate `fail` ends what this driver has begun, then who waits for the node wakes. What is on its way comes back by itself:
    /// with the node, the controller, an answer, or because none comes.
    pub fn go_offline(&self, fail: impl FnOnce()) {
        self.frame.go_offline(|| {
            fail();
            self.device.wake();
        });
    }
}
