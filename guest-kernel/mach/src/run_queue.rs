//! The run queues: one a level, and a mask of those that hold somebody.

use crate::band::LEVELS;
use alloc::collections::VecDeque;

/// Runnable items by level, first in first out within a level. Picking is O(1) in their number.
pub struct RunQueues<T> {
    levels: [VecDeque<T>; LEVELS],
    occupied: u128,
}

impl<T> RunQueues<T> {
    /// Empty queues.
    pub fn new() -> Self {
        Self { levels: [const { VecDeque::new() }; LEVELS], occupied: 0 }
    }

    /// Puts an item at the tail of its level.
    pub fn push_back(&mut self, level: u8, item: T) {
        self.levels[usize::from(level)].push_back(item);
        self.occupied |= 1 << level;
    }

    /// Puts an item at the head of its level: it was preempted before its quantum was used up.
    pub fn push_front(&mut self, level: u8, item: T) {
        self.levels[usize::from(level)].push_front(item);
        self.occupied |= 1 << level;
    }

    /// Puts an item before the first one of its level for which `is_after` holds, else at the tail.
    pub fn insert(&mut self, level: u8, item: T, is_after: impl Fn(&T) -> bool) {
        let queue = &mut self.levels[usize::from(level)];
        let at = queue.iter().position(is_after).unwrap_or(queue.len());
        queue.insert(at, item);
        self.occupied |= 1 << level;
    }

    /// The highest level that holds somebody.
    pub fn highest(&self) -> Option<u8> {
        (self.occupied != 0).then(|| 127 - self.occupied.leading_zeros() as u8)
    }

    /// Whether somebody waits at `level`.
    pub fn holds(&self, level: u8) -> bool {
        self.occupied >> level & 1 == 1
    }

    /// Takes the first item of the highest level.
    pub fn pop(&mut self) -> Option<T> {
        let level = self.highest()?;
        let queue = &mut self.levels[usize::from(level)];
        let item = queue.pop_front();
        if queue.is_empty() {
            self.occupied &= !(1 << level);
        }
        item
    }

    /// Takes one item of `level` out of the middle.
    pub fn remove(&mut self, level: u8, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let queue = &mut self.levels[usize::from(level)];
        let at = queue.iter().position(is_it)?;
        let item = queue.remove(at);
        if queue.is_empty() {
            self.occupied &= !(1 << level);
        }
        item
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

impl<T> Default for RunQueues<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_level_comes_first_and_levels_are_fifo() {
        let mut queues = RunQueues::new();
        for (level, name) in [(31, "a"), (81, "b"), (31, "c"), (0, "idle"), (127, "top")] {
            queues.push_back(level, name);
        }
        queues.push_front(31, "first");
        let order: alloc::vec::Vec<_> = core::iter::from_fn(|| queues.pop()).collect();
        assert_eq!(order, ["top", "b", "first", "a", "c", "idle"]);
        assert_eq!(queues.highest(), None);
    }

    #[test]
    fn removing_clears_the_mask() {
        let mut queues = RunQueues::new();
        queues.push_back(5, 1);
        assert_eq!(queues.remove(5, |&n| n == 2), None);
        assert!(queues.holds(5));
        assert_eq!(queues.remove(5, |&n| n == 1), Some(1));
        assert!(!queues.holds(5));
    }
}
