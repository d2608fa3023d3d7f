//! Memory and what answers on the bus.

use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Where DMA memory begins: above what firmware keeps on a PC.
const DMA_BASE: u64 = 0x10_0000;

/// The machine's memory and devices.
pub(crate) struct Bus {
    memory: GuestMemoryMmap,
    bytes: u64,
}

/// No memory for the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory(pub String);

impl Bus {
    /// `bytes` of memory for DMA, committed page by page as it is touched, and no devices.
    pub fn new(bytes: u64) -> Result<Self, NoMemory> {
        let length = usize::try_from(bytes).map_err(|e| NoMemory(e.to_string()))?;
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(DMA_BASE), length)])
            .map_err(|e| NoMemory(e.to_string()))?;
        Ok(Self { memory, bytes })
    }

    /// Base and size of the memory for DMA.
    pub fn dma_region(&self) -> (u64, u64) {
        (DMA_BASE, self.bytes)
    }

    /// Reads memory. False, with `into` all ones, where there is none.
    pub fn dma_read(&self, address: u64, into: &mut [u8]) -> bool {
        let found = self.memory.read_slice(into, GuestAddress(address)).is_ok();
        if !found {
            into.fill(0xff);
        }
        found
    }

    /// Writes memory. False where there is none.
    pub fn dma_write(&self, address: u64, from: &[u8]) -> bool {
        self.memory.write_slice(from, GuestAddress(address)).is_ok()
    }
}
