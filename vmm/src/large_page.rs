//! Memory in large pages of the host, where the guest writes without end.
//!
//! The first write of a guest to each page of its memory costs an exit, in which the host finds it a page and clears it. To a ring that the guest fills from
//! end to end that is an exit for every page of it; in one large page it is one for all. For the rest of the guest's memory nothing is asked: the system does as it is
//! set up to.

use crate::VmmError;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, MmapRegion};

/// Bytes of a large page: what one entry of a page directory maps (Intel SDM volume 3, paging; the same in nested page tables).
const LARGE: u64 = 2 << 20;
/// Mappings that may be made to move the next one.
const FILLERS: usize = 4;

/// Memory of these `ranges`; the first is where host addresses are like the guest's within a large page, if the system puts it there. Only then can a
/// large page of the host be one of the guest's.
///
/// # Errors
/// No address space for it.
pub fn reserve(ranges: &[(GuestAddress, usize)]) -> Result<GuestMemoryMmap, VmmError> {
    let mut fillers = Vec::new();
    loop {
        let memory = GuestMemoryMmap::from_ranges(ranges).map_err(|error| VmmError::System {
            what: "cannot reserve guest memory",
            error: std::io::Error::other(error.to_string()),
        })?;
        let first = memory.iter().next().map(|first| (first.as_ptr() as u64, first.len()));
        let Some((at, bytes)) = first.filter(|(at, _)| at % LARGE != 0) else { return Ok(memory) };
        if fillers.len() == FILLERS {
            return Ok(memory);
        }
        drop(memory);
        // The system goes downwards: a mapping that takes this one's place, and a little more, moves the next one to a boundary. It is as large, so that no other
        // hole takes it in; nothing is stored in it. If there is no room for it, the next one is the last.
        let filler = bytes + at.wrapping_sub(bytes) % LARGE;
        match MmapRegion::<()>::new(filler as usize) {
            Ok(mapped) => fillers.push(Some(mapped)),
            Err(_) => fillers.resize_with(FILLERS, || None),
        }
    }
}

/// Asks the system for large pages under `bytes` at `address`. Nothing is lost if it has none, or does not want to.
pub fn prefer(memory: &GuestMemoryMmap, address: GuestAddress, bytes: u64) {
    let Some(region) = memory.find_region(address) else { return };
    let first = address.0 / LARGE * LARGE;
    let end = (address.0 + bytes).next_multiple_of(LARGE);
    let region_end = region.start_addr().0 + region.len();
    if first < region.start_addr().0 || end > region_end {
        return;
    }
    let Ok(host) = memory.get_host_address(GuestAddress(first)) else { return };
    // SAFETY: the range lies within one region, a private mapping that `memory` owns and that lives during this call. The advice changes nothing of what is
    // in it.
    let _ = unsafe { libc::madvise(host.cast(), (end - first) as usize, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::Bytes;

    const BYTES: usize = 16 << 20;

    #[test]
    fn memory_begins_where_a_large_page_does() {
        let odd = MmapRegion::<()>::new(0x5000).expect("memory");
        let aligned = || {
            let memory = reserve(&[(GuestAddress(0), BYTES), (GuestAddress(1 << 32), 4096)]).expect("memory");
            assert_eq!(memory.iter().map(GuestMemoryRegion::len).sum::<u64>(), BYTES as u64 + 4096);
            memory.iter().next().is_some_and(|first| (first.as_ptr() as u64).is_multiple_of(LARGE))
        };
        // Other threads map memory, too, and may be in between.
        assert!((0..8).any(|_| aligned()));
        drop(odd);
    }

    #[test]
    fn advice_changes_no_contents_and_no_place_is_wrong() {
        let memory = reserve(&[(GuestAddress(0), BYTES - 4096)]).expect("memory");
        memory.write_obj(7u64, GuestAddress(4 << 20)).expect("in memory");
        for (address, bytes) in [(4 << 20, 4096), (BYTES as u64 - 8192, 4096), (1 << 40, 4096), (0, 1 << 40)]
        {
            prefer(&memory, GuestAddress(address), bytes);
        }
        assert_eq!(memory.read_obj::<u64>(GuestAddress(4 << 20)).expect("in memory"), 7);
    }
}
