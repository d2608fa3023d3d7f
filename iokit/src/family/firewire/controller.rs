//! What the family wants of a controller's driver: a link layer.
//!
//! All methods are called with the gate of [`Link::work_loop`] held, and do not sleep. What the link has to say it tells the [`super::Bus`], never from
//! within one of these methods.

use super::resources::Register;
use super::streams::Sink;
use super::transactions::Tag;
use crate::ioreturn::IOResult;
use crate::work_loop::WorkLoop;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::DmaBuffer;

/// An asynchronous packet, to or from another node of the bus. Fields that its kind does not have are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Physical ID of the other node.
    pub node: u8,
    /// Transaction label.
    pub label: u8,
    /// Transaction code.
    pub tcode: u8,
    /// Speed code.
    pub speed: u8,
    /// Address of a request, 48 bits.
    pub offset: u64,
    /// Response code of a response.
    pub rcode: u8,
    /// Extended transaction code of a lock.
    pub extended: u16,
    /// Bytes that a block read asks for.
    pub wanted: u16,
    /// Data, in the order of the bus.
    pub data: Vec<u8>,
    /// A request that was received: when, as seconds (3 bits) and cycles (13). A response is sent for so long after it.
    pub stamp: u16,
    /// A request that was received: its sender waits for a response.
    pub pending: bool,
}

/// An open stream. Never used again by the same controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId(pub u64);

/// A controller.
pub trait Link: Send + Sync {
    /// The work loop of the controller and of everything behind it.
    fn work_loop(&self) -> &Arc<WorkLoop>;

    /// Whether the controller was reported as gone.
    fn is_gone(&self) -> bool;

    /// The local node's EUI-64.
    fn guid(&self) -> u64;

    /// Puts a request on its way; [`super::Bus::sent`] will tell what became of it. BusReset if the bus is just being reset, NoResources, Offline.
    fn send(&self, tag: Tag, request: &Packet) -> IOResult;

    /// Puts a response on its way.
    fn respond(&self, response: &Packet) -> IOResult;

    /// Begins a short bus reset.
    fn reset_bus(&self) -> IOResult;

    /// Whether the node may read and write memory without software, until the next bus reset.
    fn set_physical(&self, node: u8, allowed: bool) -> IOResult;

    /// Memory that the controller reaches, and no other device.
    fn buffer(&self, bytes: u64, align: u64) -> IOResult<DmaBuffer>;

    /// Compare and swap of a register of the local node, as another node would do it by a lock: what stood there. Offline, NotResponding.
    fn swap(&self, register: Register, compare: u32, data: u32) -> IOResult<u32>;

    /// Receives what is sent on isochronous `channel`, in packets of at most `bytes` bytes of data, and tells `sink`, until
    /// [`Link::close_stream`]. NoResources: no context is left; NoMemory; Offline.
    fn open_stream(&self, channel: u8, bytes: u16, sink: Sink) -> IOResult<StreamId>;

    /// Receives it no more: the sink is not called again, and the controller does not touch the stream's memory. One that is closed already is let be.
    fn close_stream(&self, stream: StreamId);

    /// Something is in flight: [`super::Bus::expire`] is to be called now and then.
    fn watch(&self);
}
