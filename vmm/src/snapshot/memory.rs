//! Guest memory as it was, behind what guest and devices write now.
//!
//! At the snapshot the contents go into a file in memory, and the file is mapped over guest memory, privately: a page that anybody writes
//! (the guest, a device, the host) becomes a copy of its own. Going back drops the copies. So it costs as much as there are pages that were
//! touched, and needs no account of who wrote them.

use crate::VmmError;
use std::fs::File;
use std::io::{Error, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, MemoryRegionAddress};

/// Bytes of a page.
const PAGE: usize = 4096;
/// Bytes of a page's entry in `/proc/self/pagemap`; bit 63: present, bit 61: of a file, or shared (Linux, admin-guide/mm/pagemap.rst).
const ENTRY: u64 = 8;
const PRESENT: u64 = 1 << 63;
const OF_A_FILE: u64 = 1 << 61;

/// The contents. It belongs to the memory that it was taken of, which must outlive it.
pub struct MemoryImage {
    regions: Vec<Region>,
}

struct Region {
    address: usize,
    bytes: usize,
}

impl MemoryImage {
    /// Takes the contents of `memory` and puts a copy-on-write mapping of them in its place. Nothing may run in the machine meanwhile.
    ///
    /// # Errors
    /// The system refuses the file or the mapping.
    pub fn take(memory: &GuestMemoryMmap) -> Result<Self, VmmError> {
        let total: u64 = memory.iter().map(GuestMemoryRegion::len).sum();
        let file = memory_file(total)?;
        let mut regions = Vec::new();
        let mut offset = 0;
        for region in memory.iter() {
            let bytes = region.len() as usize;
            let mut page = [0; PAGE];
            for at in (0..bytes).step_by(PAGE) {
                region
                    .read_slice(&mut page, MemoryRegionAddress(at as u64))
                    .map_err(|error| system(Error::other(error.to_string())))?;
                // A hole reads as zeroes and costs nothing.
                if page.iter().any(|byte| *byte != 0) {
                    file.write_all_at(&page, offset + at as u64).map_err(system)?;
                }
            }
            let address = region.as_ptr() as usize;
            // SAFETY: the range is the whole mapping of the region, page-aligned and alive; it is replaced in one step by one of the same
            // size with the same contents. Rust code reaches it through vm-memory's volatile accesses only, KVM through its memory
            // slot, which names the address and follows the change (MMU notifiers).
            let mapped = unsafe {
                libc::mmap(
                    address as *mut libc::c_void,
                    bytes,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE,
                    file.as_raw_fd(),
                    offset as libc::off_t,
                )
            };
            if mapped == libc::MAP_FAILED {
                return Err(system(Error::last_os_error()));
            }
            regions.push(Region { address, bytes });
            offset += bytes as u64;
        }
        Ok(Self { regions })
    }

    /// Goes back to the contents. Nothing may run in the machine meanwhile.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn restore(&self) -> Result<(), VmmError> {
        for region in &self.regions {
            // SAFETY: the range is one private mapping of a file, made by `take` and alive as long as the memory. What is dropped are its
            // changed pages; the next access finds the file's again.
            let done = unsafe {
                libc::madvise(region.address as *mut libc::c_void, region.bytes, libc::MADV_DONTNEED)
            };
            if done != 0 {
                return Err(system(Error::last_os_error()));
            }
        }
        Ok(())
    }

    /// Pages that differ from the contents now, as the system's page tables tell.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn copied_pages(&self) -> Result<u64, VmmError> {
        let mut map = File::open("/proc/self/pagemap").map_err(system)?;
        let mut copied = 0;
        for region in &self.regions {
            map.seek(SeekFrom::Start((region.address / PAGE) as u64 * ENTRY)).map_err(system)?;
            let mut entries = vec![0; region.bytes / PAGE * ENTRY as usize];
            map.read_exact(&mut entries).map_err(system)?;
            let copy = |entry: &&[u8]| {
                let mut bytes = [0; ENTRY as usize];
                bytes.copy_from_slice(entry);
                u64::from_le_bytes(bytes) & (PRESENT | OF_A_FILE) == PRESENT
            };
            copied += entries.chunks_exact(ENTRY as usize).filter(copy).count() as u64;
        }
        Ok(copied)
    }
}

/// A file that lives in memory.
fn memory_file(bytes: u64) -> Result<File, VmmError> {
    // SAFETY: the name is a string with a final zero; the call touches nothing else.
    let descriptor = unsafe { libc::memfd_create(c"workgate-snapshot".as_ptr(), libc::MFD_CLOEXEC) };
    if descriptor < 0 {
        return Err(system(Error::last_os_error()));
    }
    // SAFETY: the descriptor is new and nobody else's.
    let file = unsafe { File::from_raw_fd(descriptor) };
    file.set_len(bytes).map_err(system)?;
    Ok(file)
}

fn system(error: Error) -> VmmError {
    VmmError::System { what: "cannot keep guest memory", error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::GuestAddress;

    #[test]
    fn what_was_written_is_gone_and_costs_its_pages() {
        let ranges = [(GuestAddress(0), 64 * PAGE), (GuestAddress(1 << 32), 8 * PAGE)];
        let memory = GuestMemoryMmap::<()>::from_ranges(&ranges).expect("memory");
        let places = [GuestAddress(5), GuestAddress(20 * PAGE as u64), GuestAddress((1 << 32) + 9)];
        memory.write_obj(7_u64, places[0]).expect("in memory");
        let image = MemoryImage::take(&memory).expect("a snapshot");
        assert_eq!(image.copied_pages().expect("a count"), 0);
        for round in 1..4_u64 {
            assert_eq!(places.map(|at| memory.read_obj::<u64>(at).expect("in memory")), [7, 0, 0]);
            for at in &places[..round.min(3) as usize] {
                memory.write_obj(round, *at).expect("in memory");
            }
            assert_eq!(image.copied_pages().expect("a count"), round);
            image.restore().expect("it goes back");
            assert_eq!(image.copied_pages().expect("a count"), 0);
        }
    }
}
