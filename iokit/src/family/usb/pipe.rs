//! Pipes: what a driver moves data through.

use super::Done;
use super::bus::Bus;
use super::controller::{Chain, Data, Transfer};
use super::descriptor::Endpoint;
use super::device::Device;
use super::standard::{self, Setup};
use crate::family::bus::Bus as _;
use crate::family::ticket::Ticket;
use crate::ioreturn::{IOResult, IOReturn};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// A pipe to one endpoint of a device, other than endpoint 0. Clones lead to the same endpoint.
///
/// All methods are called in the gate; those that say so sleep in it.
#[derive(Clone)]
pub struct Pipe {
    bus: Arc<Bus>,
    device: Arc<Device>,
    endpoint: Endpoint,
}

impl Pipe {
    pub(super) fn new(bus: &Arc<Bus>, device: &Arc<Device>, endpoint: Endpoint) -> Self {
        Self { bus: bus.clone(), device: device.clone(), endpoint }
    }

    /// Its endpoint.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Begins a transfer; `done` is called in the gate when it has come back. On an error it is not called.
    /// Offline if the device is gone.
    pub fn submit(&self, data: Data, timeout: Option<u64>, done: Done) -> IOResult {
        let transfers = vec![self.make(data, timeout, false, done)];
        self.begin(vec![Chain { endpoint: self.endpoint.address, transfers }])
    }

    /// Begins chains of transfers that pipes of this device have made.
    pub(super) fn begin(&self, chains: Vec<Chain>) -> IOResult {
        chains.iter().for_each(|chain| self.device.touch(chain.endpoint));
        self.bus.host().submit(self.device.handle(), chains)
    }

    /// A transfer on this pipe, for a chain.
    pub(super) fn make(&self, data: Data, timeout: Option<u64>, quiet: bool, done: Done) -> Transfer {
        let address = self.endpoint.address;
        let device = Arc::downgrade(&self.device);
        let done = Box::new(move |result| {
            if result == Err(IOReturn::PipeStalled)
                && let Some(device) = device.upgrade()
            {
                device.set_halted(address, true);
            }
            done(result);
        });
        Transfer { setup: None, data: Some(data), timeout, quiet, done }
    }

    /// The device that it leads to.
    pub(super) fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// A transfer; bytes that were moved. Sleeps. Offline if the device goes, PipeStalled, Timeout, NotResponding.
    pub fn transfer(&self, data: Data, timeout: u64) -> IOResult<u32> {
        let ticket = Ticket::new(self.bus.kernel(), self.bus.host().work_loop());
        self.submit(data, Some(timeout), Box::new(ticket.done()))?;
        ticket.wait().map_err(|why| self.device.judge(why))
    }

    /// Begins to abort what is in flight: it comes back as Aborted, or as Offline if the device is gone. Does not sleep.
    pub fn abort(&self) {
        self.bus.host().abort(self.device.handle(), self.endpoint.address);
    }

    /// Ends a halt at the device's side, and its data toggle is as after a configuration (USB 2.0, 9.4.5); the controller's side was reset
    /// when it happened. Sleeps.
    pub fn clear_stall(&self) -> IOResult {
        // Whoever tries knows of the halt. If that fails, the next transfer tells again.
        self.device.set_halted(self.endpoint.address, false);
        let setup = Setup {
            kind: standard::TO_ENDPOINT,
            request: standard::CLEAR_FEATURE,
            value: standard::ENDPOINT_HALT,
            index: u16::from(self.endpoint.address),
            length: 0,
        };
        match self.device.insist(setup) {
            Ok(()) => Ok(()),
            // A device that stalls this one does not know what it wants.
            Err(IOReturn::PipeStalled) => Err(IOReturn::NotResponding),
            Err(why) => Err(why),
        }
    }
}
