//! Lock order: which class of lock was taken while which was held.
//!
//! Two threads that take two locks in opposite orders are a deadlock that may never happen in a test. The orders themselves can be seen in any
//! run: whenever a lock of a class is taken, an edge goes from each class that the thread holds to it, and an edge that closes a circle is reported with the
//! names of the classes (`lock-order`).
//!
//! What is no edge, so that right code raises no alarm:
//!
//! - **Once more.** A lock that the thread owns already makes nobody wait.
//! - **Two locks of one class.** The gates of a driver's two instances: which comes first is a matter of the instances (by registry depth, by slot), and
//!   classes cannot tell. If two threads do meet, the search for a circle of waiters finds them ([`crate::push`]).
//! - **An attempt.** What does not wait cannot take part in a deadlock as the last step; what is taken while it is held can.
//! - **No class.** Locks outside of any class are not looked at, and cost nothing. On a machine whose trace nobody reads there are no classes:
//!   nobody would be told.
//!
//! A sleep drops its lock, and takes it again at the end: other locks that were held through the sleep come before it then.
//!
//! The table is a bit for each pair of [`MAX_CLASSES`] classes. What a thread holds is a word in a table by thread number, which only that thread
//! writes; no lock, no masking, no allocation, and, but for a thread's first lock, no atomic read-modify-write. A thread that finds no place in
//! the table is not watched; of more than eight locks the last eight are.

use crate::kernel::Kernel;
use crate::publish::address_of;
use crate::seam::ThreadId;
use abi::threads::{Directory, Name};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use spin::{Mutex, Once};
use trace::{Event, Kind};

/// Classes that are told apart. A later one is no class at all.
pub const MAX_CLASSES: usize = abi::threads::CLASSES;

/// The rule that a circle breaks.
const RULE: &str = "lock-order";

/// Objects of trace events that are lock classes: this and the class's number. (Registry entries count up from 1.)
const CLASS_OBJECTS: u32 = 1 << 30;

/// Threads that can be watched at once, about; a power of two.
const SLOTS: usize = 512;
/// Places where a thread looks for its slot.
const PROBES: usize = 4;

/// A class of locks: those that are taken for the same purpose, and so in the same order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockClass(u8);

impl LockClass {
    /// No class: nobody looks at the order of such locks.
    pub const NONE: Self = Self(0);

    /// Whether it is none.
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    const fn bit(self) -> u64 {
        1 << (self.0 - 1)
    }

    /// Its number, from 1; 0 = it is none.
    pub(crate) const fn number(self) -> u8 {
        self.0
    }
}

/// What one thread holds. Published as it is.
type Slot = abi::threads::Held;
/// All of it.
type Slots = [Slot; SLOTS];

#[inline]
fn push(slot: &Slot, class: LockClass) {
    slot.held.store(slot.held.load(Ordering::Relaxed) << 8 | u64::from(class.0), Ordering::Relaxed);
}

/// Classes, edges, and who holds what.
pub(crate) struct LockOrder {
    names: Mutex<Vec<String>>,
    /// By class: the classes that were taken while it was held, a bit each.
    edges: [AtomicU64; MAX_CLASSES],
    /// Made with the first class: while there is none, nobody is watched.
    slots: Once<Box<Slots>>,
    /// The names again, for whoever looks from outside; made with the first class, where anybody could.
    published: Once<Box<[Name]>>,
}

impl LockOrder {
    pub(crate) fn new() -> Self {
        Self {
            names: Mutex::new(Vec::new()),
            edges: [const { AtomicU64::new(0) }; MAX_CLASSES],
            slots: Once::new(),
            published: Once::new(),
        }
    }

    fn make_slots(&self) -> &Slots {
        // Not through the stack, which is short.
        let slots = || (0..SLOTS).map(|_| Slot::default()).collect::<Box<[Slot]>>();
        self.slots.call_once(|| slots().try_into().unwrap_or_else(|_| unreachable!("there are as many")))
    }

    /// Tells those outside what class `at` is called, and where to find who holds what.
    fn publish(&self, directory: &Directory, at: usize, name: &str) {
        let names = self.published.call_once(|| (0..MAX_CLASSES).map(|_| Name::default()).collect());
        let slots = self.make_slots();
        names[at].set(name);
        directory.classes.store(address_of(&names[0]), Ordering::Relaxed);
        directory.held_count.store(SLOTS as u32, Ordering::Relaxed);
        directory.held.store(address_of(&slots[0]), Ordering::Relaxed);
    }

    /// Where to look for the slot of `thread`. Outside of any thread (0, which marks free slots) nobody is watched.
    #[inline]
    fn probe(thread: ThreadId) -> impl Iterator<Item = usize> {
        (0..if thread == 0 { 0 } else { PROBES }).map(move |n| (thread as usize + n) % SLOTS)
    }

    fn slot_of(&self, thread: ThreadId) -> Option<&Slot> {
        self.first_slot_of(thread).or_else(|| self.displaced_slot_of(thread))
    }

    /// The slot of `thread` if it is at the first of the places where it may be, as nearly all are.
    #[inline]
    fn first_slot_of(&self, thread: ThreadId) -> Option<&Slot> {
        let first = &self.slots.get()?[thread as usize % SLOTS];
        (thread != 0 && first.thread.load(Ordering::Relaxed) == thread).then_some(first)
    }

    /// The same for a thread that another one was before at its first place.
    #[cold]
    fn displaced_slot_of(&self, thread: ThreadId) -> Option<&Slot> {
        let slots = self.slots.get()?;
        Self::probe(thread).map(|at| &slots[at]).find(|slot| slot.thread.load(Ordering::Relaxed) == thread)
    }

    /// A slot for a thread that has none. It keeps it until it ends: most who take one lock take another.
    #[cold]
    fn claim(&self, thread: ThreadId) -> Option<&Slot> {
        let slots = self.slots.get()?;
        let claim = |slot: &&Slot| {
            slot.thread.compare_exchange(0, thread, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        Self::probe(thread).map(|at| &slots[at]).find(claim)
    }

    /// What `thread` holds, the last one first, a byte each.
    pub(crate) fn held_by(&self, thread: ThreadId) -> u64 {
        self.slot_of(thread).map_or(0, |slot| slot.held.load(Ordering::Relaxed))
    }

    fn push(&self, thread: ThreadId, class: LockClass) {
        if let Some(slot) = self.slot_of(thread).or_else(|| self.claim(thread)) {
            push(slot, class);
        }
    }

    /// Out of order, or of a thread that another one was before at its first place.
    #[cold]
    #[inline(never)]
    fn pop(&self, thread: ThreadId, class: LockClass) {
        if let Some(slot) = self.slot_of(thread) {
            slot.held.store(without(slot.held.load(Ordering::Relaxed), class), Ordering::Relaxed);
        }
    }

    /// The thread has ended.
    pub(crate) fn forget(&self, thread: ThreadId) {
        if let Some(slot) = self.slot_of(thread) {
            slot.held.store(0, Ordering::Relaxed);
            slot.thread.store(0, Ordering::Relaxed);
        }
    }

    /// Adds the edge; whether it is new.
    fn add(&self, held: LockClass, taken: LockClass) -> bool {
        let edges = &self.edges[usize::from(held.0 - 1)];
        // Not relaxed: of two threads that add the two edges of a circle at once, one at least must see both.
        edges.load(Ordering::Relaxed) & taken.bit() == 0
            && edges.fetch_or(taken.bit(), Ordering::SeqCst) & taken.bit() == 0
    }

    /// The shortest way along edges from `from` to `to`, both included.
    fn path(&self, from: LockClass, to: LockClass) -> Option<Vec<LockClass>> {
        let mut came_from = [0; MAX_CLASSES];
        let mut seen = from.bit();
        let mut queue = Vec::from([from]);
        let mut at = 0;
        while let Some(&class) = queue.get(at) {
            if class == to {
                return Some(Self::walk_back(&came_from, from, to));
            }
            let mut next = self.edges[usize::from(class.0 - 1)].load(Ordering::SeqCst) & !seen;
            seen |= next;
            while next != 0 {
                let number = next.trailing_zeros() as u8 + 1;
                came_from[usize::from(number - 1)] = class.0;
                queue.push(LockClass(number));
                next &= next - 1;
            }
            at += 1;
        }
        None
    }

    fn walk_back(came_from: &[u8; MAX_CLASSES], from: LockClass, to: LockClass) -> Vec<LockClass> {
        let mut path = Vec::from([to]);
        let mut at = to;
        while at != from {
            at = LockClass(came_from[usize::from(at.0 - 1)]);
            path.push(at);
        }
        path.reverse();
        path
    }
}

/// The classes in a word of held ones, the last one taken first.
fn classes(mut held: u64) -> impl Iterator<Item = LockClass> {
    core::iter::from_fn(move || {
        let class = LockClass(held as u8);
        held >>= 8;
        (!class.is_none()).then_some(class)
    })
}

/// `held` without the last one of `class`.
#[cold]
fn without(held: u64, class: LockClass) -> u64 {
    match classes(held).position(|other| other == class) {
        None => held,
        Some(at) => {
            let below = (1 << (8 * at)) - 1;
            held & below | (held >> 8) & !below
        }
    }
}

impl Kernel {
    /// The class called `name`, which is a new one if there is none yet; [`LockClass::NONE`] if there are [`MAX_CLASSES`] others, or
    /// if nobody reads the trace, where circles are told.
    pub fn lock_class(&self, name: &str) -> LockClass {
        if !self.traced() {
            return LockClass::NONE;
        }
        let _masked = self.masked();
        self.order.make_slots();
        let mut names = self.lock_raw(&self.order.names);
        let at = names.iter().position(|other| other == name);
        let at = at.or_else(|| {
            (names.len() < MAX_CLASSES).then(|| {
                names.push(name.into());
                if let Some(directory) = &self.directory {
                    self.order.publish(directory, names.len() - 1, name);
                }
                names.len() - 1
            })
        });
        at.map_or(LockClass::NONE, |at| LockClass(at as u8 + 1))
    }

    /// The name of a class.
    pub(crate) fn class_name(&self, class: LockClass) -> String {
        let _masked = self.masked();
        let names = self.lock_raw(&self.order.names);
        usize::from(class.0).checked_sub(1).and_then(|at| names.get(at).cloned()).unwrap_or_default()
    }

    /// Names of the classes of locks that `thread` holds, the last one taken first.
    pub(crate) fn held_classes(&self, thread: ThreadId) -> Vec<String> {
        classes(self.order.held_by(thread)).map(|class| self.class_name(class)).collect()
    }

    /// The edges that were seen so far: (held, taken), by name.
    pub fn lock_order(&self) -> Vec<(String, String)> {
        let class = |at: usize| LockClass(at as u8 + 1);
        let pairs =
            (0..MAX_CLASSES).flat_map(|held| (0..MAX_CLASSES).map(move |taken| (class(held), class(taken))));
        pairs
            .filter(|(held, taken)| {
                self.order.edges[usize::from(held.0 - 1)].load(Ordering::Relaxed) & taken.bit() != 0
            })
            .map(|(held, taken)| (self.class_name(held), self.class_name(taken)))
            .collect()
    }

    /// Forgets which orders were seen, as if no lock had ever been taken within another. Not the classes, nor what is held now.
    pub fn forget_lock_orders(&self) {
        self.order.edges.iter().for_each(|edges| edges.store(0, Ordering::SeqCst));
    }

    /// Thread `me`, the running one, is about to wait for a lock of `class`.
    #[inline]
    pub(crate) fn order_wanted(&self, class: LockClass, me: ThreadId) {
        let held = self.order.held_by(me);
        if held != 0 {
            self.check_order(held, class);
        }
    }

    /// Thread `me`, the running one, has taken a lock of `class`, and might have waited for it.
    #[inline(never)]
    pub(crate) fn order_taken(&self, class: LockClass, me: ThreadId) {
        // Whatever is called here is the last step: nothing is kept over the call.
        let Some(slot) = self.order.first_slot_of(me) else { return self.order_taken_elsewhere(class, me) };
        let held = slot.held.load(Ordering::Relaxed);
        push(slot, class);
        if held != 0 {
            self.check_order(held, class);
        }
    }

    /// The same of a thread that holds nothing yet, or that another one was before at its first place.
    #[cold]
    #[inline(never)]
    fn order_taken_elsewhere(&self, class: LockClass, me: ThreadId) {
        let held = self.order.held_by(me);
        self.order.push(me, class);
        if held != 0 {
            self.check_order(held, class);
        }
    }

    /// Thread `me` has a lock of `class` from now on, whose order has been looked at or does not matter.
    #[inline(never)]
    pub(crate) fn order_push(&self, class: LockClass, me: ThreadId) {
        self.order.push(me, class);
    }

    /// Thread `me` drops a lock of `class`.
    #[inline(never)]
    pub(crate) fn order_pop(&self, class: LockClass, me: ThreadId) {
        match self.order.first_slot_of(me) {
            Some(slot) if slot.held.load(Ordering::Relaxed) as u8 == class.0 => {
                slot.held.store(slot.held.load(Ordering::Relaxed) >> 8, Ordering::Relaxed);
            }
            _ => self.order.pop(me, class),
        }
    }

    #[inline(never)]
    fn check_order(&self, held: u64, taken: LockClass) {
        for class in classes(held).filter(|&class| class != taken) {
            if self.order.add(class, taken)
                && !self.is_stopped()
                && let Some(path) = self.order.path(taken, class)
            {
                self.report_order(class, taken, &path);
            }
        }
    }

    #[cold]
    fn report_order(&self, held: LockClass, taken: LockClass, path: &[LockClass]) {
        let object = |class: LockClass| CLASS_OBJECTS | u32::from(class.0);
        for class in [held, taken] {
            self.trace(Event::new(Kind::Name).object(object(class)).text(&self.class_name(class)));
        }
        self.trace(Event::new(Kind::Violation).object(object(taken)).other(object(held)).text(RULE));
        let names: Vec<_> = path.iter().map(|&class| self.class_name(class)).collect();
        self.kprintf(format_args!(
            "{RULE}: thread #{} takes {} while it holds {}; seen before: {}",
            self.thread_id(),
            self.class_name(taken),
            self.class_name(held),
            names.join(", then ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LockClass = LockClass(1);
    const B: LockClass = LockClass(2);
    const C: LockClass = LockClass(64);

    fn order() -> LockOrder {
        let order = LockOrder::new();
        order.make_slots();
        order
    }

    #[test]
    fn what_is_held_comes_and_goes_in_any_order() {
        let order = order();
        for class in [A, B, A, C] {
            order.push(7, class);
        }
        let held = || classes(order.held_by(7)).collect::<Vec<_>>();
        assert_eq!(held(), [C, A, B, A]);
        order.pop(7, A);
        assert_eq!(held(), [C, B, A]);
        order.pop(7, A);
        order.pop(7, C);
        assert_eq!(held(), [B]);
        order.pop(7, C);
        assert_eq!(held(), [B], "it was not held");
        order.pop(7, B);
        assert_eq!(held(), []);
        assert_eq!(
            order.make_slots().iter().filter(|slot| slot.thread.load(Ordering::Relaxed) != 0).count(),
            1
        );
        order.forget(7);
        assert!(order.make_slots().iter().all(|slot| slot.thread.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn a_ninth_lock_pushes_the_first_one_out_and_nothing_else() {
        let order = order();
        (1..=9).for_each(|n| order.push(7, LockClass(n)));
        assert_eq!(classes(order.held_by(7)).count(), 8);
        (1..=9).rev().for_each(|n| order.pop(7, LockClass(n)));
        assert_eq!(order.held_by(7), 0);
    }

    #[test]
    fn threads_whose_numbers_collide_are_kept_apart_as_long_as_there_is_room() {
        let order = order();
        let threads = [0, 1, 2, 3, 4].map(|n| 5 + n * SLOTS as u32);
        for (thread, n) in threads.into_iter().zip(1..) {
            order.push(thread, LockClass(n));
        }
        assert_eq!(threads.map(|thread| order.held_by(thread)), [1, 2, 3, 4, 0]);
        order.forget(threads[0]);
        order.push(threads[4], C);
        order.pop(threads[1], LockClass(2));
        assert_eq!(threads.map(|thread| order.held_by(thread)), [0, 0, 3, 4, 64]);
        (5..=6).for_each(|n| order.push(threads[1], LockClass(n)));
        assert_eq!(order.held_by(threads[1]), 5 << 8 | 6, "its place is still its own");
    }

    #[test]
    fn outside_of_any_thread_nobody_is_watched() {
        let order = order();
        order.push(0, A);
        order.pop(0, B);
        order.forget(0);
        assert_eq!(order.held_by(0), 0);
        assert!(order.make_slots().iter().all(|slot| slot.held.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn without_a_class_nobody_is_watched() {
        let order = LockOrder::new();
        order.push(7, A);
        order.pop(7, B);
        order.forget(7);
        assert_eq!(order.held_by(7), 0);
        order.make_slots();
        order.push(7, A);
        assert_eq!(order.held_by(7), 1);
    }

    #[test]
    fn the_way_back_is_found() {
        let order = order();
        assert!(order.add(A, B) && !order.add(A, B) && order.add(B, C));
        assert_eq!(order.path(A, C), Some(Vec::from([A, B, C])));
        assert_eq!(order.path(C, A), None);
        assert!(order.add(A, C));
        assert_eq!(order.path(A, C), Some(Vec::from([A, C])), "the shortest");
    }
}
