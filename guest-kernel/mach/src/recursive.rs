//! The recursive lock that gates are made of.
//!
//! Free, it is one word: taking or dropping it is one compare-exchange. Contended, the word also says that there are waiters; they are in
//! the table of contended locks under the scheduler's lock, lend their priority to the owner (S7), and are handed the lock in order of
//! priority, first come first served within a level: an owner that drops it and takes it again goes to the end.

use crate::kernel::{Kernel, Scheduler};
use crate::lock_order::LockClass;
use crate::push::{LockId, Wanted};
use crate::seam::{Point, ThreadId};
use crate::wait::{WaitEvent, WaitMode, WaitResult};
use core::sync::atomic::{AtomicU32, Ordering};

/// Set in the owner word when somebody waits.
const WAITERS: u32 = 1 << 31;

/// A blocking lock that its owner may take again.
#[derive(Debug)]
pub struct RecursiveLock {
    /// The owner's number, 0 = free, and [`WAITERS`].
    owner: AtomicU32,
    /// Levels beyond the first. Only the owner touches it.
    depth: AtomicU32,
    id: LockId,
    class: LockClass,
}

impl RecursiveLock {
    /// A free lock of no class.
    pub fn new(kernel: &Kernel) -> Self {
        Self::in_class(kernel, LockClass::NONE)
    }

    /// A free lock whose order with locks of other classes is watched.
    pub fn in_class(kernel: &Kernel, class: LockClass) -> Self {
        Self { owner: AtomicU32::new(0), depth: AtomicU32::new(0), id: kernel.new_lock(), class }
    }

    /// A free lock that its waiters get in the order in which they came, whatever their priorities. They lend them to the owner all the same.
    pub fn first_come(kernel: &Kernel) -> Self {
        Self { id: kernel.new_lock().in_order(), ..Self::new(kernel) }
    }

    /// Whether the running thread owns it.
    #[inline]
    pub fn is_mine(&self, kernel: &Kernel) -> bool {
        self.owner() == kernel.thread_id()
    }

    /// The thread that owns it, at this moment; 0 = none.
    #[inline]
    pub fn owner(&self) -> ThreadId {
        self.owner.load(Ordering::Relaxed) & !WAITERS
    }

    /// Levels that the running thread holds.
    pub fn levels(&self, kernel: &Kernel) -> u32 {
        if self.is_mine(kernel) { self.nested() + 1 } else { 0 }
    }

    /// Levels beyond the first. The running thread owns the lock.
    #[inline]
    pub fn nested(&self) -> u32 {
        self.depth.load(Ordering::Relaxed)
    }

    /// One level more. The running thread owns the lock.
    #[inline]
    fn nest(&self) {
        self.depth.store(self.nested() + 1, Ordering::Relaxed);
    }

    /// Takes the lock, or one more level of it. Blocks: not at interrupt level, nor masked, unless the lock is free.
    #[inline]
    pub fn lock(&self, kernel: &Kernel) {
        self.take_told(kernel, |_| {});
    }

    /// As [`RecursiveLock::lock`]; answers the running thread, which is the owner now, and whether this is its first level. `waits` is told the
    /// owner, if it is another thread, before the wait for it.
    #[inline]
    pub fn take_told(&self, kernel: &Kernel, waits: impl FnOnce(ThreadId)) -> (ThreadId, bool) {
        let me = kernel.point_of(Point::Lock);
        if self.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return (me, self.take_again(kernel, me, waits));
        }
        self.took(kernel, me, true);
        (me, true)
    }

    /// Another level, or the first after a wait; whether it is the first.
    #[inline(never)]
    fn take_again(&self, kernel: &Kernel, me: ThreadId, waits: impl FnOnce(ThreadId)) -> bool {
        if self.owner() == me {
            self.nest();
            return false;
        }
        if !self.class.is_none() {
            // Before the wait: a deadlock must not keep its reason to itself.
            kernel.order_wanted(self.class, me);
        }
        waits(self.owner());
        self.lock_slow(kernel, me);
        self.took(kernel, me, false);
        true
    }

    /// The first level is taken; `might_wait` if its order has still to be looked at.
    #[inline]
    fn took(&self, kernel: &Kernel, me: ThreadId, might_wait: bool) {
        if self.class.is_none() {
            return;
        }
        if might_wait {
            kernel.order_taken(self.class, me);
        } else {
            kernel.order_push(self.class, me);
        }
    }

    /// Takes the lock, or one more level of it, if that needs no waiting; whether it did.
    pub fn try_lock(&self, kernel: &Kernel) -> bool {
        self.try_lock_as(kernel, kernel.thread_id())
    }

    /// As [`RecursiveLock::try_lock`] for a caller who knows that it is thread `me`.
    #[inline]
    pub fn try_lock_as(&self, kernel: &Kernel, me: ThreadId) -> bool {
        let taken = self.attempt_once(me);
        if taken == Some(true) {
            // An attempt does not wait: no order is broken by it.
            self.took(kernel, me, false);
        }
        taken.is_some()
    }

    /// Whether it was taken, and then whether that is the first level.
    #[inline]
    fn attempt_once(&self, me: ThreadId) -> Option<bool> {
        match self.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(true),
            Err(owner) if owner & !WAITERS == me => {
                self.nest();
                Some(false)
            }
            Err(_) => None,
        }
    }

    /// Drops one level; true if it was the last. The caller owns the lock.
    #[inline]
    pub fn unlock(&self, kernel: &Kernel) -> bool {
        self.unlock_as(kernel, kernel.thread_id())
    }

    /// As [`RecursiveLock::unlock`] for a caller who knows that it is thread `me`, as [`RecursiveLock::take_told`] told it.
    #[inline]
    pub fn unlock_as(&self, kernel: &Kernel, me: ThreadId) -> bool {
        let depth = self.nested();
        if depth > 0 {
            self.depth.store(depth - 1, Ordering::Relaxed);
            return false;
        }
        self.release(kernel, me);
        kernel.point(Point::Unlock);
        true
    }

    #[inline]
    fn release(&self, kernel: &Kernel, me: ThreadId) {
        if !self.class.is_none() {
            kernel.order_pop(self.class, me);
        }
        if let Err(owner) = self.owner.compare_exchange(me, 0, Ordering::Release, Ordering::Relaxed) {
            self.release_slow(kernel, me, owner);
        }
    }

    /// Hands the lock to its first waiter; `owner` is what the owner word was found to be.
    #[cold]
    fn release_slow(&self, kernel: &Kernel, me: ThreadId, owner: ThreadId) {
        if kernel.is_stopped() {
            return self.owner.store(0, Ordering::Release);
        }
        if owner != me | WAITERS {
            let owner = owner & !WAITERS;
            kernel.machine().fatal(format_args!("thread #{me} unlocks a lock that belongs to #{owner}"));
        }
        let mut sched = kernel.sched_lock();
        let handed = kernel.hand_over(&mut sched, self.id);
        let word = handed.map_or(0, |next| next.id | if next.more { WAITERS } else { 0 });
        self.owner.store(word, Ordering::Release);
    }

    #[cold]
    fn lock_slow(&self, kernel: &Kernel, me: ThreadId) {
        if kernel.is_stopped() {
            // Its owner is on a stack that is being dropped too.
            while self.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
                kernel.relax();
            }
            return;
        }
        let mut sched = kernel.sched_lock();
        match self.attempt(&mut sched, me) {
            None => {}
            Some(owner) => {
                kernel.wait_for_lock(sched, Wanted { lock: self.id, shared: false, class: self.class }, owner)
            }
        }
    }

    /// Takes the lock, or marks it as waited for; then its owner. Under the scheduler's lock the owner can change only from or to "free".
    fn attempt(&self, _sched: &mut Scheduler, id: ThreadId) -> Option<ThreadId> {
        loop {
            let word = match self.owner.compare_exchange(0, id, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return None,
                Err(word) => word,
            };
            let marked = word | WAITERS;
            if self.owner.compare_exchange(word, marked, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Some(word & !WAITERS);
            }
        }
    }

    /// Drops all levels, waits for `event`, takes them all back (WL9). An aborted thread's interruptible sleep returns `Interrupted` at once
    /// *without dropping the lock* (WL10). The caller owns the lock.
    pub fn sleep(
        &self,
        kernel: &Kernel,
        event: WaitEvent,
        mode: WaitMode,
        deadline: Option<u64>,
    ) -> WaitResult {
        self.sleep_told(kernel, event, mode, deadline, |_| {})
    }

    /// As [`RecursiveLock::sleep`]; `waits` is told the owner that the lock has to be waited for afterwards, if somebody has it.
    pub fn sleep_told(
        &self,
        kernel: &Kernel,
        event: WaitEvent,
        mode: WaitMode,
        deadline: Option<u64>,
        waits: impl FnOnce(ThreadId),
    ) -> WaitResult {
        let asserted = kernel.assert_wait(event, mode, deadline);
        if asserted != WaitResult::Waiting {
            return asserted;
        }
        let depth = self.depth.swap(0, Ordering::Relaxed);
        self.release(kernel, kernel.thread_id());
        kernel.point(Point::Unlock);
        let result = kernel.block();
        self.take_told(kernel, waits);
        self.depth.store(depth, Ordering::Relaxed);
        result
    }
}
