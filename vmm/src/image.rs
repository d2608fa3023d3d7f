//! Loading an image: PVH ELF, with command line, memory map and modules (Xen's PVH boot protocol, start_info version 1).

use crate::VmmError;
use crate::guest::{Told, place_initrd};
use crate::memory::{
    COMMAND_LINE, COMMAND_LINE_BYTES, FIRMWARE_END, MEMORY_MAP, MODULE_LIST, Memory, START_INFO,
};
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use linux_loader::loader::elf::{Elf, PvhBootCapability};
use linux_loader::loader::{Error as LoaderError, KernelLoader};
use std::io::Cursor;
use vm_memory::{Bytes, GuestAddress};

/// `hvm_start_info.magic`.
const START_MAGIC: u32 = 0x336e_c578;
/// RAM in the memory map.
const TYPE_RAM: u32 = 1;
/// Reserved in the memory map.
const TYPE_RESERVED: u32 = 2;

/// Loads the image; its entry address, and the end of its highest segment.
///
/// # Errors
/// Not an ELF file, no PVH note, or too large.
pub fn load(memory: &Memory, image: &[u8]) -> Result<(u64, u64), VmmError> {
    let needed = end_of_segments(image)?;
    if needed > memory.low_end {
        return Err(VmmError::ImageTooLarge { needed, has: memory.low_end });
    }
    let loaded = Elf::load(&memory.mmap, None, &mut Cursor::new(image), Some(GuestAddress(FIRMWARE_END)))
        .map_err(|error| not_elf(&error))?;
    match loaded.pvh_boot_cap {
        PvhBootCapability::PvhEntryPresent(entry) => Ok((entry.0, needed)),
        _ => Err(VmmError::NoPvhNote),
    }
}

fn not_elf(error: &LoaderError) -> VmmError {
    VmmError::NotElf(error.to_string())
}

/// The end of the highest loadable segment, memory behind the file's part included; the loader does not look at that.
fn end_of_segments(image: &[u8]) -> Result<u64, VmmError> {
    let bad = |what: &str| VmmError::NotElf(what.to_owned());
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = image.get(at..at.checked_add(bytes)?)?;
        Some(field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    };
    if image.get(..4) != Some(b"\x7fELF") {
        return Err(bad("it does not begin with the ELF magic"));
    }
    if number(4, 1) != Some(2) || number(18, 2) != Some(62) {
        return Err(bad("it is for another processor"));
    }
    let (Some(table), Some(size), Some(count)) = (number(32, 8), number(54, 2), number(56, 2)) else {
        return Err(bad("its header is cut off"));
    };
    let mut end = 0;
    for n in 0..count {
        let at = usize::try_from(table.saturating_add(n * size)).unwrap_or(usize::MAX);
        let field = |offset: usize, bytes| at.checked_add(offset).and_then(|at| number(at, bytes));
        let (Some(kind), Some(start), Some(bytes)) = (field(0, 4), field(24, 8), field(40, 8)) else {
            return Err(bad("its program headers are cut off"));
        };
        if kind == 1 {
            end = end.max(start.checked_add(bytes).ok_or_else(|| bad("a segment wraps around"))?);
        }
    }
    Ok(end)
}

/// Writes what the image finds at its start: start information, map, command line, initial RAM disk.
///
/// # Errors
/// The command line or the RAM disk does not fit.
pub fn start_info(memory: &Memory, told: &Told<'_>, image_end: u64) -> Result<(), VmmError> {
    if told.line.len() >= COMMAND_LINE_BYTES {
        return Err(VmmError::CommandLine(told.line.len(), COMMAND_LINE_BYTES - 1));
    }
    let mut line = told.line.as_bytes().to_vec();
    line.push(0);
    memory.mmap.write_slice(&line, GuestAddress(COMMAND_LINE)).map_err(|_| VmmError::Memory(0))?;
    let map: Vec<hvm_memmap_table_entry> = memory
        .map()
        .iter()
        .map(|r| hvm_memmap_table_entry {
            addr: r.start,
            size: r.bytes,
            type_: if r.usable { TYPE_RAM } else { TYPE_RESERVED },
            reserved: 0,
        })
        .collect();
    let modules = told.initrd.map(|data| place_initrd(memory, data, image_end, u64::MAX)).transpose()?;
    let info = hvm_start_info {
        magic: START_MAGIC,
        version: 1,
        cmdline_paddr: COMMAND_LINE,
        memmap_paddr: MEMORY_MAP,
        memmap_entries: map.len() as u32,
        nr_modules: u32::from(modules.is_some()),
        modlist_paddr: MODULE_LIST,
        rsdp_paddr: told.rsdp,
        ..Default::default()
    };
    let mut params = BootParams::new(&info, GuestAddress(START_INFO));
    params.set_sections(&map, GuestAddress(MEMORY_MAP));
    if let Some(initrd) = modules {
        let module = hvm_modlist_entry { paddr: initrd.at, size: initrd.bytes, ..Default::default() };
        params.set_modules(&[module], GuestAddress(MODULE_LIST));
    }
    PvhBootConfigurator::write_bootparams(&params, &memory.mmap).map_err(|_| VmmError::Memory(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<'a>(line: &'a str, initrd: Option<&'a [u8]>) -> Told<'a> {
        Told { line, initrd, rsdp: 0 }
    }

    fn load_bytes(image: &[u8]) -> VmmError {
        let memory = Memory::new(16 << 20, false).expect("memory");
        load(&memory, image).expect_err("not an image")
    }

    #[test]
    fn what_is_no_image_is_refused_with_the_reason() {
        assert!(matches!(load_bytes(b""), VmmError::NotElf(_)));
        assert!(matches!(load_bytes(b"#!/bin/sh\n"), VmmError::NotElf(_)));
        assert!(matches!(load_bytes(&[0x7f, b'E', b'L', b'F', 1, 1, 1]), VmmError::NotElf(_)));
        let mut header = vec![0; 64];
        header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        header[18] = 62;
        header[54] = 56;
        header[56] = 1;
        header[32] = 64;
        assert!(matches!(load_bytes(&header), VmmError::NotElf(_)), "program header cut off");
        let mut segment = vec![0; 56];
        segment[0] = 1;
        segment[24..32].copy_from_slice(&0x10_0000u64.to_le_bytes());
        segment[40..48].copy_from_slice(&(1u64 << 40).to_le_bytes());
        header.extend(segment);
        assert!(matches!(load_bytes(&header), VmmError::ImageTooLarge { .. }));
    }

    #[test]
    fn a_command_line_or_ram_disk_that_does_not_fit_is_refused() {
        let memory = Memory::new(16 << 20, false).expect("memory");
        let long = "x".repeat(COMMAND_LINE_BYTES);
        assert!(matches!(start_info(&memory, &told(&long, None), 0), Err(VmmError::CommandLine(..))));
        let over_the_image = vec![0; 4 << 20];
        let told_of_it = told("", Some(&over_the_image));
        assert!(matches!(start_info(&memory, &told_of_it, 13 << 20), Err(VmmError::InitrdTooLarge(_))));
        assert!(start_info(&memory, &told_of_it, 11 << 20).is_ok());
        let large = vec![0; 17 << 20];
        assert!(matches!(start_info(&memory, &told("", Some(&large)), 0), Err(VmmError::InitrdTooLarge(_))));
    }
}
