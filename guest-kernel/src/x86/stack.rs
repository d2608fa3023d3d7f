//! Kernel stacks: slots in a region of their own, the lower half of each slot unmapped.

use core::sync::atomic::{AtomicU32, Ordering};

use super::lock::Masked;
use super::{memory, paging};
use guest_kernel::memory_map::FRAME;

/// Where the region of stacks begins.
pub const BASE: u64 = 0xffff_c000_0000_0000;
/// Bytes of a slot: guard and stack.
pub const SLOT: u64 = 64 << 10;
/// Bytes of the stack, the upper part of a slot.
pub const BYTES: u64 = 32 << 10;
/// Most stacks: what the region holds.
const MAX_STACKS: u32 = 16_384;

/// Slots whose stack has been mapped; all below this number.
static MAPPED: AtomicU32 = AtomicU32::new(0);
/// Head of the list of free slots, plus one; the next is in the topmost word of the free stack.
static FREE: Masked<u32> = Masked::new(0);

/// A stack. Not freed on drop: its owner may be running on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Stack(u32);

impl Stack {
    /// A recycled stack, or a new one. Its content is undefined.
    pub fn new() -> Option<Self> {
        let mut free = FREE.lock();
        if let Some(slot) = free.checked_sub(1) {
            // SAFETY: a free stack is mapped and nobody uses it; its topmost word was written by `free`.
            *free = unsafe { link(slot).read() };
            return Some(Self(slot));
        }
        let slot = MAPPED.load(Ordering::Relaxed);
        if slot >= MAX_STACKS {
            return None;
        }
        let stack = Self(slot);
        paging::map_stack(stack.bottom(), memory::frames(BYTES / FRAME)?, BYTES).ok()?;
        MAPPED.store(slot + 1, Ordering::Release);
        Some(stack)
    }

    /// Gives the stack back. Nothing uses it any more.
    pub fn free(self) {
        let mut free = FREE.lock();
        // SAFETY: the stack is mapped, and unused from now on.
        unsafe { link(self.0).write(*free) };
        *free = self.0 + 1;
    }

    /// Its number.
    pub const fn slot(self) -> u32 {
        self.0
    }

    /// The stack with a number that [`Self::slot`] gave.
    pub const fn from_slot(slot: u32) -> Self {
        Self(slot)
    }

    /// Lowest usable address.
    pub const fn bottom(self) -> u64 {
        BASE + (self.0 as u64 + 1) * SLOT - BYTES
    }

    /// One past the highest usable address.
    pub const fn top(self) -> u64 {
        BASE + (self.0 as u64 + 1) * SLOT
    }
}

fn link(slot: u32) -> *mut u32 {
    (Stack(slot).top() - 8) as *mut u32
}

/// The mapped part of the stack whose slot contains `address`: (bottom, top).
pub fn around(address: u64) -> Option<(u64, u64)> {
    let slot = u32::try_from(address.checked_sub(BASE)? / SLOT).ok()?;
    let stack = Stack(slot);
    (slot < MAPPED.load(Ordering::Acquire)).then(|| (stack.bottom(), stack.top()))
}

/// True if `address` is in the guard below a stack that is in use.
pub fn is_guard(address: u64) -> bool {
    around(address).is_some_and(|(bottom, _)| address < bottom)
}
