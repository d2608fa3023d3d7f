//! RAM: what there is, and who gets which part.

/// Most RAM regions that are kept; more are ignored.
pub const MAX_REGIONS: usize = 16;
/// Bytes of a page frame.
pub const FRAME: u64 = 4096;
/// Bytes of a large page.
pub const LARGE: u64 = 2 << 20;
/// Least RAM with which the kernel starts, beyond its image.
pub const LEAST_FREE: u64 = 8 << 20;

/// Why a memory map cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMapError {
    /// An entry's end is beyond the address space.
    Overflow,
    /// Too little RAM above the kernel image: the largest piece, in bytes.
    TooSmall(u64),
}

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
}

impl Region {
    /// Bytes in it.
    pub const fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// True if `address` is in it.
    pub const fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }
}

/// The RAM of the machine, whole frames only.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryMap {
    regions: [Region; MAX_REGIONS],
    count: usize,
}

/// How RAM above the image is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Set aside for DMA.
    pub dma: Region,
    /// Frames, stacks and heap.
    pub free: Region,
}

impl MemoryMap {
    /// No RAM.
    pub const fn new() -> Self {
        Self { regions: [Region { start: 0, end: 0 }; MAX_REGIONS], count: 0 }
    }

    /// Adds a piece of RAM.
    ///
    /// # Errors
    /// [`MemoryMapError::Overflow`] if it ends beyond 2^64.
    pub fn add(&mut self, start: u64, bytes: u64) -> Result<(), MemoryMapError> {
        let end = start.checked_add(bytes).ok_or(MemoryMapError::Overflow)? / FRAME * FRAME;
        let start = start.checked_next_multiple_of(FRAME).ok_or(MemoryMapError::Overflow)?;
        if start < end && self.count < MAX_REGIONS {
            self.regions[self.count] = Region { start, end };
            self.count += 1;
        }
        Ok(())
    }

    /// The pieces of RAM, in the loader's order.
    pub fn regions(&self) -> &[Region] {
        &self.regions[..self.count]
    }

    /// True if the whole of `region` is RAM.
    pub fn covers(&self, region: Region) -> bool {
        self.regions().iter().any(|r| r.start <= region.start && region.end <= r.end)
    }

    /// End of RAM below 4 GiB.
    pub fn low_end(&self) -> u64 {
        self.regions().iter().filter(|r| r.end <= 1 << 32).map(|r| r.end).max().unwrap_or(0)
    }

    /// Divides the piece of RAM that begins below `image_end` and reaches furthest: an eighth of what is above the image, at most
    /// 32 MiB, for DMA, at its upper end; the rest for the kernel.
    ///
    /// # Errors
    /// [`MemoryMapError::TooSmall`] if less than [`LEAST_FREE`] is left above the image.
    pub fn divide(&self, image_end: u64) -> Result<Layout, MemoryMapError> {
        let home = self.regions().iter().find(|r| r.contains(image_end)).copied().unwrap_or_default();
        let free = Region { start: image_end.next_multiple_of(FRAME), end: home.end.max(image_end) };
        if free.start >= free.end || free.bytes() < LEAST_FREE {
            return Err(MemoryMapError::TooSmall(free.end.saturating_sub(free.start)));
        }
        let end = free.end.min(1 << 32);
        let dma = (free.bytes() / 8).min(32 << 20) / LARGE * LARGE;
        let dma = dma.max(1 << 20);
        let split = (end - dma) / FRAME * FRAME;
        Ok(Layout {
            dma: Region { start: split, end: split + dma },
            free: Region { start: free.start, end: split },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_frames_count() {
        let mut map = MemoryMap::new();
        map.add(0x1001, 0x2fff).unwrap();
        map.add(0x5000, 0xfff).unwrap();
        assert_eq!(map.regions(), &[Region { start: 0x2000, end: 0x4000 }]);
        assert_eq!(map.add(u64::MAX, 2), Err(MemoryMapError::Overflow));
    }

    #[test]
    fn ram_is_divided_above_the_image() {
        let mut map = MemoryMap::new();
        map.add(0, 0x9_f000).unwrap();
        map.add(0x10_0000, 63 << 20).unwrap();
        map.add(1 << 32, 1 << 30).unwrap();
        let layout = map.divide(0x30_0123).unwrap();
        assert_eq!(layout.free.start, 0x30_1000);
        assert_eq!(layout.free.end, layout.dma.start);
        assert_eq!(layout.dma.end, 64 << 20);
        assert_eq!(layout.dma.bytes(), 6 << 20);
        assert_eq!(map.low_end(), 64 << 20);
        assert!(map.covers(Region { start: 0x8000, end: 0x9000 }));
        assert!(!map.covers(Region { start: 0x9_f000, end: 0xa_0000 }));
    }

    #[test]
    fn too_little_is_refused() {
        let mut map = MemoryMap::new();
        map.add(0x10_0000, 4 << 20).unwrap();
        assert_eq!(map.divide(0x30_0000), Err(MemoryMapError::TooSmall(2 << 20)));
        assert_eq!(map.divide(0x4000_0000), Err(MemoryMapError::TooSmall(0)));
    }

    #[test]
    fn more_regions_than_fit_are_ignored() {
        let mut map = MemoryMap::new();
        for n in 0..100 {
            map.add(n << 20, 0x1000).unwrap();
        }
        assert_eq!(map.regions().len(), MAX_REGIONS);
    }
}
