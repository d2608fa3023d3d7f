//! Guest memory and its map.

use crate::VmmError;
use crate::large_page;
use devices::platform::layout::{HIGH_RAM_BASE, LOW_RAM_END};
use trace::ring::BENCH_BYTES;
use vm_memory::{GuestAddress, GuestMemoryMmap};

/// Where the PVH start information goes.
pub const START_INFO: u64 = 0x6000;
/// Where the boot parameters of Linux go ("zero page"), in place of the PVH start information.
pub const BOOT_PARAMS: u64 = 0x6000;
/// Where the descriptors of the Linux boot protocol go.
pub const BOOT_GDT: u64 = 0x500;
/// Where the page tables of the Linux boot protocol go: six pages.
pub const PAGE_TABLES: u64 = 0x9000;
/// Where the PVH memory map goes.
pub const MEMORY_MAP: u64 = 0x7000;
/// Where the PVH module list goes.
pub const MODULE_LIST: u64 = 0x7800;
/// Where the command line goes.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// Bytes of the command line at the most, its final zero included.
pub const COMMAND_LINE_BYTES: usize = 0x1000;
/// End of conventional memory; what lies between here and 1 MiB is firmware's.
pub const CONVENTIONAL_END: u64 = 0x9_fc00;
/// Where the ACPI tables go.
pub const ACPI: u64 = 0xe_0000;
/// End of the firmware's area.
pub const FIRMWARE_END: u64 = 0x10_0000;
/// Least memory of a machine, in bytes.
pub const MIN_BYTES: u64 = 16 << 20;
/// Most memory of a machine, in bytes.
pub const MAX_BYTES: u64 = 64 << 30;

/// A range of the memory map that the guest is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub bytes: u64,
    /// RAM that the guest may use; otherwise reserved.
    pub usable: bool,
}

/// Guest memory, and what of it the guest may use.
pub struct Memory {
    /// The memory itself.
    pub mmap: GuestMemoryMmap,
    /// End of usable RAM below 4 GiB.
    pub low_end: u64,
    /// The bench page, if there is one.
    pub bench: Option<u64>,
    bytes: u64,
}

impl Memory {
    /// `bytes` of memory, committed as it is touched. With `bench`, the end of low memory is set aside for the bench page.
    ///
    /// # Errors
    /// A size out of range, or no address space for it.
    pub fn new(bytes: u64, bench: bool) -> Result<Self, VmmError> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes) || !bytes.is_multiple_of(4096) {
            return Err(VmmError::Memory(bytes));
        }
        let low = bytes.min(LOW_RAM_END);
        let mut ranges = vec![(GuestAddress(0), low as usize)];
        if bytes > low {
            ranges.push((GuestAddress(HIGH_RAM_BASE), (bytes - low) as usize));
        }
        let mmap = large_page::reserve(&ranges)?;
        let bench = bench.then(|| low - (BENCH_BYTES as u64).next_multiple_of(4096));
        if let Some(at) = bench {
            large_page::prefer(&mmap, GuestAddress(at), BENCH_BYTES as u64);
        }
        Ok(Self { mmap, low_end: bench.unwrap_or(low), bench, bytes })
    }

    /// The memory map for the guest.
    pub fn map(&self) -> Vec<Region> {
        let region = |start: u64, end: u64, usable| Region { start, bytes: end - start, usable };
        let low = self.bytes.min(LOW_RAM_END);
        let mut map = vec![
            region(0, CONVENTIONAL_END, true),
            region(CONVENTIONAL_END, FIRMWARE_END, false),
            region(FIRMWARE_END, self.low_end, true),
        ];
        if low > self.low_end {
            map.push(region(self.low_end, low, false));
        }
        let ecam = devices::platform::layout::ECAM_BASE;
        map.push(region(ecam, ecam + devices::platform::layout::ECAM_BYTES, false));
        if self.bytes > low {
            map.push(region(HIGH_RAM_BASE, HIGH_RAM_BASE + self.bytes - low, true));
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_has_no_overlaps_and_all_of_the_memory() {
        for (bytes, bench) in [(16 << 20, true), (64 << 20, false), (5 << 30, true)] {
            let map = Memory::new(bytes, bench).expect("a good size").map();
            assert!(map.windows(2).all(|w| w[0].start + w[0].bytes <= w[1].start), "{map:x?}");
            let usable: u64 = map.iter().filter(|r| r.usable).map(|r| r.bytes).sum();
            assert!(usable <= bytes && usable + (4 << 20) > bytes, "{usable:#x} of {bytes:#x}");
        }
    }

    #[test]
    fn absurd_sizes_are_refused() {
        for bytes in [0, 4096, (64 << 20) + 1, u64::MAX, 65 << 30] {
            assert!(matches!(Memory::new(bytes, true), Err(VmmError::Memory(_))), "{bytes:#x}");
        }
    }
}
