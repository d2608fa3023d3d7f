//! Page frames and the heap.
//!
//! Frames come from one run of RAM above the image, lowest first, and are never given back: what is freed is
//! reused where it was used (the heap, recycled stacks).

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::null_mut;

use guest_kernel::memory_map::{FRAME, LARGE, Region};
use guest_kernel::physical::Physical;
use talc::base::Talc;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;

use super::lock::Masked;
use super::paging;

/// The heap grows by at least this much.
const HEAP_STEP: u64 = 1 << 20;

static FRAMES: Masked<Region> = Masked::new(Region { start: 0, end: 0 });

/// Hands over the RAM that the kernel may use. Called once.
pub fn init(free: Region) {
    *FRAMES.lock() = free;
}

/// Takes `count` adjoining frames: the physical address of the first. Their content is undefined.
pub fn frames(count: u64) -> Option<u64> {
    let mut free = FRAMES.lock();
    let bytes = count.checked_mul(FRAME)?;
    if free.bytes() < bytes {
        return None;
    }
    let first = free.start;
    free.start += bytes;
    Some(first)
}

/// Bytes of RAM not yet given out.
pub fn free_bytes() -> u64 {
    FRAMES.lock().bytes()
}

/// Fills the heap from [`frames`].
#[derive(Debug)]
struct Frames;

// SAFETY: `acquire` claims memory that nobody else has and touches the allocator only through `talc`.
unsafe impl Source for Frames {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        // Room for the request, its alignment and the allocator's own records.
        let wanted = (layout.size() as u64).checked_add(layout.align() as u64 + 16 * 1024).ok_or(())?;
        let bytes = wanted.max(HEAP_STEP).next_multiple_of(FRAME);
        let base = frames(bytes / FRAME).ok_or(())?;
        // SAFETY: the frames are fresh RAM, mapped one to one, and belong to the heap from now on.
        unsafe { talc.claim(base as *mut u8, bytes as usize) }.map(|_| ()).ok_or(())
    }
}

/// The allocator.
struct Heap(Masked<HeapCore>);

struct HeapCore {
    talc: Talc<Frames, DefaultBinning>,
    /// Bytes handed out, as they were asked for.
    used: u64,
}

// SAFETY: the pointers in it lead into the heap, which every CPU maps alike; access is behind a lock.
unsafe impl Send for HeapCore {}

#[global_allocator]
static HEAP: Heap = Heap(Masked::new(HeapCore { talc: Talc::new(Frames), used: 0 }));

/// Bytes of the heap that are in use.
pub fn heap_in_use() -> u64 {
    HEAP.0.lock().used
}

// SAFETY: Talc is an allocator; the lock makes it one for all CPUs, interrupt level included (it masks).
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.0.lock();
        // SAFETY: the caller gives a layout of non-zero size, as `GlobalAlloc` demands.
        let Some(block) = (unsafe { heap.talc.allocate(layout) }) else { return null_mut() };
        heap.used += layout.size() as u64;
        block.as_ptr()
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let mut heap = self.0.lock();
        // SAFETY: the caller gives a block of this allocator with its layout.
        unsafe { heap.talc.deallocate(pointer, layout) }
        heap.used = heap.used.saturating_sub(layout.size() as u64);
    }
}

/// What firmware and loader left below 4 GiB, seen through the boot page tables.
#[derive(Debug)]
pub struct LowMemory;

impl Physical for LowMemory {
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let end = address.checked_add(length as u64)?;
        if address < 16 || end > 1 << 32 || length as u64 > LARGE {
            return None;
        }
        if !paging::reach(address) || !paging::reach(end - 1) {
            return None;
        }
        // SAFETY: mapped one to one: shorter than a large page, so that with both ends all of it is. The areas that loader and firmware
        // name hold constants; nothing writes them while they are read.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, length) })
    }
}
