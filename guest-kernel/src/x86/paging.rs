//! The address space: RAM and devices one to one, kernel stacks apart, each above a guard.
//!
//! | virtual | what | access |
//! |---|---|---|
//! | 0–4 KiB | nothing: null is caught | |
//! | 4 KiB – end of low RAM, rounded up to 2 MiB | RAM and the tables that firmware left in it | data; the image by segment |
//! | from there to 4 GiB | PCI windows, ECAM, APICs | device |
//! | RAM above 4 GiB | RAM | data |
//! | elsewhere, on first use | 64-bit PCI windows | device |
//! | [`super::stack::BASE`] … | kernel stacks | data |
//!
//! Entries only ever go from absent to present, and processors do not cache absence: no shoot-down is needed.

use core::sync::atomic::{AtomicU64, Ordering};

use guest_kernel::memory_map::{FRAME, LARGE, MemoryMap};
use guest_kernel::page_tables::{Access, ENTRIES, MapError, PageTables, TableMemory};

use super::boot::Image;
use super::lock::Masked;
use super::{cpu, memory};

/// 4 GiB.
const FOUR_GIB: u64 = 1 << 32;

/// Tables in RAM, reached one to one.
#[derive(Debug)]
struct Ram;

impl TableMemory for Ram {
    fn new_table(&mut self) -> Option<u64> {
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
}

static TABLES: Masked<Option<PageTables<Ram>>> = Masked::new(None);

/// Builds the address space and switches to it.
///
/// # Errors
/// [`MapError`], if RAM does not suffice.
pub fn init(map: &MemoryMap, image: Image, image_end: u64) -> Result<(), MapError> {
    let gigabyte_pages =
        cpu::cpuid(0x8000_0000, 0)[0] >= 0x8000_0001 && cpu::cpuid(0x8000_0001, 0)[3] >> 26 & 1 != 0;
    let mut tables = PageTables::new(Ram, gigabyte_pages)?;
    let image_end = image_end.next_multiple_of(FRAME);
    let devices = map.low_end().max(image_end).next_multiple_of(LARGE);
    for (start, end, access) in [
        (FRAME, image.start, Access::MEMORY),
        (image.start, image.rodata, Access::CODE),
        (image.rodata, image.data, Access::CONSTANT),
        (image.data, image.symbols, Access::MEMORY),
        (image.symbols, image_end, Access::CONSTANT),
        (image_end, devices, Access::MEMORY),
        (devices, FOUR_GIB, Access::DEVICE),
    ] {
        tables.map(start, start, end - start, access)?;
    }
    for region in map.regions().iter().filter(|r| r.start >= FOUR_GIB) {
        tables.map(region.start, region.start, region.bytes(), Access::MEMORY)?;
    }
    // SAFETY: image, data, boot stack and RAM keep their addresses: everything is one to one, as in the boot tables.
    unsafe { cpu::set_page_table(tables.root()) };
    *TABLES.lock() = Some(tables);
    Ok(())
}

/// Maps fresh frames for a stack at `virtual_address`.
pub fn map_stack(virtual_address: u64, frame: u64, bytes: u64) -> Result<(), MapError> {
    let mut tables = TABLES.lock();
    tables.as_mut().ok_or(MapError::NoFrame)?.map(virtual_address, frame, bytes, Access::MEMORY)
}

/// True if a device register at `physical` can be reached one to one; maps its surroundings if nothing is there yet.
pub fn reach_device(physical: u64) -> bool {
    if physical < FOUR_GIB {
        return physical >= FRAME;
    }
    if physical >= 1 << 46 {
        return false; // beyond what a one-to-one map in the lower half can hold
    }
    let page = physical / LARGE;
    let seen = &REACHED[page as usize % REACHED.len()];
    if seen.load(Ordering::Relaxed) != page {
        if !map_device(page * LARGE) {
            return false;
        }
        seen.store(page, Ordering::Relaxed);
    }
    true
}

/// Large pages above 4 GiB that are known to be mapped: a register access should not walk the tables.
static REACHED: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

/// Maps the large page at `start`, unless something is there.
fn map_device(start: u64) -> bool {
    let mut tables = TABLES.lock();
    let Some(tables) = tables.as_mut() else { return false };
    tables.translate(start).is_some() || tables.map(start, start, LARGE, Access::DEVICE).is_ok()
}
