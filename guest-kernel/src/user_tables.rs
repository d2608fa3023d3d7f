//! Page tables of a user address space (Intel SDM volume 3, 4.5): pages of 4 KiB below one slot of a top table whose other slots are the
//! kernel's.
//!
//! A table that holds nothing any more is taken out at once and kept for the space's next one, so that a task which touches
//! its whole address space page by page does not leave a trail of tables. How many entries a table holds is written into bits 52–61 of the entry that leads
//! to it, which processors ignore. Spare tables are not freed before the space is: a CPU that has the space loaded, without running user code, may still
//! look into them.
//!
//! Accessed and dirty bits are set from the beginning: processors never write to these tables.

use crate::page_tables::{ADDRESS, ENTRIES, PRESENT, TableMemory, index, page_bytes};

const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED_DIRTY: u64 = 1 << 5 | 1 << 6;
const NO_EXECUTE: u64 = 1 << 63;
/// Entries in the table that an entry leads to.
const COUNT_SHIFT: u32 = 52;
const COUNT: u64 = 0x3ff << COUNT_SHIFT;
/// What an entry that leads to a table allows: everything; the page's own entry decides.
const TABLE: u64 = PRESENT | WRITE | USER | ACCESSED_DIRTY;
/// The level of the top table.
const TOP: u32 = 4;

/// Where user tables live: they can be given back.
pub trait UserTableMemory: TableMemory {
    /// Takes back what [`TableMemory::new_table`] gave.
    fn free_table(&mut self, table: u64);
}

/// What user code may do with a page. Reading is always part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserPage {
    /// Physical address of the page.
    pub frame: u64,
    /// It may be written.
    pub write: bool,
    /// It may be executed.
    pub execute: bool,
}

impl UserPage {
    const fn entry(self) -> u64 {
        let write = if self.write { WRITE } else { 0 };
        let execute = if self.execute { 0 } else { NO_EXECUTE };
        self.frame & ADDRESS | PRESENT | USER | ACCESSED_DIRTY | write | execute
    }

    const fn from_entry(entry: u64) -> Self {
        Self { frame: entry & ADDRESS, write: entry & WRITE != 0, execute: entry & NO_EXECUTE == 0 }
    }
}

/// No frame for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTable;

/// One space's tables.
#[derive(Debug)]
pub struct UserTables<M: UserTableMemory> {
    memory: M,
    root: u64,
    /// The slot of the top table that is the user's.
    slot: usize,
    /// Tables without entries: the first one's first word leads to the next. 0 = none.
    spare: u64,
}

impl<M: UserTableMemory> UserTables<M> {
    /// An empty space for the slot that `base` is in. The other slots of its top table are the caller's.
    ///
    /// # Errors
    /// [`NoTable`].
    pub fn new(mut memory: M, base: u64) -> Result<Self, NoTable> {
        let root = memory.new_table().ok_or(NoTable)?;
        Ok(Self { memory, root, slot: index(base, TOP), spare: 0 })
    }

    /// Physical address of the top table, for CR3.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Enters a page at `address`, or replaces the one that is there. True if there was one, which processors may remember.
    ///
    /// # Errors
    /// [`NoTable`]: nothing has changed.
    ///
    /// # Panics
    /// If `address` is not in the user's slot: nobody but the kernel chooses it.
    pub fn enter(&mut self, address: u64, page: UserPage) -> Result<bool, NoTable> {
        assert_eq!(index(address, TOP), self.slot, "{address:#x} is no user address");
        self.provide(self.missing(address))?;
        let mut table = self.root;
        for level in (2..=TOP).rev() {
            let at = index(address, level);
            let mut entry = self.memory.entry(table, at);
            if entry & PRESENT == 0 {
                entry = self.take_spare().ok_or(NoTable)? | TABLE;
                self.memory.set_entry(table, at, entry);
                self.count(address, level, 1);
            }
            table = entry & ADDRESS;
        }
        let at = index(address, 1);
        let replaced = self.memory.entry(table, at) & PRESENT != 0;
        self.memory.set_entry(table, at, page.entry());
        if !replaced {
            self.count(address, 1, 1);
        }
        Ok(replaced)
    }

    /// Removes the pages from `address` on; how many there were.
    pub fn remove(&mut self, address: u64, pages: u64) -> u64 {
        let end = address.saturating_add(pages.saturating_mul(page_bytes(1)));
        let (mut at, mut removed) = (address, 0);
        while at < end && index(at, TOP) == self.slot {
            let (level, entry, table) = self.lowest(at);
            if level == 1 && entry & PRESENT != 0 {
                self.memory.set_entry(table, index(at, 1), 0);
                self.count(at, 1, -1);
                removed += 1;
            }
            // Where a whole table is missing, on to where it would end.
            let Some(next) = (at & !(page_bytes(level) - 1)).checked_add(page_bytes(level)) else { break };
            at = next;
        }
        removed
    }

    /// The page at `address`.
    pub fn page(&self, address: u64) -> Option<UserPage> {
        if index(address, TOP) != self.slot {
            return None;
        }
        let (level, entry, _) = self.lowest(address);
        (level == 1 && entry & PRESENT != 0).then(|| UserPage::from_entry(entry))
    }

    /// Gives all tables back. No CPU has them loaded.
    pub fn free(mut self) {
        let entry = self.memory.entry(self.root, self.slot);
        if entry & PRESENT != 0 {
            self.free_below(entry, TOP);
        }
        while let Some(table) = self.take_spare() {
            self.memory.free_table(table);
        }
        self.memory.free_table(self.root);
    }

    /// Frees the table that `entry`, of a table of `level`, leads to, and those below it.
    fn free_below(&mut self, entry: u64, level: u32) {
        let table = entry & ADDRESS;
        if level > 2 {
            let mut left = (entry & COUNT) >> COUNT_SHIFT;
            for at in 0..ENTRIES {
                if left == 0 {
                    break;
                }
                let below = self.memory.entry(table, at);
                if below & PRESENT != 0 {
                    self.free_below(below, level - 1);
                    left -= 1;
                }
            }
        }
        self.memory.free_table(table);
    }

    /// The entry for `address` in the lowest table that there is: its level, itself, its table.
    fn lowest(&self, address: u64) -> (u32, u64, u64) {
        let (mut table, mut level) = (self.root, TOP);
        loop {
            let entry = self.memory.entry(table, index(address, level));
            if level == 1 || entry & PRESENT == 0 {
                return (level, entry, table);
            }
            table = entry & ADDRESS;
            level -= 1;
        }
    }

    /// Tables that a page at `address` still needs.
    fn missing(&self, address: u64) -> u32 {
        self.lowest(address).0 - 1
    }

    /// Sees to it that `tables` spare ones are there, so that what follows cannot fail half-way.
    fn provide(&mut self, tables: u32) -> Result<(), NoTable> {
        let (mut have, mut at) = (0, self.spare);
        while at != 0 && have < tables {
            have += 1;
            at = self.memory.entry(at, 0);
        }
        for _ in have..tables {
            let table = self.memory.new_table().ok_or(NoTable)?;
            self.keep(table);
        }
        Ok(())
    }

    fn keep(&mut self, table: u64) {
        self.memory.set_entry(table, 0, self.spare);
        self.spare = table;
    }

    fn take_spare(&mut self) -> Option<u64> {
        let table = self.spare;
        if table == 0 {
            return None;
        }
        self.spare = self.memory.entry(table, 0);
        self.memory.set_entry(table, 0, 0);
        Some(table)
    }

    /// An entry of the table of `level` that maps `address` has come (+1) or gone (−1). A table without any is taken out.
    fn count(&mut self, address: u64, level: u32, by: i64) {
        if level == TOP {
            return;
        }
        let above = self.table(address, level + 1);
        let at = index(address, level + 1);
        let entry = self.memory.entry(above, at);
        let count = ((entry & COUNT) >> COUNT_SHIFT).wrapping_add_signed(by);
        if count == 0 {
            self.memory.set_entry(above, at, 0);
            self.keep(entry & ADDRESS);
            self.count(address, level + 1, -1);
        } else {
            self.memory.set_entry(above, at, entry & !COUNT | count << COUNT_SHIFT & COUNT);
        }
    }

    /// The table of `level` that maps `address`, which is there.
    fn table(&self, address: u64, level: u32) -> u64 {
        let mut table = self.root;
        for above in (level + 1..=TOP).rev() {
            table = self.memory.entry(table, index(address, above)) & ADDRESS;
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    const BASE: u64 = 0x5000_0000_0000;
    const PAGE: u64 = 4096;

    /// Counts what is given out.
    #[derive(Default)]
    struct Tables {
        tables: BTreeMap<u64, [u64; ENTRIES]>,
        next: u64,
        limit: usize,
    }

    impl TableMemory for &mut Tables {
        fn new_table(&mut self) -> Option<u64> {
            if self.tables.len() >= self.limit {
                return None;
            }
            self.next += PAGE;
            let table = self.next;
            self.tables.insert(table, [0; ENTRIES]);
            Some(table)
        }
        fn entry(&self, table: u64, index: usize) -> u64 {
            self.tables[&table][index]
        }
        fn set_entry(&mut self, table: u64, index: usize, value: u64) {
            self.tables.get_mut(&table).expect("a table that was given out")[index] = value;
        }
    }

    impl UserTableMemory for &mut Tables {
        fn free_table(&mut self, table: u64) {
            self.tables.remove(&table).expect("given back once");
        }
    }

    fn page(frame: u64) -> UserPage {
        UserPage { frame, write: true, execute: false }
    }

    fn memory(limit: usize) -> Tables {
        Tables { limit, ..Tables::default() }
    }

    #[test]
    fn pages_come_and_go_and_nothing_is_left() {
        let mut memory = memory(100);
        let mut tables = UserTables::new(&mut memory, BASE).unwrap();
        let addresses = [BASE, BASE + PAGE, BASE + (3 << 21), BASE + (511 << 30), BASE + (1 << 39) - PAGE];
        for (n, &address) in addresses.iter().enumerate() {
            assert_eq!(tables.enter(address, page(n as u64 * PAGE)), Ok(false));
        }
        for (n, &address) in addresses.iter().enumerate() {
            assert_eq!(tables.page(address), Some(page(n as u64 * PAGE)));
        }
        assert_eq!(tables.page(BASE + 2 * PAGE), None);
        assert_eq!(tables.page(BASE - PAGE), None, "outside of the slot");
        assert_eq!(tables.remove(BASE, 1 << 27), addresses.len() as u64);
        assert_eq!(tables.lowest(BASE).0, TOP, "all tables were taken out");
        tables.free();
        assert!(memory.tables.is_empty());
    }

    #[test]
    fn a_space_frees_what_is_still_mapped() {
        let mut memory = memory(2000);
        let mut tables = UserTables::new(&mut memory, BASE).unwrap();
        for n in 0..600 {
            tables.enter(BASE + n * (7 << 20), page(n * PAGE)).unwrap();
        }
        tables.free();
        assert!(memory.tables.is_empty());
    }

    #[test]
    fn a_full_table_is_counted_right() {
        let mut memory = memory(100);
        let mut tables = UserTables::new(&mut memory, BASE).unwrap();
        for n in 0..ENTRIES as u64 {
            tables.enter(BASE + n * PAGE, page(n * PAGE)).unwrap();
        }
        assert_eq!(tables.remove(BASE + PAGE, ENTRIES as u64), ENTRIES as u64 - 1);
        assert_eq!(tables.page(BASE), Some(page(0)));
        assert_eq!(tables.remove(BASE, 1), 1);
        assert_eq!(tables.lowest(BASE).0, TOP);
        tables.free();
        assert!(memory.tables.is_empty());
    }

    #[test]
    fn replacing_says_so() {
        let mut memory = memory(100);
        let mut tables = UserTables::new(&mut memory, BASE).unwrap();
        let constant = UserPage { frame: 0x9000, write: false, execute: true };
        assert_eq!(tables.enter(BASE, page(0)), Ok(false));
        assert_eq!(tables.enter(BASE, constant), Ok(true));
        assert_eq!(tables.page(BASE), Some(constant));
        assert_eq!(tables.remove(BASE, 1), 1);
        assert_eq!(tables.remove(BASE, 1), 0);
    }

    #[test]
    fn without_memory_nothing_changes() {
        for limit in 1..4 {
            let mut memory = memory(limit);
            let mut tables = UserTables::new(&mut memory, BASE).unwrap();
            assert_eq!(tables.enter(BASE, page(0)), Err(NoTable));
            assert_eq!(tables.lowest(BASE).0, TOP);
            tables.free();
            assert!(memory.tables.is_empty());
        }
        assert_eq!(UserTables::new(&mut memory(0), BASE).err(), Some(NoTable));
    }

    /// Page after page over a whole address space, one at a time: no more tables than one page needs.
    #[test]
    fn tables_are_used_again() {
        let mut memory = memory(4);
        let mut tables = UserTables::new(&mut memory, BASE).unwrap();
        for n in 0..100_000 {
            let address = BASE + (n * 0x1234_5000) % (1 << 39);
            assert_eq!(tables.enter(address, page(0)), Ok(false));
            assert_eq!(tables.remove(address, 1), 1);
        }
        tables.free();
        assert!(memory.tables.is_empty());
    }

    #[test]
    fn the_other_slots_are_not_touched() {
        let mut memory = memory(4);
        let mut tables = UserTables::new(&mut memory, BASE).unwrap();
        tables.enter(BASE, page(0)).unwrap();
        assert_eq!(tables.remove(0, u64::MAX), 0, "not the user's slot");
        let (root, slot) = (tables.root(), tables.slot);
        for at in (0..ENTRIES).filter(|&at| at != slot) {
            assert_eq!(tables.memory.entry(root, at), 0);
        }
    }
}
