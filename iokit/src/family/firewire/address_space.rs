//! The part of the local node's address space that drivers answer for: where other nodes write what they have to say.
//!
//! It lies above what a controller serves from memory by itself, and below the registers: there a write is complete with its acknowledge (OHCI 1.1, 1.5).

use crate::ioreturn::{IOResult, IOReturn};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Where it begins, and ends.
const FIRST: u64 = 0x0001_0000_0000;
const END: u64 = 0x0001_0100_0000;
/// Ranges begin at multiples of this.
const ALIGN: u64 = 64;

/// Who is told of a write: offset in the range, and the data. In the gate; does not sleep.
pub type Handler = Arc<dyn Fn(u8, u64, &[u8]) + Send + Sync>;

struct Range {
    first: u64,
    bytes: u64,
    handler: Handler,
}

/// The ranges that somebody answers for.
#[derive(Default)]
pub struct AddressSpace {
    ranges: Vec<Range>,
    next: u64,
}

impl AddressSpace {
    /// Takes a range of `bytes` bytes, to which others may write from now on. Its address. NoSpace: there is no room any more.
    pub fn allocate(&mut self, bytes: u64, handler: Handler) -> IOResult<u64> {
        let size = bytes.max(1).next_multiple_of(ALIGN);
        // The last that was given back is used again last: what comes late finds nobody.
        let tries = [FIRST + self.next, FIRST];
        let first = tries.into_iter().find_map(|from| self.free_from(from, size)).ok_or(IOReturn::NoSpace)?;
        self.next = first + size - FIRST;
        self.ranges.push(Range { first, bytes, handler });
        Ok(first)
    }

    fn free_from(&self, from: u64, size: u64) -> Option<u64> {
        let mut at = from;
        while at + size <= END {
            let taken = |range: &&Range| at < range.first + range.bytes && range.first < at + size;
            match self.ranges.iter().find(taken) {
                None => return Some(at),
                Some(range) => at = (range.first + range.bytes).next_multiple_of(ALIGN),
            }
        }
        None
    }

    /// Gives the range at `address` back: whoever it was is not told of anything any more. Drop what comes back outside of the table.
    pub fn free(&mut self, address: u64) -> Option<Handler> {
        let place = self.ranges.iter().position(|range| range.first == address)?;
        Some(self.ranges.remove(place).handler)
    }

    /// Who answers for these bytes, and where in its range they are.
    pub fn find(&self, offset: u64, bytes: usize) -> Option<(Handler, u64)> {
        let end = offset.checked_add(bytes as u64)?;
        let range =
            self.ranges.iter().find(|range| range.first <= offset && end <= range.first + range.bytes)?;
        Some((range.handler.clone(), offset - range.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody() -> Handler {
        Arc::new(|_, _, _| {})
    }

    #[test]
    fn ranges_do_not_overlap_and_only_all_of_them_is_found() {
        let mut space = AddressSpace::default();
        let one = space.allocate(32, nobody()).expect("room");
        let two = space.allocate(100, nobody()).expect("room");
        assert!(one.is_multiple_of(ALIGN) && two >= one + 32);
        assert_eq!(space.find(one + 24, 8).map(|(_, at)| at), Some(24));
        for (offset, bytes) in [(one + 25, 8), (one - 1, 4), (one + 32, 4), (u64::MAX, 4), (0, 4)] {
            assert!(space.find(offset, bytes).is_none(), "{offset:#x}");
        }
        assert!(space.free(one).is_some() && space.free(one).is_none());
        assert!(space.find(one, 8).is_none());
    }

    #[test]
    fn the_space_ends_and_what_is_given_back_is_used_again() {
        let mut space = AddressSpace::default();
        assert_eq!(space.allocate(END - FIRST + 1, nobody()), Err(IOReturn::NoSpace));
        let all = space.allocate(END - FIRST, nobody()).expect("all");
        assert_eq!(space.allocate(1, nobody()), Err(IOReturn::NoSpace));
        space.free(all);
        assert_eq!(space.allocate(1, nobody()), Ok(FIRST));
    }
}
