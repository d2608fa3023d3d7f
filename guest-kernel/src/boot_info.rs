//! What the loader hands over: `hvm_start_info` of the x86/HVM direct boot ABI (PVH).
//!
//! The structure is in the Xen documentation, "x86/HVM direct boot ABI"; the guest gets its physical address in EBX.

use crate::memory_map::{MemoryMap, MemoryMapError};
use crate::physical::{Physical, u32_at, u64_at};

/// `hvm_start_info.magic`.
pub const MAGIC: u32 = 0x336e_c578;
/// Longest command line that is kept, in bytes; the rest is cut.
pub const COMMAND_LINE_BYTES: usize = 4096;
/// The RAM type of a memory map entry (as in ACPI 6.5, 15.4).
const TYPE_RAM: u32 = 1;
/// Most memory map entries that are looked at.
const MAX_ENTRIES: u32 = 128;

/// Why the start information cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootInfoError {
    /// The address does not hold a `hvm_start_info`.
    BadMagic(u32),
    /// The structure, or something that it names, is outside readable memory.
    Unreadable,
    /// Version 0 has no memory map.
    NoMemoryMap,
    /// The memory map cannot be used.
    MemoryMap(MemoryMapError),
}

/// The start information.
#[derive(Clone, Debug)]
pub struct BootInfo<'a> {
    /// The kernel command line, without its terminator.
    pub command_line: &'a [u8],
    /// Physical address of the ACPI root pointer; 0 if the loader does not say.
    pub rsdp: u64,
    /// RAM.
    pub memory: MemoryMap,
}

impl<'a> BootInfo<'a> {
    /// Reads the structure at `address`.
    ///
    /// # Errors
    /// See [`BootInfoError`].
    pub fn read(physical: &'a impl Physical, address: u64) -> Result<Self, BootInfoError> {
        use BootInfoError::{BadMagic, MemoryMap as BadMap, NoMemoryMap, Unreadable};
        let head = physical.bytes(address, 40).ok_or(Unreadable)?;
        let magic = u32_at(head, 0);
        if magic != MAGIC {
            return Err(BadMagic(magic));
        }
        if u32_at(head, 4) < 1 {
            return Err(NoMemoryMap);
        }
        let all = physical.bytes(address, 56).ok_or(Unreadable)?;
        let mut memory = MemoryMap::new();
        for index in 0..u32_at(all, 48).min(MAX_ENTRIES) {
            let at = u64_at(all, 40).wrapping_add(u64::from(index) * 24);
            let entry = physical.bytes(at, 24).ok_or(Unreadable)?;
            if u32_at(entry, 16) == TYPE_RAM {
                memory.add(u64_at(entry, 0), u64_at(entry, 8)).map_err(BadMap)?;
            }
        }
        let command_line = read_string(physical, u64_at(all, 24)).ok_or(Unreadable)?;
        Ok(Self { command_line, rsdp: u64_at(all, 32), memory })
    }
}

/// The zero-terminated string at `address`; empty if that is 0.
fn read_string(physical: &impl Physical, address: u64) -> Option<&[u8]> {
    if address == 0 {
        return Some(&[]);
    }
    let mut length = 0;
    while length < COMMAND_LINE_BYTES {
        let at = address.checked_add(length as u64)?;
        // In pieces; near the end of memory, byte by byte.
        let piece = physical.bytes(at, 64).or_else(|| physical.bytes(at, 1))?;
        if let Some(end) = piece.iter().position(|&b| b == 0) {
            length += end;
            break;
        }
        length += piece.len();
    }
    physical.bytes(address, length.min(COMMAND_LINE_BYTES))
}

/// Finds `key=value` among the space-separated words of a command line; the last one counts.
pub fn option<'a>(command_line: &'a [u8], key: &str) -> Option<&'a str> {
    let line = core::str::from_utf8(command_line).ok()?;
    line.split_ascii_whitespace().filter_map(|word| word.strip_prefix(key)?.strip_prefix('=')).next_back()
}

/// A number, decimal or 0x-prefixed hexadecimal.
pub fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physical::tests::Memory;

    fn start_info(version: u32) -> Memory {
        let mut memory = Memory::new(0x1000, 0x1000);
        memory.put(0x1000, &MAGIC.to_le_bytes());
        memory.put(0x1004, &version.to_le_bytes());
        memory.put(0x1018, &0x1100u64.to_le_bytes());
        memory.put(0x1020, &0xe_0000u64.to_le_bytes());
        memory.put(0x1028, &0x1200u64.to_le_bytes());
        memory.put(0x1030, &2u32.to_le_bytes());
        memory.put(0x1100, b"bench=0x1000,0x520 tsc_hz=17\0");
        for (at, base, size, kind) in [(0x1200, 0u64, 0xa_0000u64, 1u32), (0x1218, 0xf_0000, 0x1_0000, 2)] {
            memory.put(at, &base.to_le_bytes());
            memory.put(at + 8, &size.to_le_bytes());
            memory.put(at + 16, &kind.to_le_bytes());
        }
        memory
    }

    #[test]
    fn a_start_info_is_read() {
        let memory = start_info(1);
        let info = BootInfo::read(&memory, 0x1000).unwrap();
        assert_eq!(info.rsdp, 0xe_0000);
        assert_eq!(option(info.command_line, "tsc_hz"), Some("17"));
        assert_eq!(option(info.command_line, "tsc"), None);
        assert_eq!(info.memory.regions().len(), 1);
        assert_eq!(info.memory.regions()[0].end, 0xa_0000);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        assert_eq!(BootInfo::read(&start_info(0), 0x1000).unwrap_err(), BootInfoError::NoMemoryMap);
        assert_eq!(BootInfo::read(&start_info(1), 0x1004).unwrap_err(), BootInfoError::BadMagic(1));
        assert_eq!(BootInfo::read(&start_info(1), 0x1ff0).unwrap_err(), BootInfoError::Unreadable);
        let mut far = start_info(1);
        far.put(0x1028, &u64::MAX.to_le_bytes());
        assert_eq!(BootInfo::read(&far, 0x1000).unwrap_err(), BootInfoError::Unreadable);
    }

    #[test]
    fn numbers_have_two_bases() {
        assert_eq!(number("0x520"), Some(0x520));
        assert_eq!(number("17"), Some(17));
        assert_eq!(number("17k"), None);
    }
}
