//! Who used how much: processor time is charged, priorities follow it (S4), and a thread that never lets go is demoted (S6).
//!
//! There is no timer for the tick. Time is charged when a thread leaves its CPU and when its quantum ends; usage ages by the ticks that have
//! passed whenever somebody looks. Only threads that wait in a run queue need to be looked at: the timer that ends quanta, which
//! goes off on every busy CPU, starts a sweep over them at the first opportunity in each tick. So an idle machine has nothing armed, and a tick is at most a
//! quantum late.

use crate::band;
use crate::kernel::{Kernel, Scheduler};
use crate::policy::{Facts, Load, Policy, QUANTUM, TICK};
use crate::thread::{RunState, Sched, Thread};
use alloc::sync::Arc;
use core::ops::Bound;
use core::sync::atomic::Ordering;
use spin::MutexGuard;

/// S6 up to 10.5: 800 quanta, in ns.
pub const FAIL_SAFE_800_QUANTA: u64 = 800 * QUANTUM;
/// S6 since: one second, in ns. What a kernel starts with.
pub const FAIL_SAFE_MODERN: u64 = 1_000_000_000;

/// A demotion lasts this many times as long as what led to it.
const DEMOTED_FOR: u64 = 2;

/// Threads that a sweep looks at in one interrupt.
const SWEEP_STEP: usize = 128;
/// Pause between two steps of a sweep, ns.
const SWEEP_PAUSE: u64 = 1_000_000;

/// A look at all threads that wait in run queues, once a tick.
#[derive(Default)]
pub(crate) struct Sweep {
    /// The tick that it belongs to.
    tick: u64,
    /// The last thread that was looked at; `None` = the sweep is over.
    at: Option<u32>,
}

impl Sched {
    /// The policy that holds: timeshare while the fail-safe has demoted the thread.
    pub(crate) const fn policy_now(&self) -> Policy {
        if self.demoted_until.is_some() { Policy::Timeshare } else { self.policy }
    }

    /// The base that holds. There are no tasks here whose priority a demoted thread could fall back to: it competes with regular user threads.
    fn base_now(&self) -> u8 {
        if self.demoted_until.is_some() { self.base.min(band::DEFAULT) } else { self.base }
    }

    /// Computes the thread's own priority.
    pub(crate) fn compute_own(&mut self, load: Load, now: u64) {
        let facts = Facts { base: self.base_now(), usage: self.usage.aged(now).nanos(), load };
        self.own = self.policy_now().ask(|rules| rules.priority(&facts));
    }

    /// Charges `ran` ns that ended at `now`. True if that was more than the fail-safe allows.
    fn charge(&mut self, ran: u64, load: impl FnOnce() -> Load, limit: u64, now: u64) -> bool {
        self.computed = self.computed.saturating_add(ran);
        if self.policy_now().ask(|rules| rules.counts_usage()) {
            if load().is_contended() {
                self.usage = self.usage.with(ran, now);
            }
            return false;
        }
        if self.computed < limit {
            return false;
        }
        self.demoted_until = Some(now.saturating_add(limit.saturating_mul(DEMOTED_FOR)));
        self.usage = crate::policy::Usage::default();
        self.demotions += 1;
        true
    }
}

impl Kernel {
    /// S6: how long a thread whose priority does not sink by itself may compute without blocking, in ns; at least one quantum. It is demoted to
    /// timeshare then, with the base of a regular user thread at most, and restored when twice that time has passed: at the next wake-up, end of a quantum or tick.
    pub fn set_fail_safe(&self, nanos: u64) {
        self.fail_safe.store(nanos.max(QUANTUM), Ordering::Relaxed);
    }

    /// Charges `thread`, which `cpu` runs, for its time there up to `now`, and lets its priority follow.
    pub(crate) fn charge(&self, sched: &mut Scheduler, cpu: usize, thread: &Arc<Thread>, now: u64) {
        let is_idle = sched.is_idle(cpu);
        let mut t = self.lock_raw(&thread.sched);
        let ran = t.record.ran(now);
        if is_idle || ran == 0 {
            return;
        }
        let limit = self.fail_safe.load(Ordering::Relaxed);
        if t.charge(ran, || sched.load(), limit, now) {
            drop(t);
            return self.demoted(sched, thread, now);
        }
        self.refresh_held(sched, thread, t, 0, now);
    }

    /// The fail-safe has changed the policy of `thread`, which runs.
    fn demoted(&self, sched: &mut Scheduler, thread: &Arc<Thread>, now: u64) {
        let load = sched.load();
        self.lock_raw(&thread.sched).compute_own(load, now);
        self.settle_priority(sched, thread);
    }

    /// Lets the priority of `thread` follow its usage and the load, to which it adds `itself`, and ends a demotion whose time is up.
    pub(crate) fn refresh(&self, sched: &mut Scheduler, thread: &Arc<Thread>, itself: usize, now: u64) {
        self.refresh_held(sched, thread, self.lock_raw(&thread.sched), itself, now);
    }

    /// [`Kernel::refresh`] by whoever has the thread's book open.
    pub(crate) fn refresh_held(
        &self,
        sched: &mut Scheduler,
        thread: &Arc<Thread>,
        mut t: MutexGuard<'_, Sched>,
        itself: usize,
        now: u64,
    ) {
        if !t.policy_now().ask(|rules| rules.counts_usage()) {
            return;
        }
        let restored = t.demoted_until.is_some_and(|until| until <= now);
        if restored {
            t.demoted_until = None;
            t.computed = 0;
        }
        let load = sched.load();
        t.compute_own(Load { runnable: load.runnable + itself, ..load }, now);
        let priority = t.priority;
        let settled = t.own == priority && t.contended.is_empty();
        drop(t);
        if restored {
            // Its place in the queue may be another one at the same level.
            self.set_priority(sched, thread, priority);
        }
        if !settled {
            self.settle_priority(sched, thread);
        }
    }

    /// Starts a sweep if a tick has begun, and does its next step. Under the timer's interrupt on `cpu`.
    pub(crate) fn tick(&self, sched: &mut Scheduler, cpu: usize, now: u64) {
        sched.cpus[cpu].sweep_at = u64::MAX;
        let tick = now / TICK;
        if tick != sched.sweep.tick {
            sched.sweep = Sweep { tick, at: Some(0) };
        }
        if !sched.load().is_contended() {
            // Nobody waits: nobody need be lifted.
            sched.sweep.at = None;
        }
        for _ in 0..SWEEP_STEP {
            let Some(last) = sched.sweep.at else { return };
            let next = sched.threads.range((Bound::Excluded(last), Bound::Unbounded)).next();
            let next = next.map(|(_, thread)| thread.clone());
            sched.sweep.at = next.as_ref().map(|thread| thread.id());
            if let Some(thread) = next
                && self.lock_raw(&thread.sched).state == RunState::Runnable
            {
                self.refresh(sched, &thread, 0, now);
            }
        }
        sched.cpus[cpu].sweep_at = now.saturating_add(SWEEP_PAUSE);
    }
}
