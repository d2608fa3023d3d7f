//! Reading and writing guest memory: what lies in one region, as nearly everything does, is reached without a walk over regions.

use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// Reads `into` from guest-physical `address`; false, and `into` in part, where there is no memory.
#[inline]
pub fn read(memory: &GuestMemoryMmap, address: u64, into: &mut [u8]) -> bool {
    match memory.get_slice(GuestAddress(address), into.len()) {
        Ok(slice) => slice.copy_to(into) == into.len(),
        Err(_) => memory.read_slice(into, GuestAddress(address)).is_ok(),
    }
}

/// Writes `from` to guest-physical `address`; false, and `from` in part, where there is no memory.
#[inline]
pub fn write(memory: &GuestMemoryMmap, address: u64, from: &[u8]) -> bool {
    match memory.get_slice(GuestAddress(address), from.len()) {
        Ok(slice) => {
            slice.copy_from(from);
            true
        }
        Err(_) => memory.write_slice(from, GuestAddress(address)).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_meet_are_crossed_and_the_end_is_not() {
        let ranges = [(GuestAddress(0x1000), 0x1000), (GuestAddress(0x2000), 0x1000)];
        let memory = GuestMemoryMmap::from_ranges(&ranges).expect("memory");
        let mut back = [0; 4];
        for address in [0x1000, 0x1ffe, 0x2ffc] {
            assert!(write(&memory, address, b"abcd") && read(&memory, address, &mut back));
            assert_eq!(&back, b"abcd", "{address:#x}");
        }
        for address in [0, 0xffe, 0x2ffe, u64::MAX] {
            assert!(!write(&memory, address, b"abcd") && !read(&memory, address, &mut back), "{address:#x}");
        }
        assert!(read(&memory, 0x1000, &mut []) && write(&memory, 0x1000, &[]));
    }
}
