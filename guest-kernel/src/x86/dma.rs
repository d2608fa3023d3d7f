//! The memory set aside for DMA: outside of what Rust allocates, so that a device may write it at any moment.

use core::arch::asm;
use core::sync::atomic::{Ordering, compiler_fence};

use guest_kernel::memory_map::Region;

/// The region.
#[derive(Clone, Copy, Debug)]
pub struct DmaMemory(pub Region);

impl DmaMemory {
    /// Copies out. Aligned 2-, 4- and 8-byte reads are one access. What the device wrote before what is read here is seen afterwards:
    /// x86 does not reorder reads, and the compiler is told not to.
    ///
    /// # Panics
    /// If the range is not in the region: the kernel's bookkeeping is broken.
    pub fn read(&self, address: u64, into: &mut [u8]) {
        self.check(address, into.len());
        // SAFETY: checked to be in the region, which is mapped RAM that no Rust object lives in; volatile, since a device may write.
        unsafe {
            match into.len() {
                2 if address.is_multiple_of(2) => {
                    into.copy_from_slice(&(address as *const u16).read_volatile().to_le_bytes())
                }
                4 if address.is_multiple_of(4) => {
                    into.copy_from_slice(&(address as *const u32).read_volatile().to_le_bytes())
                }
                8 if address.is_multiple_of(8) => {
                    into.copy_from_slice(&(address as *const u64).read_volatile().to_le_bytes())
                }
                n => copy(into.as_mut_ptr(), address as *const u8, n),
            }
        }
        compiler_fence(Ordering::Acquire);
    }

    /// Copies in. Aligned 2-, 4- and 8-byte writes are one access; all earlier writes are seen first.
    ///
    /// # Panics
    /// As [`Self::read`].
    pub fn write(&self, address: u64, from: &[u8]) {
        self.check(address, from.len());
        compiler_fence(Ordering::Release);
        // SAFETY: as in `read`.
        unsafe {
            match *from {
                [a, b] if address.is_multiple_of(2) => {
                    (address as *mut u16).write_volatile(u16::from_le_bytes([a, b]))
                }
                [a, b, c, d] if address.is_multiple_of(4) => {
                    (address as *mut u32).write_volatile(u32::from_le_bytes([a, b, c, d]));
                }
                [a, b, c, d, e, f, g, h] if address.is_multiple_of(8) => {
                    (address as *mut u64).write_volatile(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
                }
                _ => copy(address as *mut u8, from.as_ptr(), from.len()),
            }
        }
    }

    fn check(&self, address: u64, bytes: usize) {
        let end = address.checked_add(bytes as u64);
        assert!(
            address >= self.0.start && end.is_some_and(|end| end <= self.0.end),
            "DMA access outside the DMA region: {bytes} bytes at {address:#x}"
        );
    }
}

/// Copies by string instructions, which the compiler neither merges nor leaves out.
///
/// # Safety
/// Both ranges are valid for `bytes` and do not overlap.
unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: promised by the caller; the direction flag is clear, as the ABI demands.
    unsafe {
        asm!(
            "rep movsq",
            "mov rcx, {rest}",
            "rep movsb",
            rest = in(reg) bytes % 8,
            inout("rcx") bytes / 8 => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack, preserves_flags)
        );
    }
}
