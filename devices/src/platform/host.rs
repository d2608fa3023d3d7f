//! What a machine gives the platform.

use vm_memory::GuestMemoryMmap;

/// The machine around the platform, passed to every call.
pub trait Host {
    /// Machine time, in nanoseconds.
    fn now(&self) -> u64;
    /// Guest memory, for DMA.
    fn memory(&self) -> &GuestMemoryMmap;
    /// An MSI or MSI-X write: to the local APICs at 0xFEEx_xxxx, or wherever the guest said (the machine judges it).
    fn message(&mut self, address: u64, data: u32);
    /// Level of an INTx line; the wired OR is already done. Called on changes only.
    fn line(&mut self, gsi: u32, asserted: bool);
    /// The card in `slot` has written `bytes` bytes of guest memory at `address` by DMA. For a machine that checks where.
    fn dma_written(&mut self, slot: u32, address: u64, bytes: usize) {
        let _ = (slot, address, bytes);
    }
    /// The plan acted on `slot`: for the trace ([`trace::Kind::Fault`]).
    fn fault(&mut self, slot: u32, word: &'static str);
}
