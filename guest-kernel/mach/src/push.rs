//! Contended locks, and priority push (S7): whoever waits for a lock lends its priority to the lock's owner, along chains, capped at 95.
//!
//! A thread's priority is computed, never remembered: the highest of its own and of all that wait for its locks. So pushes undo themselves
//! in whatever order locks are released.

use crate::band;
use crate::kernel::{Kernel, Scheduler};
use crate::seam::ThreadId;
use crate::thread::{RunState, Thread};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use trace::{Event, Kind};

/// Owners that a search for a circle of locks follows.
const MAX_CHAIN: usize = 256;

/// A blocking lock's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LockId(pub u64);

/// Set in the number of a lock that is handed over in the order of arrival, whatever the waiters' priorities.
const IN_ORDER: u64 = 1 << 63;

impl LockId {
    /// The same lock, handed over in the order of arrival.
    pub(crate) const fn in_order(self) -> Self {
        Self(self.0 | IN_ORDER)
    }

    const fn is_in_order(self) -> bool {
        self.0 & IN_ORDER != 0
    }
}

/// Owner and waiters, in the order in which they came, of a lock that somebody waits for.
pub(crate) struct Contended {
    pub owner: ThreadId,
    waiters: VecDeque<Arc<Thread>>,
}

/// All locks that somebody waits for.
pub(crate) type ContendedLocks = BTreeMap<LockId, Contended>;

/// Who has a lock after its owner let go.
pub(crate) struct Handed {
    pub id: ThreadId,
    /// Whether there are further waiters.
    pub more: bool,
}

impl Kernel {
    /// `thread`, the running one, waits for `lock` of `owner` from now on.
    pub(crate) fn wait_for_lock(
        &self,
        sched: &mut Scheduler,
        thread: &Arc<Thread>,
        lock: LockId,
        owner: &Arc<Thread>,
    ) {
        {
            let mut t = self.lock_raw(&thread.sched);
            t.state = RunState::Waiting;
            t.lock = Some(lock);
        }
        let new = || {
            self.lock_raw(&owner.sched).contended.push(lock);
            Contended { owner: owner.id(), waiters: VecDeque::new() }
        };
        sched.locks.entry(lock).or_insert_with(new).waiters.push_back(thread.clone());
        self.settle_priority(sched, owner);
    }

    /// The owner lets go of `lock`: the most important waiter, the longest waiting of its level, has it now, and runs; of a lock that goes
    /// in order, the longest waiting of all.
    pub(crate) fn hand_over(&self, sched: &mut Scheduler, lock: LockId) -> Option<Handed> {
        let contended = sched.locks.get_mut(&lock)?;
        let next = match lock.is_in_order() {
            true => contended.waiters.pop_front()?,
            false => self.take_best(&mut contended.waiters)?,
        };
        let before = core::mem::replace(&mut contended.owner, next.id());
        let more = !contended.waiters.is_empty();
        if !more {
            sched.locks.remove(&lock);
        }
        let before = sched.threads.get(&before).cloned();
        if let Some(before) = &before {
            self.lock_raw(&before.sched).contended.retain(|&other| other != lock);
            self.settle_priority(sched, before);
        }
        {
            let mut t = self.lock_raw(&next.sched);
            t.lock = None;
            if more {
                t.contended.push(lock);
            }
        }
        self.settle_priority(sched, &next);
        if self.traced() {
            self.trace(Event::new(Kind::Wake).object(next.id()));
        }
        self.make_runnable(sched, &next);
        Some(Handed { id: next.id(), more })
    }

    fn take_best(&self, waiters: &mut VecDeque<Arc<Thread>>) -> Option<Arc<Thread>> {
        let mut best: Option<(usize, u8)> = None;
        for (at, waiter) in waiters.iter().enumerate() {
            let priority = self.lock_raw(&waiter.sched).priority;
            if best.is_none_or(|(_, other)| priority > other) {
                best = Some((at, priority));
            }
        }
        waiters.remove(best?.0)
    }

    /// Computes the priority of `thread`, and of the owners that it waits for in turn as long as something changes.
    pub(crate) fn settle_priority(&self, sched: &mut Scheduler, thread: &Arc<Thread>) {
        let mut thread = thread.clone();
        // Ends: each turn changes a priority, or stops; around a circle of locks priorities only rise, to 95 at the most.
        loop {
            let wanted = self.wanted_priority(sched, &thread);
            if wanted == self.lock_raw(&thread.sched).priority {
                return;
            }
            self.set_priority(sched, &thread, wanted);
            match self.next_in_chain(sched, &thread) {
                Some(owner) => thread = owner,
                None => return,
            }
        }
    }

    fn wanted_priority(&self, sched: &Scheduler, thread: &Thread) -> u8 {
        let t = self.lock_raw(&thread.sched);
        let waiters = t.contended.iter().filter_map(|lock| sched.locks.get(lock)).flat_map(|c| &c.waiters);
        let pushed = waiters.map(|waiter| self.lock_raw(&waiter.sched).priority.min(band::KERNEL_MAX)).max();
        t.own.max(pushed.unwrap_or(0))
    }

    /// The owner of the lock that `thread` waits for.
    pub(crate) fn next_in_chain(&self, sched: &Scheduler, thread: &Thread) -> Option<Arc<Thread>> {
        let lock = self.lock_raw(&thread.sched).lock?;
        sched.threads.get(&sched.locks.get(&lock)?.owner).cloned()
    }

    /// Whether `owner`, for whose lock `thread` is about to wait, waits for `thread` itself: a deadlock.
    pub(crate) fn closes_a_circle(&self, sched: &Scheduler, thread: &Thread, owner: &Arc<Thread>) -> bool {
        let mut owner = owner.clone();
        for _ in 0..MAX_CHAIN {
            if owner.id() == thread.id() {
                return true;
            }
            match self.next_in_chain(sched, &owner) {
                Some(next) => owner = next,
                None => return false,
            }
        }
        false
    }
}
