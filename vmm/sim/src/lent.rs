//! Which memory devices may write to: what the kernel has handed out for DMA and not taken back.
//!
//! The kernel says so through the seam; a write of a device anywhere else is somebody else's memory, and a violation of
//! `dma-outside-buffer`. Only the simulator looks: it runs devices and kernel in one order. A virtqueue's used ring, which the device
//! writes as memory and not by transfers, is looked at too.

use std::collections::BTreeMap;

/// The pieces, by address.
#[derive(Default)]
pub(crate) struct Lent {
    /// Bytes, and the slot of the device; 0 = any.
    pieces: BTreeMap<u64, (u64, u32)>,
    /// The kernel tells. One that never does is not looked after.
    told: bool,
}

impl Lent {
    /// A piece was handed out.
    pub fn lend(&mut self, slot: u32, address: u64, bytes: u64) {
        self.told = true;
        self.pieces.insert(address, (bytes, slot));
    }

    /// The piece at `address` came back.
    pub fn take_back(&mut self, address: u64) {
        self.pieces.remove(&address);
    }

    /// Whether the device in `slot` may write `bytes` bytes at `address`.
    pub fn allows(&self, slot: u32, address: u64, bytes: usize) -> bool {
        if !self.told || bytes == 0 {
            return true;
        }
        let piece = self.pieces.range(..=address).next_back();
        piece.is_some_and(|(&start, &(length, owner))| {
            let end = (address - start).checked_add(bytes as u64);
            (owner == 0 || owner == slot) && end.is_some_and(|end| end <= length)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_writes_within_a_piece_that_is_its_own_or_anybodys() {
        let mut lent = Lent::default();
        lent.lend(1, 0x1000, 0x100);
        lent.lend(0, 0x2000, 0x40);
        assert!(lent.allows(1, 0x1000, 0x100) && lent.allows(1, 0x10ff, 1) && lent.allows(7, 0x2000, 0x40));
        assert!(!lent.allows(1, 0xfff, 2) && !lent.allows(1, 0x10ff, 2), "across an end");
        assert!(!lent.allows(2, 0x1000, 1), "another device's");
        assert!(!lent.allows(1, u64::MAX, usize::MAX), "beyond all memory");
        lent.take_back(0x1000);
        assert!(!lent.allows(1, 0x1000, 1) && lent.allows(1, 0x2000, 1));
    }

    #[test]
    fn neighbours_are_two_pieces() {
        let mut lent = Lent::default();
        lent.lend(1, 0x1000, 0x40);
        lent.lend(1, 0x1040, 0x40);
        assert!(!lent.allows(1, 0x1030, 0x20));
    }

    #[test]
    fn a_kernel_that_does_not_tell_is_not_looked_after() {
        assert!(Lent::default().allows(1, 0, 100));
    }
}
