//! DMA memory: pieces of the region that the machine sets aside.

use crate::kernel::{Kernel, KernelRef};
use crate::seam::OutOfMemory;
use alloc::collections::BTreeMap;

/// Smallest piece and least alignment, in bytes: no two buffers share a cache line.
const GRAIN: u64 = 64;

/// Free pieces by address; neighbours are always joined.
pub(crate) struct DmaMemory {
    free: BTreeMap<u64, u64>,
    /// Bytes handed out, in whole grains.
    used: u64,
}

impl DmaMemory {
    pub(crate) fn new(base: u64, bytes: u64) -> Self {
        let start = base.next_multiple_of(GRAIN);
        let end = (base + bytes) / GRAIN * GRAIN;
        let mut free = BTreeMap::new();
        if end > start {
            free.insert(start, end - start);
        }
        Self { free, used: 0 }
    }

    fn allocate(&mut self, bytes: u64, align: u64) -> Option<u64> {
        let bytes = bytes.max(1).checked_next_multiple_of(GRAIN)?;
        let align = align.max(GRAIN);
        let fits = |(&start, &size): (&u64, &u64)| {
            let at = start.checked_next_multiple_of(align)?;
            let end = at.checked_add(bytes)?;
            (end <= start + size).then_some((start, size, at, end))
        };
        let (start, size, at, end) = self.free.iter().find_map(fits)?;
        self.free.remove(&start);
        if at > start {
            self.free.insert(start, at - start);
        }
        if end < start + size {
            self.free.insert(end, start + size - end);
        }
        self.used += bytes;
        Some(at)
    }

    /// Bytes handed out.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    fn release(&mut self, address: u64, bytes: u64) {
        let bytes = bytes.max(1).next_multiple_of(GRAIN);
        self.used -= bytes;
        let mut start = address;
        let mut end = address + bytes;
        if let Some((&before, &size)) = self.free.range(..start).next_back()
            && before + size == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(size) = self.free.remove(&end) {
            end += size;
        }
        self.free.insert(start, end - start);
    }
}

/// A piece of DMA memory, which its device may reach; given back when dropped.
#[derive(Debug)]
pub struct DmaBuffer {
    kernel: KernelRef,
    slot: u32,
    address: u64,
    bytes: u64,
}

impl Kernel {
    /// A piece of DMA memory of `bytes` bytes at a multiple of `align` (a power of two). Its content is not defined.
    ///
    /// # Errors
    /// No piece of that size is free.
    pub fn dma_alloc(self: &KernelRef, bytes: u64, align: u64) -> Result<DmaBuffer, OutOfMemory> {
        self.dma_alloc_for(0, bytes, align)
    }

    /// [`Kernel::dma_alloc`] for the device in `slot`, the only one that may write to it (0 = any device).
    ///
    /// # Errors
    /// No piece of that size is free.
    pub fn dma_alloc_for(
        self: &KernelRef,
        slot: u32,
        bytes: u64,
        align: u64,
    ) -> Result<DmaBuffer, OutOfMemory> {
        self.allocate("dma")?;
        let address = {
            let _masked = self.masked();
            self.lock_raw(&self.dma).allocate(bytes, align).ok_or(OutOfMemory)?
        };
        self.machine().dma_lent(slot, address, bytes);
        Ok(DmaBuffer { kernel: self.clone(), slot, address, bytes })
    }
}

impl DmaBuffer {
    /// Physical address, for the device.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Lets its device reach it again, after [`DmaBuffer::take_back`].
    pub fn lend(&self) {
        self.kernel.machine().dma_lent(self.slot, self.address, self.bytes);
    }

    /// No device may reach it until [`DmaBuffer::lend`]: a machine that looks where devices read and write names who does.
    pub fn take_back(&self) {
        self.kernel.machine().dma_returned(self.address);
    }

    fn check(&self, offset: u64, len: usize) -> u64 {
        let fits = offset.checked_add(len as u64).is_some_and(|end| end <= self.bytes);
        assert!(fits, "DMA buffer of {} bytes accessed at {offset}, {len} bytes", self.bytes);
        self.address + offset
    }

    /// Reads from the buffer. Panics outside it.
    pub fn read(&self, offset: u64, into: &mut [u8]) {
        self.kernel.machine().dma_read(self.check(offset, into.len()), into);
    }

    /// Writes to the buffer. Panics outside it.
    pub fn write(&self, offset: u64, from: &[u8]) {
        self.kernel.machine().dma_write(self.check(offset, from.len()), from);
    }

    /// Reads two bytes, little-endian.
    pub fn read_u16(&self, offset: u64) -> u16 {
        let mut bytes = [0; 2];
        self.read(offset, &mut bytes);
        u16::from_le_bytes(bytes)
    }

    /// Reads four bytes, little-endian.
    pub fn read_u32(&self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.read(offset, &mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Reads eight bytes, little-endian.
    pub fn read_u64(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read(offset, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// Writes two bytes, little-endian.
    pub fn write_u16(&self, offset: u64, value: u16) {
        self.write(offset, &value.to_le_bytes());
    }

    /// Writes four bytes, little-endian.
    pub fn write_u32(&self, offset: u64, value: u32) {
        self.write(offset, &value.to_le_bytes());
    }

    /// Writes eight bytes, little-endian.
    pub fn write_u64(&self, offset: u64, value: u64) {
        self.write(offset, &value.to_le_bytes());
    }
}

impl Drop for DmaBuffer {
    fn drop(&mut self) {
        self.kernel.machine().dma_returned(self.address);
        let _masked = self.kernel.masked();
        self.kernel.lock_raw(&self.kernel.dma).release(self.address, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_back_whole() {
        let mut memory = DmaMemory::new(0x1000, 0x1000);
        let a = memory.allocate(100, 1).expect("a fits");
        let b = memory.allocate(64, 0x400).expect("b fits");
        let c = memory.allocate(1, 1).expect("c fits");
        assert_eq!(b % 0x400, 0);
        assert!(c != a && c != b);
        assert_eq!(memory.allocate(0x1000, 1), None);
        assert_eq!(memory.used(), 128 + 64 + 64, "whole grains");
        for (address, bytes) in [(b, 64), (a, 100), (c, 1)] {
            memory.release(address, bytes);
        }
        assert_eq!(memory.used(), 0);
        assert_eq!(memory.allocate(0x1000, 1), Some(0x1000));
    }

    #[test]
    fn absurd_requests_are_refused() {
        let mut memory = DmaMemory::new(0, 0x1000);
        assert_eq!(memory.allocate(u64::MAX, 1), None);
        assert_eq!(memory.allocate(64, 1 << 63), Some(0), "address 0 is aligned to everything");
        assert_eq!(memory.allocate(64, 1 << 63), None);
    }
}
