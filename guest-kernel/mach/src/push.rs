//! Contended locks, and priority push (S7): whoever waits for a lock lends its priority to the lock's owner, along chains, capped at 95.
//!
//! A thread's priority is computed, never remembered: the highest of its own and of all that wait for its locks. So pushes undo themselves
//! in whatever order locks are released.

use crate::band;
use crate::inversion::BestWaiter;
use crate::kernel::{Kernel, Scheduler};
use crate::lock_order::LockClass;
use crate::masking::SchedGuard;
use crate::seam::ThreadId;
use crate::thread::{RunState, Thread};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use trace::{Event, Kind, Subject};

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

/// What a thread waits for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub lock: LockId,
    /// Whether others may have it at the same time.
    pub shared: bool,
    pub class: LockClass,
}

/// Owner (0 = readers) and waiters, in the order in which they came, of a lock that somebody waits for.
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
    /// The running thread waits for the lock, which belongs to thread `owner` (0 = to readers, whom nobody pushes), until it is handed over.
    pub(crate) fn wait_for_lock(&self, mut sched: SchedGuard<'_>, wanted: Wanted, owner: ThreadId) {
        let id = self.thread_id();
        let find = |id| sched.threads.get(&id).cloned();
        let (me, owner_thread) = (find(id), find(owner));
        let Some(me) = me.filter(|_| owner == 0 || owner_thread.is_some()) else {
            self.machine().fatal(format_args!("thread #{owner} ended with a lock that thread #{id} wants"))
        };
        if !sched.was_unmasked() {
            self.blocked_while_masked("waits for a lock");
        }
        let circle = owner_thread.as_ref().is_some_and(|owner| self.closes_a_circle(&sched, &me, owner));
        self.become_waiter(&mut sched, &me, wanted, owner_thread.as_ref());
        if !circle {
            return self.switch_away(sched, me);
        }
        // Masked all the time: this thread is a waiter already, and must not be preempted as if it were not.
        let unmask = sched.release_masked();
        self.report_circle(id, owner);
        self.switch_away(self.sched_lock(), me);
        if unmask {
            self.unmask();
        }
    }

    fn report_circle(&self, me: ThreadId, owner: ThreadId) {
        self.trace(Event::new(Kind::Violation).object(me).other(owner).text("deadlock"));
        let circle = format_args!("thread #{me} waits for a lock of #{owner}, which waits for #{me}");
        self.kprintf(format_args!("deadlock: {circle}"));
        self.kprintf(format_args!("{}", self.show_all_threads()));
    }

    fn become_waiter(
        &self,
        sched: &mut Scheduler,
        thread: &Arc<Thread>,
        wanted: Wanted,
        owner: Option<&Arc<Thread>>,
    ) {
        {
            let mut t = self.lock_raw(&thread.sched);
            t.state = RunState::Waiting;
            t.lock = Some(wanted.lock);
            t.wants_shared = wanted.shared;
        }
        thread.tell_lock(wanted.lock, wanted.class, owner.map_or(0, |owner| owner.id()));
        let new = || {
            if let Some(owner) = owner {
                self.lock_raw(&owner.sched).contended.push(wanted.lock);
            }
            Contended { owner: owner.map_or(0, |owner| owner.id()), waiters: VecDeque::new() }
        };
        sched.locks.entry(wanted.lock).or_insert_with(new).waiters.push_back(thread.clone());
        if let Some(owner) = owner {
            self.settle_priority(sched, owner);
        }
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
        contended.waiters.iter().for_each(|waiter| waiter.tell_owner(next.id()));
        let more = !contended.waiters.is_empty();
        self.lost(sched, lock, before, more);
        if more {
            self.lock_raw(&next.sched).contended.push(lock);
        }
        self.handed(sched, &next);
        Some(Handed { id: next.id(), more })
    }

    /// As [`Kernel::hand_over`] to all who want to share `lock` and are at least as important as the best who does not; how many.
    /// Readers have no owner's duties: nobody pushes them.
    pub(crate) fn hand_over_shared(&self, sched: &mut Scheduler, lock: LockId) -> (u32, bool) {
        let Some(contended) = sched.locks.get_mut(&lock) else { return (0, false) };
        let (mut readers, mut rest) = (VecDeque::new(), VecDeque::new());
        let least = self.best_exclusive(&contended.waiters);
        for waiter in core::mem::take(&mut contended.waiters) {
            let goes = {
                let t = self.lock_raw(&waiter.sched);
                t.wants_shared && t.priority >= least
            };
            if goes { readers.push_back(waiter) } else { rest.push_back(waiter) }
        }
        let (before, more) = (core::mem::take(&mut contended.owner), !rest.is_empty());
        rest.iter().for_each(|waiter| waiter.tell_owner(0));
        contended.waiters = rest;
        self.lost(sched, lock, before, more);
        readers.iter().for_each(|reader| self.handed(sched, reader));
        (readers.len() as u32, more)
    }

    /// Priority of the most important waiter who does not want to share; 0 = there is none.
    fn best_exclusive(&self, waiters: &VecDeque<Arc<Thread>>) -> u8 {
        let exclusive = waiters.iter().filter_map(|waiter| {
            let t = self.lock_raw(&waiter.sched);
            (!t.wants_shared).then_some(t.priority)
        });
        exclusive.max().unwrap_or(0)
    }

    /// Whether the first in turn for `lock` wants to share it.
    pub(crate) fn next_wants_shared(&self, sched: &Scheduler, lock: LockId) -> bool {
        let waiters = sched.locks.get(&lock).map(|contended| &contended.waiters);
        let best = waiters.and_then(|waiters| waiters.get(self.best(waiters)?));
        best.is_some_and(|waiter| self.lock_raw(&waiter.sched).wants_shared)
    }

    /// Thread `before` (0 = nobody) has lost `lock`, and with it what its waiters pushed.
    fn lost(&self, sched: &mut Scheduler, lock: LockId, before: ThreadId, waited_for: bool) {
        if !waited_for {
            sched.locks.remove(&lock);
        }
        if let Some(before) = sched.threads.get(&before).cloned() {
            self.lock_raw(&before.sched).contended.retain(|&other| other != lock);
            self.settle_priority(sched, &before);
        }
    }

    /// The thread has the lock that it waited for, and runs.
    fn handed(&self, sched: &mut Scheduler, thread: &Arc<Thread>) {
        self.lock_raw(&thread.sched).lock = None;
        thread.tell_handed();
        self.settle_priority(sched, thread);
        self.trace_brief(Kind::Wake, Subject::of(thread.id()), 0);
        self.make_runnable(sched, thread);
    }

    fn take_best(&self, waiters: &mut VecDeque<Arc<Thread>>) -> Option<Arc<Thread>> {
        waiters.remove(self.best(waiters)?)
    }

    /// Where the most important waiter is, the longest waiting of its level.
    fn best(&self, waiters: &VecDeque<Arc<Thread>>) -> Option<usize> {
        let mut best: Option<(usize, u8)> = None;
        for (at, waiter) in waiters.iter().enumerate() {
            let priority = self.lock_raw(&waiter.sched).priority;
            if best.is_none_or(|(_, other)| priority > other) {
                best = Some((at, priority));
            }
        }
        best.map(|(at, _)| at)
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

    /// The most important waiter of a lock.
    pub(crate) fn best_for_lock(&self, lock: &Contended) -> Option<BestWaiter> {
        let waiter = lock.waiters.get(self.best(&lock.waiters)?)?;
        let t = self.lock_raw(&waiter.sched);
        Some(BestWaiter::of(waiter.id(), t.priority, t.record.since_when()))
    }

    fn wanted_priority(&self, sched: &Scheduler, thread: &Thread) -> u8 {
        let t = self.lock_raw(&thread.sched);
        if !self.push.load(Ordering::Relaxed) {
            return t.own;
        }
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
