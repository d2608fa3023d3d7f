//! The run queues: one a level, and a mask of those that hold somebody.
//!
//! The queues are linked lists through one table of slots. So picking, entering and taking one out of the middle are O(1) in the number of
//! items, and nothing is allocated once the table is as large as the most that were ever queued at once. Only an item with a key (a
//! real-time deadline, S5) looks for its place, among the keys of its level.

use crate::band::LEVELS;
use alloc::{boxed::Box, vec::Vec};

/// The key of an item that has none: behind all that have one.
pub const NO_KEY: u64 = u64::MAX;

/// No slot.
const NONE: u32 = u32::MAX;

/// How important something is: by level, then by key, the lowest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// 1 + the level; 0 = nobody.
    level: u8,
    /// The key's complement.
    urgency: u64,
}

impl Rank {
    /// Less than everybody.
    pub const NOBODY: Self = Self { level: 0, urgency: 0 };

    /// The level; `None` = nobody's.
    pub const fn level(self) -> Option<u8> {
        self.level.checked_sub(1)
    }

    /// The rank of an item of `level`, 0–127, with `key`.
    pub const fn new(level: u8, key: u64) -> Self {
        Self { level: level + 1, urgency: !key }
    }
}

/// Where an item is, until it leaves the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    slot: u32,
    generation: u32,
}

/// Which end of those with the same key an item goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Before them: it was preempted before its quantum was used up.
    Head,
    /// Behind them.
    Tail,
}

struct Slot<T> {
    item: Option<T>,
    key: u64,
    generation: u32,
    level: u8,
    previous: u32,
    next: u32,
}

#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
}

/// Runnable items by level, by key within a level, first in first out within a key.
pub struct RunQueues<T> {
    /// Apart, so that what holds the queues can be moved about cheaply.
    levels: Box<[List; LEVELS]>,
    occupied: u128,
    slots: Vec<Slot<T>>,
    /// First of the free slots, linked by `next`.
    free: u32,
    len: usize,
    /// Slots looked at, for the proof that it does not depend on how many there are.
    #[cfg(test)]
    steps: core::cell::Cell<usize>,
}

impl<T> RunQueues<T> {
    /// Empty queues.
    pub fn new() -> Self {
        Self {
            levels: Box::new([List { head: NONE, tail: NONE }; LEVELS]),
            occupied: 0,
            slots: Vec::new(),
            free: NONE,
            len: 0,
            #[cfg(test)]
            steps: core::cell::Cell::new(0),
        }
    }

    /// Items in all queues.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes room for `items` in all, so that entering them allocates nothing.
    pub fn reserve(&mut self, items: usize) {
        self.slots.reserve(items.saturating_sub(self.slots.len()));
    }

    fn slot(&self, at: u32) -> &Slot<T> {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
        &self.slots[at as usize]
    }

    fn slot_mut(&mut self, at: u32) -> &mut Slot<T> {
        #[cfg(test)]
        self.steps.set(self.steps.get() + 1);
        &mut self.slots[at as usize]
    }

    /// Puts an item without key at the tail of its level, 0–127.
    pub fn push_back(&mut self, level: u8, item: T) -> Place {
        self.insert(level, NO_KEY, End::Tail, item)
    }

    /// Puts an item without key before all others without key of its level.
    pub fn push_front(&mut self, level: u8, item: T) -> Place {
        self.insert(level, NO_KEY, End::Head, item)
    }

    /// Puts an item behind those of its level with a lower key, at `end` of those with the same key.
    pub fn insert(&mut self, level: u8, key: u64, end: End, item: T) -> Place {
        let before = match end {
            End::Tail => self.last_within(level, key),
            // Nobody has a key below 0.
            End::Head => key.checked_sub(1).map_or(NONE, |lower| self.last_below(level, lower)),
        };
        let (at, generation) = self.allocate(level, key, item);
        self.link(level, before, at);
        self.len += 1;
        self.occupied |= 1 << level;
        Place { slot: at, generation }
    }

    /// The last of `level` with `key` or a lower one. From the tail: whoever has no key finds it at once.
    fn last_within(&self, level: u8, key: u64) -> u32 {
        let mut at = self.levels[usize::from(level)].tail;
        while at != NONE && self.slot(at).key > key {
            at = self.slot(at).previous;
        }
        at
    }

    /// The same from the head: the few with keys are in front of those without.
    fn last_below(&self, level: u8, key: u64) -> u32 {
        let (mut last, mut at) = (NONE, self.levels[usize::from(level)].head);
        while at != NONE && self.slot(at).key <= key {
            (last, at) = (at, self.slot(at).next);
        }
        last
    }

    fn allocate(&mut self, level: u8, key: u64, item: T) -> (u32, u32) {
        let at = self.free;
        if at == NONE {
            let slot = Slot { item: Some(item), key, generation: 0, level, previous: NONE, next: NONE };
            self.slots.push(slot);
            return (self.slots.len() as u32 - 1, 0);
        }
        let slot = self.slot_mut(at);
        let free = core::mem::replace(&mut slot.next, NONE);
        (slot.item, slot.key, slot.level) = (Some(item), key, level);
        let generation = slot.generation;
        self.free = free;
        (at, generation)
    }

    /// Links `at` behind `before`, or at the head.
    fn link(&mut self, level: u8, before: u32, at: u32) {
        let list = usize::from(level);
        let after = if before == NONE { self.levels[list].head } else { self.slot(before).next };
        let slot = self.slot_mut(at);
        (slot.previous, slot.next) = (before, after);
        match before {
            NONE => self.levels[list].head = at,
            before => self.slot_mut(before).next = at,
        }
        match after {
            NONE => self.levels[list].tail = at,
            after => self.slot_mut(after).previous = at,
        }
    }

    fn unlink(&mut self, at: u32) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(at);
        let item = slot.item.take()?;
        let (level, before, after) = (usize::from(slot.level), slot.previous, slot.next);
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = free;
        self.free = at;
        match before {
            NONE => self.levels[level].head = after,
            before => self.slot_mut(before).next = after,
        }
        match after {
            NONE => self.levels[level].tail = before,
            after => self.slot_mut(after).previous = before,
        }
        if self.levels[level].head == NONE {
            self.occupied &= !(1 << level);
        }
        self.len -= 1;
        Some(item)
    }

    /// The highest level that holds somebody.
    pub const fn highest(&self) -> Option<u8> {
        if self.occupied == 0 { None } else { Some(127 - self.occupied.leading_zeros() as u8) }
    }

    /// The rank of the item that [`RunQueues::pop`] would take.
    pub fn best(&self) -> Rank {
        match self.highest() {
            Some(level) => Rank::new(level, self.slot(self.levels[usize::from(level)].head).key),
            None => Rank::NOBODY,
        }
    }

    /// Whether somebody waits at `level`.
    pub const fn holds(&self, level: u8) -> bool {
        self.occupied >> level & 1 == 1
    }

    /// Takes the first item of the highest level.
    pub fn pop(&mut self) -> Option<T> {
        let level = self.highest()?;
        self.unlink(self.levels[usize::from(level)].head)
    }

    /// Takes the item at `place` out; `None` if it has left already.
    pub fn remove(&mut self, place: Place) -> Option<T> {
        if self.slots.get(place.slot as usize)?.generation != place.generation {
            return None;
        }
        self.unlink(place.slot)
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

    fn drain<T>(queues: &mut RunQueues<T>) -> Vec<T> {
        core::iter::from_fn(|| queues.pop()).collect()
    }

    #[test]
    fn the_highest_level_comes_first_and_levels_are_fifo() {
        let mut queues = RunQueues::new();
        for (level, name) in [(31, "a"), (81, "b"), (31, "c"), (0, "idle"), (127, "top")] {
            queues.push_back(level, name);
        }
        queues.push_front(31, "first");
        assert_eq!(drain(&mut queues), ["top", "b", "first", "a", "c", "idle"]);
        assert_eq!(queues.highest(), None);
        assert_eq!(queues.best(), Rank::NOBODY);
    }

    #[test]
    fn removing_clears_the_mask() {
        let mut queues = RunQueues::new();
        let gone = queues.push_back(5, 2);
        assert_eq!(queues.pop(), Some(2));
        let place = queues.push_back(5, 1);
        assert_eq!(queues.remove(gone), None, "its slot belongs to somebody else by now");
        assert!(queues.holds(5));
        assert_eq!(queues.remove(place), Some(1));
        assert!(!queues.holds(5) && queues.is_empty());
    }

    #[test]
    fn one_can_leave_from_anywhere() {
        for leaves in 0..4 {
            let mut queues = RunQueues::new();
            let places = [0, 1, 2, 3].map(|n| queues.push_back(9, n));
            assert_eq!(queues.remove(places[leaves]), Some(leaves));
            queues.push_back(9, 4);
            queues.push_front(9, 5);
            let mut wanted = Vec::from([5, 0, 1, 2, 3, 4]);
            wanted.retain(|&n| n != leaves);
            assert_eq!(drain(&mut queues), wanted);
        }
    }

    #[test]
    fn s5_keys_order_a_level_and_those_without_come_last() {
        let mut queues = RunQueues::new();
        queues.push_back(97, "none");
        for (key, end, name) in [
            (30, End::Tail, "late"),
            (10, End::Tail, "early"),
            (10, End::Tail, "early too"),
            (0, End::Head, "at once"),
            (30, End::Head, "late, preempted"),
        ] {
            queues.insert(97, key, end, name);
        }
        queues.push_front(97, "none, preempted");
        let order = ["at once", "early", "early too", "late, preempted", "late", "none, preempted", "none"];
        assert_eq!(queues.best(), Rank::new(97, 0));
        assert_eq!(drain(&mut queues), order);
    }

    #[test]
    fn ranks_go_by_level_then_by_key() {
        let order =
            [Rank::NOBODY, Rank::new(0, NO_KEY), Rank::new(97, 9), Rank::new(97, 3), Rank::new(98, 9)];
        assert!(order.is_sorted_by(|a, b| a < b));
    }

    /// Slots touched by each operation when `n` others are queued.
    fn steps(n: u32) -> [usize; 5] {
        let mut queues = RunQueues::new();
        for item in 0..n {
            queues.push_back((item % 128) as u8, item);
        }
        let mut took = |f: &mut dyn FnMut(&mut RunQueues<u32>)| {
            queues.steps.set(0);
            f(&mut queues);
            queues.steps.get()
        };
        let mut place = None;
        [
            took(&mut |q| assert!(q.best() > Rank::NOBODY)),
            took(&mut |q| assert!(q.pop().is_some())),
            took(&mut |q| place = Some(q.push_back(7, n))),
            took(&mut |q| assert_eq!(place.and_then(|place| q.remove(place)), Some(n))),
            took(&mut |q| _ = q.push_front(7, n)),
        ]
    }

    /// Counted, not timed: no operation of the dispatcher looks at more slots because more threads are runnable.
    #[test]
    fn picking_takes_as_many_steps_with_ten_thousand_as_with_a_few() {
        let few = steps(1_280);
        assert!(few.iter().all(|&steps| (1..=6).contains(&steps)), "{few:?}");
        assert_eq!(steps(10_000), few);
        assert_eq!(steps(100_000), few);
        let ten = steps(10);
        assert!(ten.iter().zip(&few).all(|(ten, few)| ten <= few), "{ten:?} {few:?}");
    }
}
