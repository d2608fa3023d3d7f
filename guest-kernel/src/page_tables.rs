//! Building four-level page tables (Intel SDM volume 3, 4.5).

/// Entries of a table.
pub const ENTRIES: usize = 512;
pub(crate) const PRESENT: u64 = 1;
const LARGE: u64 = 1 << 7;
pub(crate) const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What may be done with a page: flag bits of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u64);

impl Access {
    /// Code: read and execute.
    pub const CODE: Self = Self(0);
    /// Constants: read.
    pub const CONSTANT: Self = Self(1 << 63);
    /// Memory: read and write.
    pub const MEMORY: Self = Self(1 << 63 | 1 << 1);
    /// Device registers: read and write, strongly ordered and uncached (PCD and PWT).
    pub const DEVICE: Self = Self(1 << 63 | 1 << 4 | 1 << 3 | 1 << 1);
}

/// Why a mapping was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No frame for a table.
    NoFrame,
    /// Something is mapped there already.
    Taken(u64),
    /// An address is not aligned to 4 KiB.
    Unaligned(u64),
}

/// Where tables live.
pub trait TableMemory {
    /// A frame for a new table, filled with zeros: its physical address.
    fn new_table(&mut self) -> Option<u64>;
    /// Reads entry `index` of the table at `table`.
    fn entry(&self, table: u64, index: usize) -> u64;
    /// Writes it.
    fn set_entry(&mut self, table: u64, index: usize, value: u64);

    /// Writes `count` entries from `first` on: `value`, `value + step`, … Stops at one that is present: its index.
    ///
    /// # Errors
    /// The index of the entry that is present.
    fn fill(&mut self, table: u64, first: usize, count: usize, value: u64, step: u64) -> Result<(), usize> {
        for n in 0..count {
            if self.entry(table, first + n) & PRESENT != 0 {
                return Err(first + n);
            }
            self.set_entry(table, first + n, value + n as u64 * step);
        }
        Ok(())
    }
}

/// A hierarchy of page tables.
#[derive(Debug)]
pub struct PageTables<M> {
    memory: M,
    root: u64,
    gigabyte_pages: bool,
}

impl<M: TableMemory> PageTables<M> {
    /// An empty hierarchy. `gigabyte_pages` = the processor has them (CPUID 0x8000_0001, EDX bit 26).
    ///
    /// # Errors
    /// [`MapError::NoFrame`].
    pub fn new(mut memory: M, gigabyte_pages: bool) -> Result<Self, MapError> {
        let root = memory.new_table().ok_or(MapError::NoFrame)?;
        Ok(Self { memory, root, gigabyte_pages })
    }

    /// Physical address of the top table, for CR3.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// The memory that the tables are in.
    pub fn memory(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Maps `bytes` from `virtual_address` to `physical`, with the largest pages that fit. What was mapped before an error stays.
    ///
    /// # Errors
    /// [`MapError`]; all addresses and sizes are multiples of 4 KiB.
    pub fn map(
        &mut self,
        virtual_address: u64,
        physical: u64,
        bytes: u64,
        access: Access,
    ) -> Result<(), MapError> {
        if let Some(&odd) = [virtual_address, physical, bytes].iter().find(|v| **v % 4096 != 0) {
            return Err(MapError::Unaligned(odd));
        }
        let mut done = 0;
        while done < bytes {
            let (from, to) = (virtual_address.wrapping_add(done), physical.wrapping_add(done));
            let level = self.level(from | to, bytes - done);
            done += self.map_run(from, to, bytes - done, level, access)?;
        }
        Ok(())
    }

    /// The level whose entries map the largest page that is aligned to `bits` and not longer than `bytes`: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB.
    fn level(&self, bits: u64, bytes: u64) -> u32 {
        let fits = |level: u32| bits.is_multiple_of(page_bytes(level)) && bytes >= page_bytes(level);
        if self.gigabyte_pages && fits(3) {
            3
        } else if fits(2) {
            2
        } else {
            1
        }
    }

    /// Fills entries of one table; the bytes that they map.
    fn map_run(
        &mut self,
        from: u64,
        to: u64,
        bytes: u64,
        level: u32,
        access: Access,
    ) -> Result<u64, MapError> {
        let table = self.table(from, level)?;
        let step = page_bytes(level);
        let first = index(from, level);
        // Stop where a larger page would fit.
        let until_larger =
            if level == 3 { bytes } else { page_bytes(level + 1) - from % page_bytes(level + 1) };
        let count = (bytes.min(until_larger) / step).min((ENTRIES - first) as u64);
        let flags = PRESENT | access.0 | if level == 1 { 0 } else { LARGE };
        let taken = |at: usize| MapError::Taken(from + (at - first) as u64 * step);
        self.memory.fill(table, first, count as usize, to | flags, step).map_err(taken)?;
        Ok(count * step)
    }

    /// The table of `level` that maps `address`, made if it is not there.
    fn table(&mut self, address: u64, level: u32) -> Result<u64, MapError> {
        let mut table = self.root;
        for above in (level + 1..=4).rev() {
            let entry = self.memory.entry(table, index(address, above));
            table = match entry {
                e if e & PRESENT == 0 => {
                    let new = self.memory.new_table().ok_or(MapError::NoFrame)?;
                    self.memory.set_entry(table, index(address, above), new | PRESENT | 1 << 1);
                    new
                }
                e if e & LARGE != 0 => return Err(MapError::Taken(address)),
                e => e & ADDRESS,
            };
        }
        Ok(table)
    }

    /// The physical address behind `address`; `None` if nothing is mapped.
    pub fn translate(&self, address: u64) -> Option<u64> {
        let mut table = self.root;
        for level in (1..=4).rev() {
            let entry = self.memory.entry(table, index(address, level));
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 1 || entry & LARGE != 0 {
                let low = page_bytes(level) - 1;
                return Some(entry & ADDRESS & !low | address & low);
            }
            table = entry & ADDRESS;
        }
        None
    }
}

/// Bytes that an entry of a table of `level` maps: 1 = 4 KiB.
pub(crate) const fn page_bytes(level: u32) -> u64 {
    1 << (12 + 9 * (level - 1))
}

/// The entry for `address` in a table of `level`.
pub(crate) const fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * (level - 1))) as usize % ENTRIES
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[derive(Default)]
    struct Tables(Vec<[u64; ENTRIES]>, usize);

    impl TableMemory for Tables {
        fn new_table(&mut self) -> Option<u64> {
            if self.0.len() == self.1 {
                return None;
            }
            self.0.push([0; ENTRIES]);
            Some(self.0.len() as u64 * 4096)
        }
        fn entry(&self, table: u64, index: usize) -> u64 {
            self.0[table as usize / 4096 - 1][index]
        }
        fn set_entry(&mut self, table: u64, index: usize, value: u64) {
            self.0[table as usize / 4096 - 1][index] = value;
        }
    }

    fn tables(limit: usize, gigabyte_pages: bool) -> PageTables<Tables> {
        PageTables::new(Tables(Vec::new(), limit), gigabyte_pages).unwrap()
    }

    #[test]
    fn the_largest_pages_are_used() {
        let mut pages = tables(100, true);
        pages.map(0x1000, 0x1000, (3 << 30) - 0x1000, Access::MEMORY).unwrap();
        assert_eq!(pages.memory().0.len(), 4, "one table of each level");
        for address in [0x1000, 0x1f_ffff, 0x20_0000, 0x3fff_ffff, 0x4000_0000, 0xbfff_ffff] {
            assert_eq!(pages.translate(address), Some(address));
        }
        assert_eq!(pages.translate(0xfff), None);
        assert_eq!(pages.translate(3 << 30), None);
    }

    #[test]
    fn without_gigabyte_pages_two_megabytes_do() {
        let mut pages = tables(100, false);
        pages.map(0, 0, 2 << 30, Access::MEMORY).unwrap();
        assert_eq!(pages.memory().0.len(), 4, "root, one directory pointer table, two directories");
        assert_eq!(pages.translate(0x7fff_ffff), Some(0x7fff_ffff));
    }

    #[test]
    fn any_virtual_address_leads_to_any_frame() {
        let mut pages = tables(100, true);
        let high = 0xffff_c000_0000_8000;
        pages.map(high, 0x12_3000, 0x8000, Access::MEMORY).unwrap();
        assert_eq!(pages.translate(high + 0x7fff), Some(0x12_afff));
        assert_eq!(pages.translate(high - 1), None, "the guard below");
        assert_eq!(pages.map(high, 0, 0x1000, Access::MEMORY), Err(MapError::Taken(high)));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        assert_eq!(tables(2, true).map(0, 0, 4096, Access::CODE), Err(MapError::NoFrame));
        assert_eq!(tables(9, true).map(0, 0, 4095, Access::CODE), Err(MapError::Unaligned(4095)));
        let mut pages = tables(9, true);
        pages.map(0, 0, 1 << 30, Access::MEMORY).unwrap();
        assert_eq!(pages.map(0x1000, 0, 4096, Access::MEMORY), Err(MapError::Taken(0x1000)));
    }
}
