//! Which memory devices may reach: what the kernel has handed out for DMA and not taken back, as the tables of an IOMMU would say it.
//!
//! The kernel tells: in the simulator through the seam, on KVM through the bench page's ring. An access of a device anywhere else is to somebody else's memory, and
//! a violation of `dma-outside-buffer`. A virtqueue's used ring, which the device writes as memory and not by transfers, is looked at too.

use std::collections::BTreeMap;

/// The pieces, by address.
#[derive(Clone, Debug, Default)]
pub struct Lent {
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

    /// The piece at `address` came back: what it was, if there was one.
    pub fn take_back(&mut self, address: u64) -> Option<Piece> {
        let (bytes, slot) = self.pieces.remove(&address)?;
        Some(Piece { address, bytes, slot })
    }

    /// Whether the kernel tells. One that never does is not looked after.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// Whether the device in `slot` may read or write `bytes` bytes at `address`.
    pub fn allows(&self, slot: u32, address: u64, bytes: usize) -> bool {
        if !self.told || bytes == 0 {
            return true;
        }
        let piece = self.pieces.range(..=address).next_back();
        piece.is_some_and(|(&address_of, &(length, owner))| {
            Piece { address: address_of, bytes: length, slot: owner }.allows(slot, address, bytes)
        })
    }
}

/// A piece of memory that devices may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
    /// Slot of the device; 0 = any.
    pub slot: u32,
}

impl Piece {
    /// Whether `bytes` bytes at `address` are in it, and it is the device's in `slot`.
    pub fn allows(&self, slot: u32, address: u64, bytes: usize) -> bool {
        let end = address.checked_sub(self.address).and_then(|at| at.checked_add(bytes as u64));
        (self.slot == 0 || self.slot == slot) && end.is_some_and(|end| end <= self.bytes)
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
        assert_eq!(lent.take_back(0x1000), Some(Piece { address: 0x1000, bytes: 0x100, slot: 1 }));
        assert_eq!(lent.take_back(0x1000), None);
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
