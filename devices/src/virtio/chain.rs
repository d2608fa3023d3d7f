//! A descriptor chain as two streams of bytes: what the device may read, then what it may write (2.7.4).

use super::Broken;
use virtio_queue::DescriptorChain;
use vm_memory::{Address, GuestMemoryMmap};

/// A piece of guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub length: u32,
}

/// The buffers of one request.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    /// Device-readable, in order.
    pub readable: Vec<Segment>,
    /// Device-writable, in order.
    pub writable: Vec<Segment>,
}

impl Buffers {
    /// Collects the descriptors of `chain`, at most `limit` of them.
    ///
    /// # Errors
    /// A chain that does not end, that points outside of its table, that is longer, or that has a readable buffer behind a
    /// writable one.
    pub fn collect(&mut self, chain: DescriptorChain<&GuestMemoryMmap>, limit: usize) -> Result<(), Broken> {
        self.readable.clear();
        self.writable.clear();
        let mut ended = false;
        for descriptor in chain {
            if self.readable.len() + self.writable.len() >= limit {
                return Err(Broken);
            }
            let segment = Segment { address: descriptor.addr().raw_value(), length: descriptor.len() };
            if descriptor.is_write_only() {
                self.writable.push(segment);
            } else if self.writable.is_empty() {
                self.readable.push(segment);
            } else {
                return Err(Broken);
            }
            ended = !descriptor.has_next();
        }
        // The iterator also stops where the chain leads nowhere: the last descriptor then wants a successor.
        if ended { Ok(()) } else { Err(Broken) }
    }
}

/// Bytes of all segments.
pub fn total(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| u64::from(segment.length)).sum()
}

/// Takes `count` bytes off the front: the pieces that they were in go to `taken`. False if there are not as many.
pub fn take_front(segments: &mut Vec<Segment>, count: usize, mut taken: impl FnMut(Segment)) -> bool {
    let mut left = count as u64;
    let mut gone = 0;
    for segment in segments.iter_mut() {
        if left == 0 {
            break;
        }
        let length = left.min(segment.length.into()) as u32;
        taken(Segment { address: segment.address, length });
        segment.address = segment.address.wrapping_add(length.into());
        segment.length -= length;
        left -= u64::from(length);
        if segment.length == 0 {
            gone += 1;
        }
    }
    segments.drain(..gone);
    left == 0
}

/// Takes the last byte off: its address.
pub fn take_last(segments: &mut Vec<Segment>) -> Option<u64> {
    while segments.last().is_some_and(|segment| segment.length == 0) {
        segments.pop();
    }
    let last = segments.last_mut()?;
    last.length -= 1;
    Some(last.address.wrapping_add(last.length.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(list: &[(u64, u32)]) -> Vec<Segment> {
        list.iter().map(|&(address, length)| Segment { address, length }).collect()
    }

    #[test]
    fn streams_split_anywhere() {
        let mut list = segments(&[(0x100, 4), (0x200, 0), (0x300, 20)]);
        let mut taken = Vec::new();
        assert!(take_front(&mut list, 16, |segment| taken.push(segment)));
        assert_eq!(taken, segments(&[(0x100, 4), (0x200, 0), (0x300, 12)]));
        assert_eq!(list, segments(&[(0x30c, 8)]));
        assert_eq!(take_last(&mut list), Some(0x313));
        assert_eq!(total(&list), 7);
        assert!(!take_front(&mut list, 8, |_| {}));
        assert_eq!(take_last(&mut Vec::new()), None);
        assert_eq!(take_last(&mut segments(&[(1, 0)])), None);
    }
}
