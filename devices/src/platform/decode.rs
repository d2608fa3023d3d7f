//! Which BAR an address belongs to.

/// Where an access goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index of the slot.
    pub slot: usize,
    /// BAR number.
    pub bar: u8,
    /// True for the BAR of the MSI-X table.
    pub msix: bool,
    /// Offset in the BAR.
    pub offset: u64,
}

/// One decoded range.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Index of the slot.
    pub slot: usize,
    /// BAR number.
    pub bar: u8,
    /// True for the BAR of the MSI-X table.
    pub msix: bool,
}

/// A sorted table of ranges that remembers where the last access went.
#[derive(Default)]
pub struct Decoder {
    ranges: Vec<Range>,
    last: usize,
    stale: bool,
}

impl Decoder {
    /// Something that decides about ranges has changed.
    pub fn invalidate(&mut self) {
        self.stale = true;
    }

    /// True if the table must be filled again before it is asked.
    pub fn stale(&self) -> bool {
        self.stale
    }

    /// Fills the table. Ranges that a guest made to overlap are all kept: the one that starts nearest below an address gets it.
    pub fn fill(&mut self, ranges: impl Iterator<Item = Range>) {
        self.ranges.clear();
        self.ranges.extend(ranges);
        self.ranges.sort_unstable_by_key(|range| (range.start, range.slot, range.bar));
        self.last = 0;
        self.stale = false;
    }

    /// The BAR that holds all `length` bytes at `address`.
    pub fn find(&mut self, address: u64, length: usize) -> Option<Target> {
        if let Some(target) = self.ranges.get(self.last).and_then(|r| within(r, address, length)) {
            return Some(target);
        }
        let index = self.ranges.partition_point(|range| range.start <= address).checked_sub(1)?;
        let target = within(&self.ranges[index], address, length)?;
        self.last = index;
        Some(target)
    }
}

fn within(range: &Range, address: u64, length: usize) -> Option<Target> {
    let offset = address.checked_sub(range.start)?;
    let end = offset.checked_add(length as u64)?;
    (end <= range.size).then_some(Target { slot: range.slot, bar: range.bar, msix: range.msix, offset })
}
