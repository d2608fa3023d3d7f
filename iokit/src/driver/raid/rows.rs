//! Writes to the same blocks, one after the other: both disks must see them in the same order, or they hold different data.

use mach::{Kernel, Mutex, MutexRef};

/// Rows that are told apart; blocks that are further from each other may wait for each other, which costs time and nothing else.
const ROWS: usize = 16;
/// Blocks of a row.
const ROW_BLOCKS: u64 = 64;

/// A lock for each row.
pub struct Rows([Mutex<()>; ROWS]);

impl Rows {
    /// All free.
    pub fn new(kernel: &Kernel) -> Self {
        Self(core::array::from_fn(|_| Mutex::new(kernel, ())))
    }

    /// Waits until nobody writes to the `count` blocks from `block` on, and keeps others out until the result is dropped.
    pub fn lock<'a>(
        &'a self,
        kernel: &'a Kernel,
        block: u64,
        count: u64,
    ) -> [Option<MutexRef<'a, ()>>; ROWS] {
        let wanted = wanted(block, count);
        // In the order of their numbers, whoever comes: no two writers wait for each other.
        core::array::from_fn(|row| wanted[row].then(|| self.0[row].lock(kernel)))
    }
}

/// Which rows the blocks lie in.
fn wanted(block: u64, count: u64) -> [bool; ROWS] {
    let first = block / ROW_BLOCKS;
    let last = block.saturating_add(count.saturating_sub(1)) / ROW_BLOCKS;
    let mut rows = [false; ROWS];
    for row in (first..=last).take(ROWS) {
        rows[(row % ROWS as u64) as usize] = true;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn rows(block: u64, count: u64) -> Vec<usize> {
        wanted(block, count).iter().enumerate().filter_map(|(row, &is)| is.then_some(row)).collect()
    }

    #[test]
    fn ranges_that_share_a_block_share_a_row() {
        assert_eq!(rows(0, 64), [0]);
        assert_eq!(rows(63, 2), [0, 1]);
        assert_eq!(rows(15 * 64, 65), [0, 15]);
        assert_eq!(rows(7, 0), [0]);
        assert_eq!(rows(0, u64::MAX).len(), ROWS);
        assert_eq!(rows(u64::MAX, 9), [15]);
    }
}
