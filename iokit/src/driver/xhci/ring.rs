//! The two kinds of rings (xHCI 1.2, 4.9): one that the driver fills, one that the controller fills.

use super::regs::kind;
use super::trb::{self, Trb};
use mach::DmaBuffer;

/// Where a block is: its index, and the cycle bit that it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Index of the block.
    pub index: u16,
    /// Cycle.
    pub cycle: bool,
}

/// The places of a ring that is filled by the driver: pure counting, tested alone.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Blocks, the link at the end included.
    size: u16,
    next: Position,
    used: u16,
}

impl Places {
    /// All of `size` blocks are free but the last, which is the link.
    pub const fn new(size: u16) -> Self {
        Self { size, next: Position { index: 0, cycle: true }, used: 0 }
    }

    /// Whether `count` blocks are free.
    pub const fn has_room(&self, count: usize) -> bool {
        // One stays free: full and empty are told apart by it.
        count + self.used as usize + 1 < self.size as usize
    }

    /// Where the next block goes.
    pub const fn next(&self) -> Position {
        self.next
    }

    /// Takes the next place. True: the link must be passed (written with the cycle of the old round) on the way to the one after.
    pub const fn take(&mut self) -> (Position, bool) {
        let at = self.next;
        self.used += 1;
        let wraps = at.index + 2 >= self.size;
        self.next = if wraps {
            Position { index: 0, cycle: !at.cycle }
        } else {
            Position { index: at.index + 1, ..at }
        };
        (at, wraps)
    }

    /// So many blocks are the driver's again.
    pub const fn free(&mut self, count: u16) {
        self.used = self.used.saturating_sub(count);
    }
}

/// A ring that the driver fills: commands, or the transfers of one endpoint.
pub struct Ring {
    memory: DmaBuffer,
    places: Places,
}

impl Ring {
    /// An empty ring in `memory`, which lies within 64 KiB (table 6-1).
    pub fn new(memory: DmaBuffer) -> Self {
        let blocks = (memory.len() / trb::BYTES) as u16;
        for index in 0..u64::from(blocks) {
            memory.write(index * trb::BYTES, &[0; 16]);
        }
        Self { memory, places: Places::new(blocks) }
    }

    /// Physical address of a position, with the cycle in bit 0.
    pub fn pointer(&self, at: Position) -> u64 {
        self.address(at.index) | u64::from(at.cycle)
    }

    /// Physical address of a block.
    pub fn address(&self, index: u16) -> u64 {
        self.memory.address() + u64::from(index) * trb::BYTES
    }

    /// The block at a physical address; `None`: it is not in this ring.
    pub fn index_of(&self, address: u64) -> Option<u16> {
        let offset = (address & !0xf).checked_sub(self.memory.address())?;
        (offset < self.memory.len()).then_some((offset / trb::BYTES) as u16)
    }

    /// Where the next block goes.
    pub fn next(&self) -> Position {
        self.places.next()
    }

    /// Whether `count` blocks fit.
    pub fn has_room(&self, count: usize) -> bool {
        self.places.has_room(count)
    }

    /// So many blocks are done with.
    pub fn free(&mut self, count: u16) {
        self.places.free(count);
    }

    /// Appends the blocks of one transfer or command, of which there are some, and for which there is room. The first becomes visible last, and
    /// with it all: the controller never sees half of it. Calls `placed` with the index of each.
    pub fn push(&mut self, blocks: &[Trb], mut placed: impl FnMut(u16)) {
        let mut first = None;
        for block in blocks {
            let (at, wraps) = self.places.take();
            placed(at.index);
            let control = block.control & !trb::CYCLE | u32::from(at.cycle);
            if first.is_none() {
                first = Some((at.index, control));
                self.write(at.index, Trb { control: control ^ trb::CYCLE, ..*block });
            } else {
                self.write(at.index, Trb { control, ..*block });
            }
            if wraps {
                let flags = trb::TOGGLE | block.control & trb::CHAIN | u32::from(at.cycle);
                self.write(at.index + 1, Trb::new(kind::LINK, self.address(0), 0, flags));
            }
        }
        if let Some((index, control)) = first {
            self.memory.write_u32(u64::from(index) * trb::BYTES + 12, control);
        }
    }

    fn write(&self, index: u16, block: Trb) {
        let bytes = block.encode();
        let at = u64::from(index) * trb::BYTES;
        // The cycle last: it says that the rest is there.
        self.memory.write(at, &bytes[..12]);
        self.memory.write(at + 12, &bytes[12..]);
    }
}

/// The event ring: one segment.
pub struct EventRing {
    memory: DmaBuffer,
    at: Position,
}

impl EventRing {
    /// An empty ring in `memory`.
    pub fn new(memory: DmaBuffer) -> Self {
        for offset in (0..memory.len()).step_by(16) {
            memory.write(offset, &[0; 16]);
        }
        Self { memory, at: Position { index: 0, cycle: true } }
    }

    /// Physical address of the segment.
    pub fn base(&self) -> u64 {
        self.memory.address()
    }

    /// Blocks of the segment.
    pub fn size(&self) -> u16 {
        (self.memory.len() / trb::BYTES) as u16
    }

    /// Physical address of the next event.
    pub fn pointer(&self) -> u64 {
        self.memory.address() + u64::from(self.at.index) * trb::BYTES
    }

    /// Takes the next event, if there is one.
    pub fn pop(&mut self) -> Option<Trb> {
        let offset = u64::from(self.at.index) * trb::BYTES;
        // The control word first: if its cycle says so, the rest was written before it.
        let control = self.memory.read_u32(offset + 12);
        if (control & trb::CYCLE != 0) != self.at.cycle {
            return None;
        }
        let event = Trb {
            parameter: self.memory.read_u64(offset),
            status: self.memory.read_u32(offset + 8),
            control,
        };
        self.at.index += 1;
        if self.at.index == self.size() {
            self.at = Position { index: 0, cycle: !self.at.cycle };
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cycle_toggles_where_the_link_is() {
        let mut places = Places::new(4);
        let at = |index, cycle| Position { index, cycle };
        assert_eq!(places.take(), (at(0, true), false));
        assert_eq!(places.take(), (at(1, true), false));
        places.free(2);
        assert_eq!(places.take(), (at(2, true), true));
        assert_eq!(places.take(), (at(0, false), false));
        assert_eq!(places.next(), at(1, false));
    }

    #[test]
    fn a_ring_is_never_filled_to_the_brim() {
        for size in [4u16, 16, 64] {
            let mut places = Places::new(size);
            let mut taken = 0;
            while places.has_room(1) {
                places.take();
                taken += 1;
            }
            assert_eq!(taken, size - 2);
            assert!(!places.has_room(usize::from(size)));
            places.free(1);
            assert!(places.has_room(1) && !places.has_room(2));
        }
    }
}
