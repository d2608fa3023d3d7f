//! Guest memory as `inspect` reads it.

use inspect::Physical;
use std::ops::Range;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

/// Guest memory that is looked at.
pub struct Seen<'a>(pub &'a GuestMemoryMmap);

impl Physical for Seen<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.0.read_slice(into, GuestAddress(address)).is_ok()
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        let range = |start: u64, bytes: u64| start..start.saturating_add(bytes);
        self.0.iter().map(|region| range(region.start_addr().0, region.len())).collect()
    }
}
