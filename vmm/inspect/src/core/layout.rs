//! Which memory goes where in a core.

use crate::paging::Mapping;
use std::ops::Range;

/// Segments at the most: their number has 16 bits.
const MAX_SEGMENTS: usize = 60_000;

/// A `PT_LOAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Virtual address.
    pub address: u64,
    /// Physical address, which is in one of the memory's ranges, as are all of its bytes.
    pub physical: u64,
    /// Bytes.
    pub bytes: u64,
    /// It may be written.
    pub writable: bool,
    /// It may be executed.
    pub executable: bool,
}

/// Segments for all memory of `ranges`, in order of virtual addresses: where the kernel has mapped it, and the rest at its physical address
/// unless something else is mapped there.
pub fn segments(ranges: &[Range<u64>], mappings: &[Mapping]) -> Vec<Segment> {
    let mut found = Vec::new();
    for mapping in mappings {
        for range in ranges {
            found.extend(part(mapping, range));
        }
    }
    let mut mapped: Vec<Range<u64>> = found
        .iter()
        .map(|segment: &Segment| segment.address..segment.address.saturating_add(segment.bytes))
        .collect();
    mapped.sort_by_key(|range| range.start);
    for range in ranges {
        for rest in gaps(range, &mapped) {
            let (address, bytes) = (rest.start, rest.end - rest.start);
            found.push(Segment { address, physical: address, bytes, writable: true, executable: true });
        }
    }
    found.sort_by_key(|segment| segment.address);
    found.truncate(MAX_SEGMENTS);
    found
}

/// The part of a mapping that leads into `range`.
fn part(mapping: &Mapping, range: &Range<u64>) -> Option<Segment> {
    let start = mapping.physical.max(range.start);
    let end = mapping.physical.checked_add(mapping.bytes)?.min(range.end);
    let bytes = end.checked_sub(start).filter(|&bytes| bytes > 0)?;
    let address = mapping.address.checked_add(start - mapping.physical)?;
    let (writable, executable) = (mapping.writable, mapping.executable);
    Some(Segment { address, physical: start, bytes, writable, executable })
}

/// What of `range` is in none of `mapped`, which are sorted by their starts.
fn gaps(range: &Range<u64>, mapped: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut found = Vec::new();
    let mut at = range.start;
    for taken in mapped.iter().filter(|taken| taken.start < range.end && taken.end > range.start) {
        if taken.start > at {
            found.push(at..taken.start);
        }
        at = at.max(taken.end);
    }
    if at < range.end {
        found.push(at..range.end);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memory_is_there_once_at_its_best_address() {
        let map = |address, physical, bytes| Mapping {
            address,
            physical,
            bytes,
            writable: true,
            executable: false,
        };
        let ranges = [0..0x10_000, 0x1_0000_0000..0x1_0000_4000];
        let mappings = [
            map(0x1000, 0x1000, 0x8000),
            map(0xfee0_0000, 0xfee0_0000, 0x1000),
            map(1 << 47, 0xe000, 0x8000),
        ];
        let found = segments(&ranges, &mappings);
        let told: Vec<_> = found.iter().map(|s| (s.address, s.physical, s.bytes)).collect();
        let expected = [
            (0, 0, 0x1000),
            (0x1000, 0x1000, 0x8000),
            (0x9000, 0x9000, 0x7000),
            (0x1_0000_0000, 0x1_0000_0000, 0x4000),
            (1 << 47, 0xe000, 0x2000),
        ];
        assert_eq!(told, expected);
    }
}
