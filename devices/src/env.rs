//! What a device model may ask of the world: DMA, an interrupt, a later tick.

use crate::fault::plane::Site;
use thiserror::Error;
use vm_memory::GuestMemoryMmap;

/// A DMA access that the bus refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DmaError {
    /// The device is gone from the bus: access revoked.
    #[error("the device is no longer on the bus")]
    Removed,
    /// Bus mastering is off (PCI 3.0, 6.2.2, command register bit 2).
    #[error("bus mastering is disabled")]
    NotMaster,
    /// Nothing there: address or length outside memory.
    #[error("no memory at {0:#x}")]
    NoMemory(u64),
}

/// What becomes of an access of something behind a controller (a packet to a USB device, its reset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It takes place.
    None,
    /// The device answers with a halt.
    Stall,
    /// The device sends more than it was asked for.
    Babble,
    /// The packet is spoilt on the way, each time that it is sent.
    Error,
    /// The device is not ready until this machine time.
    Nak(u64),
    /// The device has gone.
    Gone,
}

/// The world as a device model sees it. The fault plane wraps it.
pub trait Env {
    /// Machine time, in nanoseconds.
    fn now(&self) -> u64;
    /// Reads guest memory by DMA. A fault may stop it half-way: what was read so far stays in `into`.
    fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaError>;
    /// Writes guest memory by DMA. A fault may stop it half-way.
    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError>;
    /// Guest memory for ring structures (virtio-queue). An error once the device is gone or bus mastering is off.
    fn memory(&self) -> Result<GuestMemoryMmap, DmaError>;
    /// The model wrote `bytes` bytes at `address` through [`Env::memory`]: for who compares where cards write with where they may.
    fn wrote(&mut self, _address: u64, _bytes: usize) {}
    /// The model is about to say that a piece of work is done: the machine ns after which it says so once more, if a fault wants the completion
    /// delivered twice. A model that asks is one of those for which the catalogue allows that fault.
    fn twice(&mut self) -> Option<u64> {
        None
    }
    /// Raises interrupt `index`: an MSI-X or MSI vector number where one is enabled, else asserts INTx.
    fn raise(&mut self, index: u16);
    /// Drops INTx. No effect on message-signalled interrupts.
    fn lower(&mut self);
    /// True if interrupts are messages now (MSI or MSI-X is enabled).
    fn messages(&self) -> bool {
        false
    }
    /// Something behind this controller, the `unit`-th in the order of the plan, comes to the point `site`: what happens to it there.
    fn pass(&mut self, _unit: usize, _site: Site) -> Mishap {
        Mishap::None
    }
    /// Asks for [`crate::device::Device::tick`] with `token` at machine time `time` (past = at once).
    fn at(&mut self, time: u64, token: u64);
}
