//! The ACPI tables that the kernel needs: MADT, MCFG, FADT and the sleep type in the DSDT (ACPI 6.5, chapter 5).
//!
//! Tables are input: lengths are bounded, checksums verified, and a table that is wrong is as good as absent.

mod fadt;
mod madt;
mod sleep;

pub use fadt::{Fadt, PmTimer, PowerOff};
pub use madt::{IoApic, MAX_CPUS, MAX_IO_APICS, Madt};
pub use sleep::soft_off_type;

use crate::physical::{Physical, u16_at, u32_at, u64_at};

/// Bytes of a table header (ACPI 6.5, 5.2.6).
const HEADER: usize = 36;
/// Longest table that is read.
const MAX_TABLE: usize = 256 << 10;
/// Most tables that are looked at.
const MAX_TABLES: usize = 64;

/// The PCI Express configuration window of segment 0 (PCI Firmware 3.0, 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecam {
    /// Physical address of bus 0's window.
    pub base: u64,
    /// First bus that is there.
    pub first_bus: u8,
    /// Last bus that is there.
    pub last_bus: u8,
}

impl Ecam {
    /// Bytes from the beginning of bus 0's window to the end of the last bus's.
    pub fn bytes(&self) -> u64 {
        (u64::from(self.last_bus) + 1) << 20
    }
}

/// What the tables say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acpi {
    /// Interrupt controllers and processors.
    pub madt: Option<Madt>,
    /// Power management.
    pub fadt: Option<Fadt>,
    /// PCI Express configuration space.
    pub ecam: Option<Ecam>,
}

impl Acpi {
    /// Reads the tables that the root pointer at `rsdp` leads to; 0 = look for it where a BIOS leaves it (ACPI 6.5, 5.2.5.1).
    /// `None` if there is no root pointer.
    pub fn read(physical: &impl Physical, rsdp: u64) -> Option<Self> {
        let rsdp = if rsdp == 0 { search(physical)? } else { rsdp };
        let (root, entry_bytes) = root_table(physical, rsdp)?;
        let mut acpi = Self::default();
        for entry in root.get(HEADER..)?.chunks_exact(entry_bytes).take(MAX_TABLES) {
            let address = if entry_bytes == 8 { u64_at(entry, 0) } else { u64::from(u32_at(entry, 0)) };
            let Some(signature) = physical.bytes(address, 4) else { continue };
            match signature {
                b"APIC" => acpi.madt = table(physical, address, *b"APIC").map(Madt::parse),
                b"FACP" => acpi.fadt = table(physical, address, *b"FACP").map(Fadt::parse),
                b"MCFG" => acpi.ecam = table(physical, address, *b"MCFG").and_then(ecam),
                _ => {}
            }
        }
        Some(acpi)
    }
}

/// Looks for the root pointer on 16-byte boundaries of the BIOS area.
fn search(physical: &impl Physical) -> Option<u64> {
    (0xe_0000..0x10_0000).step_by(16).find(|&at| root_pointer(physical, at).is_some())
}

/// The root pointer structure at `at` (ACPI 6.5, 5.2.5.3).
fn root_pointer(physical: &impl Physical, at: u64) -> Option<&[u8]> {
    let first = physical.bytes(at, 20)?;
    (&first[..8] == b"RSD PTR " && sums_to_zero(first)).then_some(first)
}

/// The XSDT, or the RSDT, and the size of its entries.
fn root_table(physical: &impl Physical, rsdp: u64) -> Option<(&[u8], usize)> {
    let first = root_pointer(physical, rsdp)?;
    if first[15] >= 2 {
        let extended = physical.bytes(rsdp, 36)?;
        if sums_to_zero(extended) && u64_at(extended, 24) != 0 {
            return Some((table(physical, u64_at(extended, 24), *b"XSDT")?, 8));
        }
    }
    Some((table(physical, u64::from(u32_at(first, 16)), *b"RSDT")?, 4))
}

/// The table at `address`, header included, if it has that signature and adds up.
fn table(physical: &impl Physical, address: u64, signature: [u8; 4]) -> Option<&[u8]> {
    let table = unchecked_table(physical, address, signature)?;
    sums_to_zero(table).then_some(table)
}

/// The same without adding up: for the DSDT, which is long.
fn unchecked_table(physical: &impl Physical, address: u64, signature: [u8; 4]) -> Option<&[u8]> {
    let header = physical.bytes(address, HEADER)?;
    let length = u32_at(header, 4) as usize;
    if header[..4] != signature || !(HEADER..=MAX_TABLE).contains(&length) {
        return None;
    }
    physical.bytes(address, length)
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, &b| sum.wrapping_add(b)) == 0
}

/// The first MCFG entry of segment 0.
fn ecam(mcfg: &[u8]) -> Option<Ecam> {
    let entry = mcfg.get(44..)?.chunks_exact(16).find(|e| u16_at(e, 8) == 0)?;
    let (base, first_bus, last_bus) = (u64_at(entry, 0), entry[10], entry[11]);
    (base != 0 && base % (1 << 20) == 0 && first_bus <= last_bus).then_some(Ecam {
        base,
        first_bus,
        last_bus,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::physical::tests::Memory;
    use alloc::vec;
    use alloc::vec::Vec;

    /// A table with a correct header.
    pub(crate) fn make_table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let mut table = vec![0; HEADER];
        table[..4].copy_from_slice(signature);
        table.extend_from_slice(body);
        let length = table.len() as u32;
        table[4..8].copy_from_slice(&length.to_le_bytes());
        let sum = table.iter().fold(0u8, |sum, &b| sum.wrapping_add(b));
        table[9] = 0u8.wrapping_sub(sum);
        table
    }

    fn mcfg() -> Vec<u8> {
        let mut body = vec![0; 8];
        body.extend_from_slice(&0xe000_0000u64.to_le_bytes());
        body.extend_from_slice(&[0, 0, 0, 255, 0, 0, 0, 0]);
        make_table(b"MCFG", &body)
    }

    fn firmware(at: u64) -> Memory {
        let mut memory = Memory::new(0xe_0000, 0x2_0000);
        let tables = [(0xe_1000u64, mcfg()), (0xe_2000, make_table(b"SSDT", &[1, 2, 3]))];
        let mut entries = Vec::new();
        for (address, table) in &tables {
            memory.put(*address, table);
            entries.extend_from_slice(&address.to_le_bytes());
        }
        memory.put(0xe_0800, &make_table(b"XSDT", &entries));
        let mut rsdp = *b"RSD PTR \0WORKGT\x02\0\0\0\0\x24\0\0\0\0\x08\x0e\0\0\0\0\0\0\0\0\0";
        rsdp[8] = 0u8.wrapping_sub(rsdp[..20].iter().fold(0u8, |s, &b| s.wrapping_add(b)));
        rsdp[32] = 0u8.wrapping_sub(rsdp.iter().fold(0u8, |s, &b| s.wrapping_add(b)));
        memory.put(at, &rsdp);
        memory
    }

    #[test]
    fn tables_are_found_from_a_named_or_a_searched_root_pointer() {
        for named in [0xf_5a40, 0] {
            let acpi = Acpi::read(&firmware(0xf_5a40), named).unwrap();
            assert_eq!(acpi.ecam, Some(Ecam { base: 0xe000_0000, first_bus: 0, last_bus: 255 }));
            assert_eq!(acpi.ecam.unwrap().bytes(), 256 << 20);
            assert!(acpi.madt.is_none() && acpi.fadt.is_none());
        }
        assert!(Acpi::read(&Memory::new(0xe_0000, 0x2_0000), 0).is_none());
    }

    #[test]
    fn a_table_that_does_not_add_up_is_absent() {
        let mut memory = firmware(0xf_0000);
        memory.put(0xe_1000 + 50, &[1]);
        assert_eq!(Acpi::read(&memory, 0xf_0000).unwrap().ecam, None);
    }

    #[test]
    fn wild_lengths_and_addresses_are_refused() {
        for at in (0xf_0000..0xf_0024).chain(0xe_0800..0xe_0840).chain(0xe_1000..0xe_1040) {
            let mut memory = firmware(0xf_0000);
            memory.put(at, &[0xff]);
            let _ = Acpi::read(&memory, 0xf_0000);
        }
    }
}
