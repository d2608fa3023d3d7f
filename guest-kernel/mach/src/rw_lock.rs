//! The reader/writer lock (IORWLock).
//!
//! Free or shared, it is one word, changed by one compare-exchange. Who has to wait is in the table of contended locks like those who wait for a
//! [`crate::RecursiveLock`], and pushes a writer (S7); readers are many, and nobody pushes them. While somebody waits no new reader comes in: a stream of readers cannot
//! keep a writer out. Handed over, it goes to the most important waiter, the longest waiting of its level; with a reader come all readers who are not
//! less important than the best writer.

use crate::kernel::{Kernel, Scheduler};
use crate::lock_order::LockClass;
use crate::masking::SchedGuard;
use crate::push::{LockId, Wanted};
use crate::seam::{Point, ThreadId};
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU64, Ordering};
use spin::{RwLockReadGuard, RwLockWriteGuard};

/// Set in the word when somebody waits.
const WAITERS: u64 = 1 << 63;
/// One reader in the word. Below is the writer's number: who has the lock and that it is taken must change in one step, or a waiter
/// would push nobody, or somebody else.
const READER: u64 = 1 << 32;

/// A value that many threads may read at once, or one may write. Blocks: not for interrupt handlers. Not recursive: a thread that has it
/// and wants it once more is a self-deadlock, which a writer is told, and a reader meets as soon as a writer waits.
#[derive(Debug)]
pub struct RwLock<T: ?Sized> {
    lock: RawRwLock,
    value: spin::RwLock<T>,
}

struct RawRwLock {
    /// [`WAITERS`], readers, the writer.
    word: AtomicU64,
    id: LockId,
    class: LockClass,
}

/// The value, for reading, until this is dropped.
pub struct ReadRef<'a, T: ?Sized> {
    kernel: &'a Kernel,
    lock: &'a RawRwLock,
    guard: Option<RwLockReadGuard<'a, T>>,
}

/// The value, for writing, until this is dropped.
pub struct WriteRef<'a, T: ?Sized> {
    kernel: &'a Kernel,
    lock: &'a RawRwLock,
    guard: Option<RwLockWriteGuard<'a, T>>,
}

impl<T> RwLock<T> {
    /// A lock of no class around `value`.
    pub fn new(kernel: &Kernel, value: T) -> Self {
        Self::in_class(kernel, LockClass::NONE, value)
    }

    /// A lock around `value` whose order with locks of other classes is watched.
    pub fn in_class(kernel: &Kernel, class: LockClass, value: T) -> Self {
        let lock = RawRwLock { word: AtomicU64::new(0), id: kernel.new_lock(), class };
        Self { lock, value: spin::RwLock::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes the lock for reading. Blocks while a writer has it or somebody waits.
    pub fn read<'a>(&'a self, kernel: &'a Kernel) -> ReadRef<'a, T> {
        self.lock.take(kernel, true);
        let guard = self.value.try_read();
        debug_assert!(guard.is_some(), "the outer lock lets readers in");
        ReadRef { kernel, lock: &self.lock, guard }
    }

    /// Takes the lock for writing. Blocks while anybody has it.
    pub fn write<'a>(&'a self, kernel: &'a Kernel) -> WriteRef<'a, T> {
        self.lock.take(kernel, false);
        let guard = self.value.try_write();
        debug_assert!(guard.is_some(), "the outer lock lets one writer in");
        WriteRef { kernel, lock: &self.lock, guard }
    }

    /// The thread that has it for writing, at this moment; 0 = none.
    pub fn writer(&self) -> ThreadId {
        self.lock.writer()
    }
}

/// What one holder adds to the word.
const fn share(shared: bool, me: ThreadId) -> u64 {
    if shared { READER } else { me as u64 }
}

impl RawRwLock {
    fn writer(&self) -> ThreadId {
        self.word.load(Ordering::Relaxed) as u32
    }

    fn take(&self, kernel: &Kernel, shared: bool) {
        kernel.point(Point::Lock);
        let me = kernel.thread_id();
        if !self.class.is_none() {
            kernel.order_wanted(self.class, me);
        }
        if !self.try_take(me, shared, WAITERS) {
            self.take_slow(kernel, me, shared);
        }
        if !self.class.is_none() {
            kernel.order_push(self.class, me);
        }
    }

    /// Takes the lock if it is free for that, and none of `forbidden` is set.
    fn try_take(&self, me: ThreadId, shared: bool, forbidden: u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let free = if shared { word as u32 == 0 } else { word & !WAITERS == 0 };
            if !free || word & forbidden != 0 {
                return false;
            }
            let wanted = word + share(shared, me);
            match self.word.compare_exchange_weak(word, wanted, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
    }

    #[cold]
    fn take_slow(&self, kernel: &Kernel, me: ThreadId, shared: bool) {
        if self.writer() == me {
            kernel
                .machine()
                .fatal(format_args!("self-deadlock: thread #{me} already has this lock for writing"));
        }
        if kernel.is_stopped() {
            // Who has it is on a stack that is being dropped too; who waits never comes.
            while !self.try_take(me, shared, 0) {
                kernel.relax();
            }
            return;
        }
        let sched = kernel.sched_lock();
        if let Some(owner) = self.mark(me, shared) {
            kernel.wait_for_lock(sched, Wanted { lock: self.id, shared, class: self.class }, owner);
        }
    }

    /// Takes the lock, or marks it as waited for; then its writer (0 = readers have it). Under the scheduler's lock: nobody hands it over
    /// meanwhile.
    fn mark(&self, me: ThreadId, shared: bool) -> Option<ThreadId> {
        loop {
            if self.try_take(me, shared, WAITERS) {
                return None;
            }
            let word = self.word.load(Ordering::Relaxed);
            let is_taken = word & !WAITERS != 0;
            let marked = word | WAITERS;
            if is_taken
                && self.word.compare_exchange(word, marked, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                return Some(word as u32);
            }
        }
    }

    fn drop_one(&self, kernel: &Kernel, shared: bool) {
        // A thread of a machine that ends is dropped where it is, maybe after another one dropped its lock for good.
        let me = if shared { kernel.thread_id() } else { self.writer() };
        if !self.class.is_none() {
            kernel.order_pop(self.class, me);
        }
        if !self.try_drop(share(shared, me)) {
            self.drop_slow(kernel, share(shared, me));
        }
        kernel.point(Point::Unlock);
    }

    /// Drops the lock unless this is the last one to have it and somebody waits.
    fn try_drop(&self, one: u64) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word != one | WAITERS {
            match self.word.compare_exchange_weak(
                word,
                word.saturating_sub(one),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
        false
    }

    #[cold]
    fn drop_slow(&self, kernel: &Kernel, one: u64) {
        if kernel.is_stopped() {
            return self.word.store(0, Ordering::Release);
        }
        let mut sched: SchedGuard<'_> = kernel.sched_lock();
        // Waiters are marked under the scheduler's lock, and while they are no reader comes in: still the last one.
        debug_assert_eq!(self.word.load(Ordering::Relaxed), one | WAITERS);
        self.hand_over(kernel, &mut sched);
    }

    fn hand_over(&self, kernel: &Kernel, sched: &mut Scheduler) {
        let more = |more: bool| if more { WAITERS } else { 0 };
        let word = if kernel.next_wants_shared(sched, self.id) {
            let (readers, rest) = kernel.hand_over_shared(sched, self.id);
            (u64::from(readers) * READER) | more(rest)
        } else if let Some(next) = kernel.hand_over(sched, self.id) {
            share(false, next.id) | more(next.more)
        } else {
            0
        };
        self.word.store(word, Ordering::Release);
    }
}

impl fmt::Debug for RawRwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.load(Ordering::Relaxed);
        let (readers, writer) = ((word & !WAITERS) / READER, word as u32);
        write!(
            f,
            "{readers} readers, writer #{writer}, {}",
            if word & WAITERS != 0 { "waited for" } else { "nobody waits" }
        )
    }
}

impl<T: ?Sized> Deref for ReadRef<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl<T: ?Sized> Deref for WriteRef<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl<T: ?Sized> DerefMut for WriteRef<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("held until it is dropped")
    }
}

impl<T: ?Sized> Drop for ReadRef<'_, T> {
    fn drop(&mut self) {
        self.guard = None;
        self.lock.drop_one(self.kernel, true);
    }
}

impl<T: ?Sized> Drop for WriteRef<'_, T> {
    fn drop(&mut self) {
        self.guard = None;
        self.lock.drop_one(self.kernel, false);
    }
}
