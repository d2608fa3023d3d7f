//! What a device model may ask of the world: DMA, an interrupt, a later tick.

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
    /// Raises interrupt `index`: an MSI-X or MSI vector number where one is enabled, else asserts INTx.
    fn raise(&mut self, index: u16);
    /// Drops INTx. No effect on message-signalled interrupts.
    fn lower(&mut self);
    /// Asks for [`crate::device::Device::tick`] with `token` at machine time `time` (past = at once).
    fn at(&mut self, time: u64, token: u64);
}
