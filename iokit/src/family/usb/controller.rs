//! What the family wants of a host controller's driver.
//!
//! All methods are called with the gate of [`HostController::work_loop`] held. Those that say so sleep in it, with the gate open.

use super::descriptor::Endpoint;
use super::standard::{Setup, Speed};
use crate::io::MemoryDescriptor;
use crate::ioreturn::IOResult;
use crate::work_loop::WorkLoop;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A device as the controller knows it. One that is gone is never mistaken for the next with the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Device slot of the controller, from 1.
    pub slot: u8,
    /// Counts devices.
    pub serial: u32,
}

/// Where a device is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Port of the root hub, from 1.
    pub root_port: u8,
    /// Ports of the hubs below it, four bits each, the first in bits 3:0 (USB 3.2, 8.9).
    pub route: u32,
    /// Hubs between the root hub and the device, 0–5.
    pub depth: u8,
    /// How fast it talks.
    pub speed: Speed,
    /// The hub at high speed that translates for a slower device, and its port.
    pub translator: Option<(Handle, u8)>,
}

/// What a controller must know of a hub that it is to reach devices behind (xHCI 1.2, 6.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubFacts {
    /// Ports.
    pub ports: u8,
    /// Think time of its translator, as in the hub descriptor, 0–3.
    pub think_time: u8,
}

/// What a port says (USB 2.0, 11.24.2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStatus {
    /// A device is there.
    pub connected: bool,
    /// It may talk.
    pub enabled: bool,
    /// It is being reset.
    pub resetting: bool,
    /// There was a connection or a disconnection since the last acknowledgement.
    pub changed: bool,
    /// How fast it talks; only while enabled.
    pub speed: Option<Speed>,
}

/// The data of a transfer: a part of a descriptor's memory.
#[derive(Clone)]
pub struct Data {
    /// The memory.
    pub memory: Arc<MemoryDescriptor>,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u32,
}

/// What becomes of a transfer: bytes, or why not. Offline: the device is gone; Aborted; Timeout; PipeStalled; NotResponding.
/// Called exactly once, in the gate.
pub type Done = Box<dyn FnOnce(IOResult<u32>) + Send>;

/// One transfer.
pub struct Transfer {
    /// The setup stage, on control endpoints.
    pub setup: Option<Setup>,
    /// The data, if there is any.
    pub data: Option<Data>,
    /// How long it may take, machine ns; `None`: as long as it likes.
    pub timeout: Option<u64>,
    /// That it went well is not worth an interrupt: something else is begun with it that comes back later and brings one, and `done` of both is
    /// called then. An error is told at once.
    pub quiet: bool,
    /// Who is told.
    pub done: Done,
}

/// Transfers on one endpoint, one behind the other, begun with one doorbell. If one fails, those behind it come back as Aborted: what they were for has not
/// happened.
pub struct Chain {
    /// Address of the endpoint.
    pub endpoint: u8,
    /// The transfers, of which there are some.
    pub transfers: Vec<Transfer>,
}

/// A host controller.
pub trait HostController: Send + Sync {
    /// The work loop of the controller and of everything behind it.
    fn work_loop(&self) -> &Arc<WorkLoop>;

    /// Ports of the root hub.
    fn ports(&self) -> u8;

    /// The connector that root port `port` belongs to, from 1: it may have a port for each protocol.
    fn connector(&self, port: u8) -> u8;

    /// What root port `port` (from 1) says. Offline once the controller is gone.
    fn port_status(&self, port: u8) -> IOResult<PortStatus>;

    /// Begins to reset root port `port`.
    fn reset_port(&self, port: u8) -> IOResult;

    /// The changes of root port `port` have been seen.
    fn acknowledge_port(&self, port: u8) -> IOResult;

    /// Takes a device in that has just been reset, and gives it an address. Sleeps.
    fn connect(&self, place: &Place) -> IOResult<Handle>;

    /// Packets of endpoint 0 have so many bytes. Sleeps.
    fn set_packet(&self, device: Handle, bytes: u16) -> IOResult;

    /// Makes the endpoints of a configuration, and of a device a hub. Sleeps.
    fn configure(&self, device: Handle, endpoints: &[Endpoint], hub: Option<HubFacts>) -> IOResult;

    /// The device is gone, or not wanted any more: nothing is started any more, and what is in flight comes back as Offline as soon as the
    /// controller has let go of it. Does not sleep.
    fn disconnect(&self, device: Handle);

    /// Begins chains on endpoints of a device, in this order and each on an endpoint of its own: all of them, or on an error nothing, and no `done` is
    /// called. Offline: the device is gone.
    fn submit(&self, device: Handle, chains: Vec<Chain>) -> IOResult;

    /// Begins to abort what is in flight on an endpoint: it comes back as Aborted, or as what it has become meanwhile. Does not sleep.
    fn abort(&self, device: Handle, endpoint: u8);

    /// Memory that the controller reaches, and no other device.
    fn buffer(&self, bytes: u64) -> IOResult<Arc<MemoryDescriptor>>;
}
