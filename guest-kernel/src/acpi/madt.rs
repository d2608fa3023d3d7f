//! Processors and interrupt controllers: the MADT (ACPI 6.5, 5.2.12).

use super::HEADER;
use crate::physical::{u32_at, u64_at};

/// Most processors that are used.
pub const MAX_CPUS: usize = 8;
/// Most IO-APICs that are used.
pub const MAX_IO_APICS: usize = 4;

/// An IO-APIC (ACPI 6.5, 5.2.12.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoApic {
    /// Physical address of its registers.
    pub address: u32,
    /// Global system interrupt of its first input.
    pub gsi_base: u32,
}

/// What the MADT says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Madt {
    /// Physical address of the local APICs.
    pub local_apic: u64,
    apic_ids: [u32; MAX_CPUS],
    cpus: usize,
    io_apics: [IoApic; MAX_IO_APICS],
    io_apic_count: usize,
}

impl Madt {
    /// Reads a table whose checksum holds. Entries of unknown type are skipped; one without length ends the list.
    pub fn parse(table: &[u8]) -> Self {
        let mut madt = Self { local_apic: u64::from(u32_at(table, HEADER)), ..Self::default() };
        let mut rest = table.get(HEADER + 8..).unwrap_or(&[]);
        while let [kind, length, ..] = *rest {
            let Some(entry) = rest.get(..usize::from(length)).filter(|e| e.len() >= 2) else { break };
            madt.entry(kind, entry);
            rest = &rest[entry.len()..];
        }
        madt
    }

    /// APIC ids of the enabled processors, in the table's order.
    pub fn apic_ids(&self) -> &[u32] {
        &self.apic_ids[..self.cpus]
    }

    /// The IO-APICs.
    pub fn io_apics(&self) -> &[IoApic] {
        &self.io_apics[..self.io_apic_count]
    }

    fn entry(&mut self, kind: u8, entry: &[u8]) {
        match (kind, entry.len()) {
            // 5.2.12.2 Processor Local APIC: id at 3, flags at 4, bit 0 enabled.
            (0, 8..) if u32_at(entry, 4) & 1 != 0 => self.add_cpu(u32::from(entry[3])),
            (1, 12..) => self.add_io_apic(IoApic { address: u32_at(entry, 4), gsi_base: u32_at(entry, 8) }),
            // 5.2.12.8 Local APIC Address Override.
            (5, 12..) => self.local_apic = u64_at(entry, 4),
            // 5.2.12.12 Processor Local x2APIC: id at 4, flags at 8.
            (9, 16..) if u32_at(entry, 8) & 1 != 0 => self.add_cpu(u32_at(entry, 4)),
            _ => {}
        }
    }

    fn add_cpu(&mut self, id: u32) {
        if self.cpus < MAX_CPUS && !self.apic_ids().contains(&id) {
            self.apic_ids[self.cpus] = id;
            self.cpus += 1;
        }
    }

    fn add_io_apic(&mut self, io_apic: IoApic) {
        if self.io_apic_count < MAX_IO_APICS {
            self.io_apics[self.io_apic_count] = io_apic;
            self.io_apic_count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::make_table;
    use super::*;
    use alloc::vec::Vec;

    fn body(entries: &[&[u8]]) -> Vec<u8> {
        let mut body = 0xfee0_0000u32.to_le_bytes().to_vec();
        body.extend_from_slice(&1u32.to_le_bytes());
        for entry in entries {
            body.extend_from_slice(entry);
        }
        make_table(b"APIC", &body)
    }

    #[test]
    fn processors_and_controllers_are_listed() {
        let madt = Madt::parse(&body(&[
            &[0, 8, 0, 0, 1, 0, 0, 0],
            &[0, 8, 1, 1, 0, 0, 0, 0], // disabled
            &[0, 8, 2, 2, 1, 0, 0, 0],
            &[2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
            &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
            &[9, 16, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ]));
        assert_eq!(madt.apic_ids(), &[0, 2, 7]);
        assert_eq!(madt.io_apics(), &[IoApic { address: 0xfec0_0000, gsi_base: 0 }]);
        assert_eq!(madt.local_apic, 0xfee0_0000);
    }

    #[test]
    fn more_than_fit_and_broken_lengths_end_quietly() {
        let cpus: Vec<[u8; 8]> = (0..40).map(|n| [0, 8, n, n, 1, 0, 0, 0]).collect();
        let entries: Vec<&[u8]> = cpus.iter().map(|c| &c[..]).collect();
        assert_eq!(Madt::parse(&body(&entries)).apic_ids().len(), MAX_CPUS);
        assert!(Madt::parse(&body(&[&[0, 0, 0, 0]])).apic_ids().is_empty());
        assert!(Madt::parse(&body(&[&[0, 200, 0, 0]])).apic_ids().is_empty());
        assert!(Madt::parse(&body(&[&[0, 3, 9, 0, 1, 5, 5, 5]])).apic_ids().is_empty());
        assert_eq!(Madt::parse(&[]), Madt::default());
    }
}
