//! Memory that takes part in I/O (MD1).

use alloc::{sync::Arc, vec::Vec};

use bitflags::bitflags;
use mach::{DmaBuffer, SpinLock};

use crate::{
    IoKit,
    ioreturn::{IOResult, IOReturn},
    registry::report::violation,
};

bitflags! {
    /// Which way data goes, as the client of a device sees it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Direction: u32 {
        /// From the device into memory.
        const IN = 1;
        /// From memory to the device.
        const OUT = 2;
    }
}

/// A piece of a buffer.
#[derive(Clone, Debug)]
pub struct MemoryRange {
    /// The buffer.
    pub buffer: Arc<DmaBuffer>,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

impl From<Arc<DmaBuffer>> for MemoryRange {
    /// All of the buffer.
    fn from(buffer: Arc<DmaBuffer>) -> Self {
        let length = buffer.len();
        Self { buffer, offset: 0, length }
    }
}

impl MemoryRange {
    fn is_inside(&self) -> bool {
        self.offset.checked_add(self.length).is_some_and(|end| end <= self.buffer.len())
    }

    /// Physical address of byte `at` of the range.
    fn address(&self, at: u64) -> u64 {
        self.buffer.address() + self.offset + at
    }
}

/// IOMemoryDescriptor: ranges of memory, one after the other, and whether they are wired for a device.
pub struct MemoryDescriptor {
    kit: IoKit,
    direction: Direction,
    ranges: Vec<MemoryRange>,
    length: u64,
    /// What this is a part of: wired with it.
    whole: Option<Arc<MemoryDescriptor>>,
    /// The ranges are whole buffers of its own, which a device may reach while it is wired only.
    owner: bool,
    wire: SpinLock<Wire>,
}

#[derive(Default)]
struct Wire {
    /// `prepare`s without their `complete`.
    count: u32,
    /// DMA commands that hold it.
    dma: u32,
}

impl MemoryDescriptor {
    /// Most ranges of one descriptor.
    pub const RANGES_MAX: usize = 4096;

    /// A descriptor of `ranges`, empty ones left out.
    ///
    /// # Errors
    /// BadArgument: a range reaches beyond its buffer, there are more than [`MemoryDescriptor::RANGES_MAX`] of them, or they are longer
    /// than a number can say.
    pub fn new(
        kit: &IoKit,
        direction: Direction,
        ranges: impl IntoIterator<Item = MemoryRange>,
    ) -> IOResult<Arc<Self>> {
        let ranges: Vec<_> =
            ranges.into_iter().filter(|r| r.length != 0).take(Self::RANGES_MAX + 1).collect();
        if ranges.len() > Self::RANGES_MAX || !ranges.iter().all(MemoryRange::is_inside) {
            return Err(IOReturn::BadArgument);
        }
        Self::make(kit, direction, ranges, None, false)
    }

    /// A descriptor of newly allocated memory, at a multiple of `align` (IOBufferMemoryDescriptor).
    ///
    /// # Errors
    /// NoMemory.
    pub fn with_capacity(kit: &IoKit, direction: Direction, bytes: u64, align: u64) -> IOResult<Arc<Self>> {
        Self::of_buffer(kit, direction, kit.kernel().dma_alloc(bytes, align)?)
    }

    /// A descriptor of all of `buffer`, which is nobody else's: its device may reach it from `prepare` to `complete`, and at no other time.
    ///
    /// # Errors
    /// As [`MemoryDescriptor::new`].
    pub fn of_buffer(kit: &IoKit, direction: Direction, buffer: DmaBuffer) -> IOResult<Arc<Self>> {
        buffer.take_back();
        let ranges = [MemoryRange::from(Arc::new(buffer))].into_iter().filter(|range| range.length != 0);
        Self::make(kit, direction, ranges.collect(), None, true)
    }

    /// A descriptor of `length` bytes of this one, from `offset` (IOSubMemoryDescriptor). Wiring it wires this one.
    ///
    /// # Errors
    /// BadArgument: it reaches beyond this one.
    pub fn part(self: &Arc<Self>, offset: u64, length: u64) -> IOResult<Arc<Self>> {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(IOReturn::BadArgument);
        }
        let mut ranges = Vec::new();
        let (mut skip, mut left) = (offset, length);
        for range in &self.ranges {
            let here = range.length.saturating_sub(skip).min(left);
            if here != 0 {
                let offset = range.offset + skip;
                ranges.push(MemoryRange { buffer: range.buffer.clone(), offset, length: here });
            }
            skip = skip.saturating_sub(range.length);
            left -= here;
        }
        Self::make(&self.kit, self.direction, ranges, Some(self.clone()), false)
    }

    fn make(
        kit: &IoKit,
        direction: Direction,
        ranges: Vec<MemoryRange>,
        whole: Option<Arc<Self>>,
        owner: bool,
    ) -> IOResult<Arc<Self>> {
        let length = ranges.iter().try_fold(0u64, |sum, r| sum.checked_add(r.length));
        let length = length.ok_or(IOReturn::BadArgument)?;
        let wire = SpinLock::new(Wire::default());
        Ok(Arc::new(Self { kit: kit.clone(), direction, ranges, length, whole, owner, wire }))
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Which way data goes.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Wires the memory for a device; nests (MD1).
    ///
    /// # Errors
    /// NoResources: it nests too deep.
    pub fn prepare(&self) -> IOResult {
        let mut wire = self.wire.lock(self.kit.kernel());
        let count = wire.count.checked_add(1).ok_or(IOReturn::NoResources)?;
        if let Some(whole) = self.whole.as_ref().filter(|_| wire.count == 0) {
            whole.prepare()?;
        }
        if wire.count == 0 {
            self.own(DmaBuffer::lend);
        }
        wire.count = count;
        Ok(())
    }

    /// Takes one `prepare` back; the last one unwires (MD1). Panics if a DMA command still holds the memory then: the device
    /// would go on with memory that is somebody else's.
    ///
    /// # Errors
    /// NotReady: it was not prepared.
    pub fn complete(&self) -> IOResult {
        let active = {
            let mut wire = self.wire.lock(self.kit.kernel());
            let count = wire.count.checked_sub(1).ok_or(IOReturn::NotReady)?;
            if count != 0 || wire.dma == 0 {
                wire.count = count;
                if count == 0 {
                    self.own(DmaBuffer::take_back);
                }
                if let Some(whole) = self.whole.as_ref().filter(|_| count == 0) {
                    return whole.complete();
                }
                return Ok(());
            }
            wire.dma
        };
        violation(
            self.kit.kernel(),
            "MD1",
            0,
            format_args!("complete() while dma active ({active} commands)"),
        )
    }

    /// What becomes of its own buffers.
    fn own(&self, become_of: fn(&DmaBuffer)) {
        self.ranges.iter().filter(|_| self.owner).for_each(|range| become_of(&range.buffer));
    }

    /// Whether it is wired.
    pub fn is_wired(&self) -> bool {
        self.wire.lock(self.kit.kernel()).count != 0
    }

    /// DMA commands that hold it.
    pub fn dma_commands(&self) -> u32 {
        self.wire.lock(self.kit.kernel()).dma
    }

    /// A DMA command holds it from now on.
    pub(super) fn begin_dma(&self) {
        self.wire.lock(self.kit.kernel()).dma += 1;
    }

    /// A DMA command lets go.
    pub(super) fn end_dma(&self) {
        let mut wire = self.wire.lock(self.kit.kernel());
        wire.dma = wire.dma.saturating_sub(1);
    }

    /// Physical address of byte `offset`, and the bytes that follow it without a gap. `None` beyond the end, and while it is
    /// not wired: memory that is not wired has no address to count on.
    pub fn physical_segment(&self, offset: u64) -> Option<(u64, u64)> {
        if !self.is_wired() {
            return None;
        }
        let (first, at) = self.find(offset)?;
        let address = self.ranges[first].address(at);
        let mut length = self.ranges[first].length - at;
        for next in &self.ranges[first + 1..] {
            if address.checked_add(length) != Some(next.address(0)) {
                break;
            }
            length += next.length;
        }
        Some((address, length))
    }

    /// The range with byte `offset`, and that byte's place in it.
    fn find(&self, offset: u64) -> Option<(usize, u64)> {
        let mut at = offset;
        for (n, range) in self.ranges.iter().enumerate() {
            if at < range.length {
                return Some((n, at));
            }
            at -= range.length;
        }
        None
    }

    /// Copies from byte `offset` on; how many bytes there were.
    pub fn read_bytes(&self, offset: u64, into: &mut [u8]) -> usize {
        self.pieces(offset, into.len(), |range, at, piece| {
            range.buffer.read(range.offset + at, &mut into[piece])
        })
    }

    /// Copies to byte `offset` on; how many bytes there was room for.
    pub fn write_bytes(&self, offset: u64, from: &[u8]) -> usize {
        self.pieces(offset, from.len(), |range, at, piece| {
            range.buffer.write(range.offset + at, &from[piece])
        })
    }

    /// Calls `copy` for each range that bytes `offset`… fall into; how many bytes in all.
    fn pieces(
        &self,
        offset: u64,
        bytes: usize,
        mut copy: impl FnMut(&MemoryRange, u64, core::ops::Range<usize>),
    ) -> usize {
        let Some((first, mut at)) = self.find(offset) else { return 0 };
        let mut done = 0;
        for range in &self.ranges[first..] {
            let here = usize::try_from(range.length - at).unwrap_or(usize::MAX).min(bytes - done);
            if here == 0 {
                break;
            }
            copy(range, at, done..done + here);
            done += here;
            at = 0;
        }
        done
    }
}
