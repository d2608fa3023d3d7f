//! The guest's page tables (Intel SDM volume 3, 4.5): where an address leads, and what the kernel has mapped.

use crate::memory::Physical;
use std::ops::Range;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PAGE: u64 = 4096;
/// Bytes of a table.
const TABLE: usize = 4096;

/// Mappings that are told at the most.
pub const MAX_MAPPINGS: usize = 32_768;
/// Tables that are looked at for them: those of 64 GiB in 4 KiB pages, and some.
const MAX_TABLES: usize = 65_536;

/// CR0.PG, CR4.PAE, CR4.LA57, EFER.LMA.
const CR0_PG: u64 = 1 << 31;
const CR4_LA57: u64 = 1 << 12;
const EFER_LMA: u64 = 1 << 10;

/// How a processor translates addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paging {
    /// Not at all: they are physical ones.
    #[default]
    Off,
    /// By four or five levels of tables.
    Long {
        /// Physical address of the top table.
        root: u64,
        /// Levels.
        levels: u32,
    },
    /// By 32-bit tables, which nobody here reads: nothing can be translated.
    Legacy,
}

impl Paging {
    /// The mode that these control registers mean.
    pub const fn from_registers(cr0: u64, cr3: u64, cr4: u64, efer: u64) -> Self {
        if cr0 & CR0_PG == 0 {
            Self::Off
        } else if efer & EFER_LMA == 0 {
            Self::Legacy
        } else {
            Self::Long { root: cr3 & ADDRESS, levels: if cr4 & CR4_LA57 == 0 { 4 } else { 5 } }
        }
    }
}

/// A piece of memory that the kernel has mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Virtual address.
    pub address: u64,
    /// Physical address.
    pub physical: u64,
    /// Bytes.
    pub bytes: u64,
    /// It may be written.
    pub writable: bool,
    /// It may be executed.
    pub executable: bool,
}

/// An address space of a machine that stands still.
#[derive(Clone, Copy)]
pub struct Space<'a> {
    memory: &'a dyn Physical,
    paging: Paging,
}

impl<'a> Space<'a> {
    /// The space of a processor with these tables.
    pub fn new(memory: &'a dyn Physical, paging: Paging) -> Self {
        Self { memory, paging }
    }

    /// The physical address behind `address`; `None` if nothing is mapped there.
    pub fn translate(&self, address: u64) -> Option<u64> {
        let (root, levels) = match self.paging {
            Paging::Off => return Some(address),
            Paging::Legacy => return None,
            Paging::Long { root, levels } => (root, levels),
        };
        if canonical(address, levels) != address {
            return None;
        }
        let mut table = root;
        for level in (1..=levels).rev() {
            let mut word = [0; 8];
            let at = table + (address >> shift(level)) % 512 * 8;
            let read = self.memory.read(at, &mut word);
            let entry = u64::from_le_bytes(word);
            if !read || entry & PRESENT == 0 {
                return None;
            }
            if level == 1 || level <= 3 && entry & LARGE != 0 {
                let low = (1 << shift(level)) - 1;
                return Some(entry & ADDRESS & !low | address & low);
            }
            table = entry & ADDRESS;
        }
        None
    }

    /// Reads what is mapped at `address`; how many bytes could be read.
    pub fn read(&self, address: u64, into: &mut [u8]) -> usize {
        self.pieces(address, into.len(), |physical, range| self.memory.read(physical, &mut into[range]))
    }

    /// Calls `each` for every piece of `length` bytes at `address` that lies in one page, with its physical address, until one is not mapped
    /// or `each` answers false; the bytes before that.
    pub fn pieces(
        &self,
        address: u64,
        length: usize,
        mut each: impl FnMut(u64, Range<usize>) -> bool,
    ) -> usize {
        let mut done = 0;
        while done < length {
            let Some(at) = address.checked_add(done as u64) else { break };
            let room = (PAGE - at % PAGE) as usize;
            let end = done + room.min(length - done);
            match self.translate(at) {
                Some(physical) if each(physical, done..end) => done = end,
                _ => break,
            }
        }
        done
    }

    /// Reads exactly `N` bytes.
    pub fn bytes<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.read(address, &mut bytes) == N).then_some(bytes)
    }

    /// Reads a word.
    pub fn word(&self, address: u64) -> Option<u64> {
        self.bytes(address).map(u64::from_le_bytes)
    }

    /// What the kernel has mapped, without what user code may touch: in order of addresses, neighbours joined; at most [`MAX_MAPPINGS`].
    pub fn kernel_mappings(&self) -> Vec<Mapping> {
        let mut walk = Walk { memory: self.memory, tables: 0, found: Vec::new() };
        if let Paging::Long { root, levels } = self.paging {
            walk.table(root, levels, levels, 0, WRITABLE | USER, false);
        }
        walk.found
    }
}

/// Address bits below those that index a table of `level`.
const fn shift(level: u32) -> u32 {
    12 + 9 * (level - 1)
}

/// `address` with the upper bits that it must have.
const fn canonical(address: u64, levels: u32) -> u64 {
    let unused = 64 - (12 + 9 * levels);
    ((address << unused) as i64 >> unused) as u64
}

struct Walk<'a> {
    memory: &'a dyn Physical,
    tables: usize,
    found: Vec<Mapping>,
}

impl Walk<'_> {
    /// `above`: the rights that all levels above give; `no_execute`: one of them takes that of execution.
    fn table(&mut self, table: u64, level: u32, levels: u32, base: u64, above: u64, no_execute: bool) {
        let mut bytes = [0; TABLE];
        self.tables += 1;
        if self.tables > MAX_TABLES || !self.memory.read(table, &mut bytes) {
            return;
        }
        for (n, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let entry = u64::from_le_bytes(*word);
            if entry & PRESENT == 0 {
                continue;
            }
            let address = canonical(base | (n as u64) << shift(level), levels);
            let rights = above & entry;
            let no_execute = no_execute || entry & NO_EXECUTE != 0;
            if level == 1 || level <= 3 && entry & LARGE != 0 {
                let bytes = 1 << shift(level);
                if rights & USER == 0 {
                    let (physical, writable) = (entry & ADDRESS & !(bytes - 1), rights & WRITABLE != 0);
                    self.add(Mapping { address, physical, bytes, writable, executable: !no_execute });
                }
            } else {
                self.table(entry & ADDRESS, level - 1, levels, address, rights, no_execute);
            }
            if self.found.len() >= MAX_MAPPINGS {
                return;
            }
        }
    }

    fn add(&mut self, new: Mapping) {
        if let Some(last) = self.found.last_mut()
            && last.address.wrapping_add(last.bytes) == new.address
            && last.physical.wrapping_add(last.bytes) == new.physical
            && (last.writable, last.executable) == (new.writable, new.executable)
        {
            last.bytes += new.bytes;
            return;
        }
        self.found.push(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::flat::Flat;

    /// Tables at 0x1000…: 2 MiB at 0, one to one; a page at 0xffff_c000_0000_8000; one for user code.
    fn machine() -> Flat {
        let mut memory = Flat(0, vec![0; 0x20_0000]);
        memory.put(0x1000, 0x2000 | 3);
        memory.put(0x2000, 0x3000 | 3);
        memory.put(0x3000, LARGE | 3);
        memory.put(0x1000 + 384 * 8, 0x4000 | 3);
        memory.put(0x4000, 0x5000 | 3);
        memory.put(0x5000, 0x6000 | 3);
        memory.put(0x6000 + 8 * 8, NO_EXECUTE | 0x7000 | 3);
        memory.put(0x1000 + 8, 0x8000 | 7);
        memory.put(0x8000, 0x9000 | 7);
        memory.put(0x9000, LARGE | 7);
        memory
    }

    const LONG: Paging = Paging::Long { root: 0x1000, levels: 4 };
    const HIGH: u64 = 0xffff_c000_0000_8000;

    #[test]
    fn addresses_lead_where_the_tables_say() {
        let mut memory = machine();
        memory.put(0x7ff8, 77);
        let space = Space::new(&memory, LONG);
        assert_eq!(space.translate(0x12_3456), Some(0x12_3456));
        assert_eq!((space.translate(HIGH + 5), space.translate(HIGH - 1)), (Some(0x7005), None));
        assert_eq!(space.translate(HIGH & 0x0000_ffff_ffff_ffff), None, "not canonical");
        assert_eq!((space.word(HIGH + 0xff8), space.word(HIGH + 0xffc)), (Some(77), None));
        assert_eq!(Space::new(&memory, Paging::Off).word(0x7ff8), Some(77));
        assert_eq!(Space::new(&memory, Paging::Legacy).translate(0), None);
    }

    #[test]
    fn what_the_kernel_has_mapped_is_told_without_the_users() {
        let memory = machine();
        let found = Space::new(&memory, LONG).kernel_mappings();
        let low = Mapping { address: 0, physical: 0, bytes: 2 << 20, writable: true, executable: true };
        let high = Mapping { address: HIGH, physical: 0x7000, bytes: 4096, executable: false, ..low };
        assert_eq!(found, [low, high]);
    }

    #[test]
    fn tables_that_lead_to_themselves_end() {
        let mut memory = Flat(0, vec![0; 0x2000]);
        for n in 0..512 {
            memory.put(0x1000 + n * 8, 0x1000 | 3);
        }
        assert!(Space::new(&memory, LONG).kernel_mappings().len() <= MAX_MAPPINGS);
    }
}
