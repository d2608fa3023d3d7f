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
//! Entries only ever go from absent to present, and processors do not cache absence: no shoot-down is needed.

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

static TABLES: Masked<Option<PageTables<Ram>>> = Masked::new(None);

/// Builds the address space and switches to it.
///
/// # Errors
/// [`MapError`], if RAM does not suffice.
pub fn init(map: &MemoryMap, image: Image, image_end: u64) -> Result<(), MapError> {
    let gigabyte_pages =
        cpu::cpuid(0x8000_0000, 0)[0] >= 0x8000_0001 && cpu::cpuid(0x8000_0001, 0)[3] >> 26 & 1 != 0;
    let mut tables = PageTables::new(Ram(0), gigabyte_pages)?;
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
        tables.map(start, start, end - start, access)?;
    }
    for region in map.regions().iter().filter(|r| r.start >= FOUR_GIB) {
        tables.map(region.start, region.start, region.bytes(), Access::MEMORY)?;
    }
    // SAFETY: image, data, boot stack and RAM keep their addresses: everything is one to one, as in the boot tables.
    unsafe { cpu::set_page_table(tables.root()) };
    *TABLES.lock() = Some(tables);
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
    let mut tables = TABLES.lock();
    let tables = tables.as_mut().ok_or(MapError::NoFrame)?;
    let (start, end) = (start / FRAME * FRAME, (start + bytes).next_multiple_of(FRAME));
    if tables.translate(start).is_some() && tables.translate(end - 1).is_some() {
        return Ok(());
    }
    tables.map(start, start, end - start, Access::MEMORY)
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
    let mut tables = TABLES.lock();
    let Some(tables) = tables.as_mut() else { return false };
    tables.translate(wanted).is_some() || tables.map(start, start, LARGE, Access::DEVICE).is_ok()
}
