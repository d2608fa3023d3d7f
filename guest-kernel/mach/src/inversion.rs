//! Priority inversion: who waits for whom, because of whom, for how long.
//!
//! A thread that has a lock which a better one wants runs as soon as the better one could, if waiters push (S7). If it had to wait for
//! a CPU with less than its waiter's priority, and takes the place of somebody less important than that waiter, the waiter was kept from running by
//! one that it should have been before. The kernel looks whenever it dispatches a thread for whose locks others wait; nobody else pays.

use crate::band;
use crate::kernel::{Kernel, Scheduler};
use crate::thread::Thread;
use trace::{Event, Kind};

/// Inversions that are shorter are no more than the time that it takes to look, ns.
const SHORTEST: u64 = 100_000;

impl Kernel {
    /// S7 can be switched off, to show what it is for: then nobody lends its priority to who has its lock.
    pub fn set_priority_push(&self, on: bool) {
        self.push.store(on, core::sync::atomic::Ordering::Relaxed);
    }

    /// `owner`, for whose locks others wait, gets the CPU that `before` leaves: tells of an inversion that ends with this.
    pub(crate) fn note_inversion(&self, sched: &Scheduler, owner: &Thread, before: &Thread, now: u64) {
        let (priority, ready_since, waiter) = {
            let t = self.lock_raw(&owner.sched);
            let locks = t.contended.iter().filter_map(|lock| sched.locks.get(lock));
            let best = locks.filter_map(|lock| self.best_for_lock(lock)).max_by_key(|waiter| waiter.priority);
            (t.priority, t.record.since_when(), best)
        };
        let Some(waiter) = waiter.filter(|waiter| waiter.priority > priority) else { return };
        let blocked_by = self.lock_raw(&before.sched).priority;
        let took = now.saturating_sub(ready_since.max(waiter.since));
        if blocked_by < waiter.priority && took >= SHORTEST && before.id() != owner.id() {
            let event = Event::new(Kind::Inversion).object(waiter.thread).other(owner.id()).arg(took);
            self.trace(event.text(before.name()));
        }
    }
}

/// The most important thread that waits for a lock.
pub(crate) struct BestWaiter {
    pub thread: u32,
    /// What it would push: capped (S7).
    pub priority: u8,
    /// Machine time since when it waits.
    pub since: u64,
}

impl BestWaiter {
    pub(crate) fn of(thread: u32, priority: u8, since: u64) -> Self {
        Self { thread, priority: priority.min(band::KERNEL_MAX), since }
    }
}
