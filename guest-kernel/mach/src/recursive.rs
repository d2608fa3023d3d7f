//! The recursive lock that gates are made of, and the priority push that keeps its owner going (S7).

use crate::band;
use crate::kernel::{Kernel, KernelRef, Scheduler};
use crate::seam::{Point, ThreadId};
use crate::thread::{RunState, Thread};
use crate::wait::{WaitEvent, WaitMode, WaitResult};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

/// Set in the owner word when somebody waits.
const WAITERS: u32 = 1 << 31;

/// Owners in a chain that a push follows at the most: a circle of locks must not hang the pusher.
const MAX_CHAIN: usize = 32;

/// A blocking lock that its owner may take again. Free, taking or dropping it is one atomic operation.
#[derive(Debug)]
pub struct RecursiveLock {
    owner: AtomicU32,
    /// Levels beyond the first. Only the owner touches it.
    depth: AtomicU32,
    event: WaitEvent,
}

impl RecursiveLock {
    /// A free lock.
    pub fn new(kernel: &Kernel) -> Self {
        Self { owner: AtomicU32::new(0), depth: AtomicU32::new(0), event: kernel.new_event() }
    }

    /// Whether the running thread owns it.
    pub fn is_mine(&self, kernel: &Kernel) -> bool {
        self.owner.load(Ordering::Relaxed) & !WAITERS == kernel.thread_id()
    }

    /// The thread that owns it, at this moment; 0 = none.
    pub fn owner(&self) -> ThreadId {
        self.owner.load(Ordering::Relaxed) & !WAITERS
    }

    /// Levels that the owner holds.
    pub fn levels(&self, kernel: &Kernel) -> u32 {
        if self.is_mine(kernel) { self.depth.load(Ordering::Relaxed) + 1 } else { 0 }
    }

    /// Takes the lock, or one more level of it. Blocks.
    pub fn lock(&self, kernel: &KernelRef) {
        kernel.machine().point(Point::Lock);
        let me = kernel.thread_id();
        if self.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return;
        }
        if self.is_mine(kernel) {
            self.depth.store(self.depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return;
        }
        self.lock_slow(kernel, me);
    }

    /// Takes the lock if that needs no waiting; whether it did.
    pub fn try_lock(&self, kernel: &KernelRef) -> bool {
        let me = kernel.thread_id();
        if self.owner.compare_exchange(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return true;
        }
        let mine = self.is_mine(kernel);
        if mine {
            self.depth.store(self.depth.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        mine
    }

    /// Drops one level; true if it was the last. The caller owns the lock.
    pub fn unlock(&self, kernel: &KernelRef) -> bool {
        let depth = self.depth.load(Ordering::Relaxed);
        if depth > 0 {
            self.depth.store(depth - 1, Ordering::Relaxed);
            return false;
        }
        self.release(kernel);
        kernel.machine().point(Point::Unlock);
        true
    }

    fn release(&self, kernel: &KernelRef) {
        if self.owner.swap(0, Ordering::Release) & WAITERS == 0 {
            return;
        }
        let mut sched = kernel.sched_lock();
        let cpu = kernel.machine().cpu();
        if let Some(me) = sched.cpus[cpu].current.clone() {
            kernel.unpush(&mut sched, &me, self.event);
        }
        if let Some(next) = kernel.best_waiter(&sched, self.event) {
            kernel.end_wait(&mut sched, &next, WaitResult::Awakened);
        }
    }

    fn lock_slow(&self, kernel: &KernelRef, me: ThreadId) {
        let mut mark = 0;
        loop {
            if self.owner.compare_exchange(0, me | mark, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                if mark != 0 {
                    kernel.inherit(self.event);
                }
                return;
            }
            kernel.assert_wait(self.event, WaitMode::Uninterruptible, None);
            let owner = self.owner.fetch_or(WAITERS, Ordering::Relaxed) & !WAITERS;
            mark = WAITERS;
            if owner == 0 {
                // It was dropped between: the mark is mine to clean up by taking the lock.
                kernel.clear_own_wait();
                if self
                    .owner
                    .compare_exchange(WAITERS, me | WAITERS, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
                {
                    kernel.inherit(self.event);
                    return;
                }
                continue;
            }
            kernel.push(self, owner);
            kernel.block();
            kernel.stop_pushing();
        }
    }

    /// Drops all levels, waits for `event`, takes them all back (WL9). An aborted thread's interruptible sleep returns `Interrupted` at once
    /// *without dropping the lock* (WL10). The caller owns the lock.
    pub fn sleep(
        &self,
        kernel: &KernelRef,
        event: WaitEvent,
        mode: WaitMode,
        deadline: Option<u64>,
    ) -> WaitResult {
        if kernel.assert_wait(event, mode, deadline) == WaitResult::Interrupted {
            return WaitResult::Interrupted;
        }
        let depth = self.depth.swap(0, Ordering::Relaxed);
        self.release(kernel);
        kernel.machine().point(Point::Unlock);
        let result = kernel.block();
        self.lock(kernel);
        self.depth.store(depth, Ordering::Relaxed);
        result
    }
}

impl Kernel {
    /// The running thread waits for `owner`'s lock: its priority is pushed along the chain of owners, capped at 95.
    ///
    /// An owner that has let go meanwhile is left alone: it takes back its pushes under the scheduler's lock after it has cleared the owner
    /// word, so whoever finds it there under that lock is in time.
    fn push(&self, contended: &RecursiveLock, owner: ThreadId) {
        let lock = contended.event;
        let mut sched = self.sched_lock();
        if contended.owner() != owner {
            return;
        }
        let cpu = self.machine().cpu();
        let Some(me) = sched.cpus[cpu].current.clone() else { return };
        let priority = {
            let mut t = self.lock_raw(&me.sched);
            if t.wait != Some(lock) {
                return;
            }
            t.blocked_on = Some(owner);
            t.priority.min(band::KERNEL_MAX)
        };
        let mut next = Some((owner, lock));
        for _ in 0..MAX_CHAIN {
            let Some((owner, lock)) = next else { return };
            let Some(thread) = sched.threads.get(&owner).cloned() else { return };
            next = self.push_one(&mut sched, &thread, lock, priority);
        }
    }

    /// Pushes one owner; the owner that it waits for itself, if it does.
    fn push_one(
        &self,
        sched: &mut Scheduler,
        thread: &Arc<Thread>,
        lock: WaitEvent,
        priority: u8,
    ) -> Option<(ThreadId, WaitEvent)> {
        let mut t = self.lock_raw(&thread.sched);
        match t.pushes.iter_mut().find(|(event, _)| *event == lock) {
            Some((_, pushed)) => *pushed = (*pushed).max(priority),
            None => t.pushes.push((lock, priority)),
        }
        let next = t.blocked_on.zip(t.wait);
        drop(t);
        self.settle_priority(sched, thread);
        next
    }

    /// The running thread no longer waits for anybody's lock.
    fn stop_pushing(&self) {
        let sched = self.sched_lock();
        let cpu = self.machine().cpu();
        if let Some(me) = &sched.cpus[cpu].current {
            self.lock_raw(&me.sched).blocked_on = None;
        }
    }

    /// The running thread took a lock that others wait for: their priority is now pushed onto it.
    fn inherit(&self, lock: WaitEvent) {
        let mut sched = self.sched_lock();
        let cpu = self.machine().cpu();
        let Some(me) = sched.cpus[cpu].current.clone() else { return };
        if let Some(best) = self.best_waiter(&sched, lock) {
            let priority = self.lock_raw(&best.sched).priority.min(band::KERNEL_MAX);
            self.push_one(&mut sched, &me, lock, priority);
        }
    }

    /// `thread` dropped a lock: what its waiters pushed is taken back.
    fn unpush(&self, sched: &mut Scheduler, thread: &Arc<Thread>, lock: WaitEvent) {
        self.lock_raw(&thread.sched).pushes.retain(|(event, _)| *event != lock);
        self.settle_priority(sched, thread);
    }

    /// Sets the priority that holds: the base, or the highest push; and moves the thread to its run queue.
    fn settle_priority(&self, sched: &mut Scheduler, thread: &Arc<Thread>) {
        let mut t = self.lock_raw(&thread.sched);
        let pushed = t.pushes.iter().map(|&(_, priority)| priority).max().unwrap_or(0);
        let wanted = t.base.max(pushed);
        let before = core::mem::replace(&mut t.priority, wanted);
        let state = t.state;
        drop(t);
        if before == wanted {
            return;
        }
        if state == RunState::Runnable
            && let Some(thread) = sched.queues.remove(before, |other| Arc::ptr_eq(other, thread))
        {
            sched.queues.push_back(wanted, thread);
            self.ask_for_cpu(sched, wanted);
        }
        if state == RunState::Running
            && wanted < before
            && let Some(level) = sched.queues.highest().filter(|&level| level > wanted)
        {
            self.ask_for_cpu(sched, level);
        }
    }
}
