//! The address space: RAM and devices one to one, kernel stacks apart, each above a guard.
//!
//! | virtual | what | access |
//! |---|---|---|
//! | 0–4 KiB | nothing: null is caught | |
//! | 4 KiB – end of low RAM, rounded up to 2 MiB | RAM and the tables that firmware left in it | data; the image by segment |
//! | RAM above 4 GiB | RAM | data |
//! | the bench page | shared with the host | data |
//! | elsewhere, on first use | PCI windows, ECAM, APICs | device |
//! | [`super::stack::BASE`] … | kernel stacks | data |
//!
//! Entries only ever go from absent to present, and processors do not cache absence: no shoot-down is needed. User address spaces have top tables of
//! their own ([`super::space`]), whose slots other than the user's are these: a slot that comes into use later is entered into all of them.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use guest_kernel::memory_map::{FRAME, LARGE, MemoryMap};
use guest_kernel::page_tables::{Access, ENTRIES, MapError, PageTables, TableMemory};

use super::boot::Image;
use super::lock::Masked;
use super::{cpu, memory};

/// 4 GiB.
const FOUR_GIB: u64 = 1 << 32;

/// The first tables: in the image's bss, which the loader filled with zeros more cheaply than this kernel can where its instructions
/// are interpreted.
static BLANK: Blank = Blank([const { [const { AtomicU64::new(0) }; ENTRIES] }; 16]);

#[repr(align(4096))]
struct Blank([[AtomicU64; ENTRIES]; 16]);

/// Tables in RAM, reached one to one; the number of [`BLANK`] ones in use.
#[derive(Debug)]
struct Ram(usize);

/// The kernel's tables, and what shares their top slots.
#[derive(Debug)]
struct Kernel {
    tables: PageTables<Ram>,
    /// Slots of the top table that are in use, a bit each.
    slots: [u64; ENTRIES / 64],
    /// Top tables of user spaces.
    users: Vec<u64>,
}

impl Kernel {
    /// Maps, and lets every user space see a slot that this brings into use.
    fn map(&mut self, from: u64, to: u64, bytes: u64, access: Access) -> Result<(), MapError> {
        let result = self.tables.map(from, to, bytes, access);
        let last = from.saturating_add(bytes.saturating_sub(1));
        // What was mapped before an error stays.
        for slot in top_slot(from)..=top_slot(last) {
            let (word, bit) = (slot / 64, 1 << (slot % 64));
            let entry = self.top(slot);
            if entry & 1 != 0 && self.slots[word] & bit == 0 {
                self.slots[word] |= bit;
                for n in 0..self.users.len() {
                    let user = self.users[n];
                    self.tables.memory().set_entry(user, slot, entry);
                }
            }
        }
        result
    }

    fn top(&mut self, slot: usize) -> u64 {
        let root = self.tables.root();
        self.tables.memory().entry(root, slot)
    }
}

/// The slot of a top table that maps `address`.
const fn top_slot(address: u64) -> usize {
    (address >> 39) as usize % ENTRIES
}

impl TableMemory for Ram {
    fn new_table(&mut self) -> Option<u64> {
        if let Some(table) = BLANK.0.get(self.0) {
            self.0 += 1;
            return Some(table.as_ptr() as u64);
        }
        let frame = memory::frames(1)?;
        // SAFETY: a fresh frame, mapped one to one, that nobody else has.
        unsafe { core::ptr::write_bytes(frame as *mut u8, 0, FRAME as usize) };
        Some(frame)
    }

    fn entry(&self, table: u64, index: usize) -> u64 {
        assert!(index < ENTRIES);
        // SAFETY: `table` is a frame from `new_table`; entries are read whole, as the processor does.
        unsafe { (table as *const u64).add(index).read_volatile() }
    }

    fn set_entry(&mut self, table: u64, index: usize, value: u64) {
        assert!(index < ENTRIES);
        // SAFETY: as for `entry`; the lock around `PageTables` makes this the only writer, and an aligned store is one piece.
        unsafe { (table as *mut u64).add(index).write_volatile(value) }
    }

    fn fill(
        &mut self,
        table: u64,
        first: usize,
        count: usize,
        mut value: u64,
        step: u64,
    ) -> Result<(), usize> {
        assert!(first + count <= ENTRIES);
        for index in first..first + count {
            // SAFETY: as for `entry` and `set_entry`.
            unsafe {
                let entry = (table as *mut u64).add(index);
                if entry.read_volatile() & 1 != 0 {
                    return Err(index);
                }
                entry.write_volatile(value);
            }
            value += step;
        }
        Ok(())
    }
}

/// The tables below are in use, no longer those of the boot.
static BUILT: AtomicBool = AtomicBool::new(false);

static TABLES: Masked<Option<Kernel>> = Masked::new(None);

/// Builds the address space and switches to it.
///
/// # Errors
/// [`MapError`], if RAM does not suffice.
pub fn init(map: &MemoryMap, image: Image, image_end: u64) -> Result<(), MapError> {
    let gigabyte_pages =
        cpu::cpuid(0x8000_0000, 0)[0] >= 0x8000_0001 && cpu::cpuid(0x8000_0001, 0)[3] >> 26 & 1 != 0;
    let tables = PageTables::new(Ram(0), gigabyte_pages)?;
    let mut kernel = Kernel { tables, slots: [0; ENTRIES / 64], users: Vec::new() };
    let image_end = image_end.next_multiple_of(FRAME);
    let low_end = map.low_end().max(image_end).next_multiple_of(LARGE);
    for (start, end, access) in [
        (FRAME, image.start, Access::MEMORY),
        (image.start, image.rodata, Access::CODE),
        (image.rodata, image.data, Access::CONSTANT),
        (image.data, image.symbols, Access::MEMORY),
        (image.symbols, image_end, Access::CONSTANT),
        (image_end, low_end, Access::MEMORY),
    ] {
        kernel.map(start, start, end - start, access)?;
    }
    for region in map.regions().iter().filter(|r| r.start >= FOUR_GIB) {
        kernel.map(region.start, region.start, region.bytes(), Access::MEMORY)?;
    }
    // SAFETY: image, data, boot stack and RAM keep their addresses: everything is one to one, as in the boot tables.
    unsafe { cpu::set_page_table(kernel.tables.root()) };
    *TABLES.lock() = Some(kernel);
    BUILT.store(true, Ordering::Release);
    Ok(())
}

/// Maps fresh frames for a stack at `virtual_address`.
pub fn map_stack(virtual_address: u64, frame: u64, bytes: u64) -> Result<(), MapError> {
    let mut tables = TABLES.lock();
    tables.as_mut().ok_or(MapError::NoFrame)?.map(virtual_address, frame, bytes, Access::MEMORY)
}

/// Maps memory that the host shares, unless it is mapped already.
///
/// # Errors
/// [`MapError`]: part of it is mapped, but not all.
pub fn map_shared(start: u64, bytes: u64) -> Result<(), MapError> {
    let mut kernel = TABLES.lock();
    let kernel = kernel.as_mut().ok_or(MapError::NoFrame)?;
    let (start, end) = (start / FRAME * FRAME, (start + bytes).next_multiple_of(FRAME));
    if kernel.tables.translate(start).is_some() && kernel.tables.translate(end - 1).is_some() {
        return Ok(());
    }
    kernel.map(start, start, end - start, Access::MEMORY)
}

/// Beyond what a one-to-one map in the lower half can hold.
const TOO_HIGH: u64 = 1 << 46;

/// Large pages that are known to be mapped: a register access should not walk the tables.
static REACHED: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// True if `physical` can be reached one to one; where nothing is mapped yet, maps the large page around it as device memory.
pub fn reach(physical: u64) -> bool {
    if !BUILT.load(Ordering::Acquire) {
        return physical < FOUR_GIB; // what the boot tables hold
    }
    let page = physical / LARGE;
    let seen = &REACHED[page as usize % REACHED.len()];
    if seen.load(Ordering::Relaxed) != page || page == 0 {
        if !(FRAME..TOO_HIGH).contains(&physical) || !map_device(page * LARGE, physical) {
            return false;
        }
        seen.store(page, Ordering::Relaxed);
    }
    true
}

/// Maps the large page at `start`, unless there is something at `wanted`.
fn map_device(start: u64, wanted: u64) -> bool {
    let mut kernel = TABLES.lock();
    let Some(kernel) = kernel.as_mut() else { return false };
    kernel.tables.translate(wanted).is_some() || kernel.map(start, start, LARGE, Access::DEVICE).is_ok()
}

/// The kernel's own top table.
pub fn root() -> Option<u64> {
    TABLES.lock().as_ref().map(|kernel| kernel.tables.root())
}

/// Gives a user's top table, which is empty, the kernel's slots: those that there are, and those that will be.
///
/// # Errors
/// [`MapError::NoFrame`].
pub fn share(user: u64) -> Result<(), MapError> {
    let mut kernel = TABLES.lock();
    let kernel = kernel.as_mut().ok_or(MapError::NoFrame)?;
    kernel.users.try_reserve(1).map_err(|_| MapError::NoFrame)?;
    for word in 0..kernel.slots.len() {
        let mut bits = kernel.slots[word];
        while bits != 0 {
            let slot = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let entry = kernel.top(slot);
            kernel.tables.memory().set_entry(user, slot, entry);
        }
    }
    kernel.users.push(user);
    Ok(())
}

/// The end of [`share`]: no CPU has the table loaded any more.
pub fn unshare(user: u64) {
    if let Some(kernel) = TABLES.lock().as_mut()
        && let Some(at) = kernel.users.iter().position(|&known| known == user)
    {
        kernel.users.swap_remove(at);
    }
}
