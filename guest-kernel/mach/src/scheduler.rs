//! The scheduler: moves threads between run queues, says which CPU should look at them (S2), and how long a thread may run (S3).
//!
//! Code is preempted at every place where interrupts are enabled, by whoever is more important; whose kernel code goes on instead,
//! [`crate::preemption`] says (S2).
//!
//! What a thread's priority is, its [`crate::policy`] says; who runs next, the [dispatcher](crate::dispatch) picks.

use crate::kernel::{Kernel, Scheduler};
use crate::policy::{Load, Policy};
use crate::run_queue::{End, Rank};
use crate::thread::{RunState, Sched, Thread};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

impl Scheduler {
    /// Whether `cpu` runs its idle thread.
    pub(crate) fn is_idle(&self, cpu: usize) -> bool {
        let state = &self.cpus[cpu];
        matches!((&state.current, &state.idle), (Some(current), Some(idle)) if Arc::ptr_eq(current, idle))
    }

    /// How many threads compete for how many CPUs.
    pub(crate) fn load(&self) -> Load {
        let started = |&cpu: &usize| self.cpus[cpu].current.is_some();
        let (mut cpus, mut running) = (0, 0);
        for cpu in (0..self.cpus.len()).filter(started) {
            cpus += 1;
            running += usize::from(!self.is_idle(cpu));
        }
        Load { runnable: self.queues.len() + running, cpus }
    }
}

impl Sched {
    /// How important the thread is to the dispatcher.
    pub(crate) fn rank(&self) -> Rank {
        Rank::new(self.priority, self.policy_now().ask(|rules| rules.key()))
    }

    /// The thread's next quantum, in ns: what a preemption left of the last one, or a fresh one.
    pub(crate) fn take_quantum(&mut self) -> u64 {
        match core::mem::take(&mut self.quantum_left) {
            0 => self.policy_now().ask(|rules| rules.quantum()),
            left => left,
        }
    }
}

/// [`Kernel::enqueue`] by whoever has the thread's book open.
fn enqueue_held(sched: &mut Scheduler, thread: &Arc<Thread>, t: &mut Sched, end: End) {
    let key = t.policy_now().ask(|rules| rules.key());
    t.place = Some(sched.queues.insert(t.priority, key, end, thread.clone()));
}

impl Kernel {
    /// Puts a thread, new or one whose wait is over, into its run queue and finds it a CPU.
    pub(crate) fn make_runnable(&self, sched: &mut Scheduler, thread: &Arc<Thread>) {
        let now = self.machine().now();
        let mut t = self.lock_raw(&thread.sched);
        t.woken(now);
        if t.policy_now().ask(|rules| rules.counts_usage()) {
            self.refresh_held(sched, thread, t, 1, now);
            t = self.lock_raw(&thread.sched);
        }
        t.state = RunState::Runnable;
        t.quantum_left = 0;
        thread.tell(&t);
        let (rank, last_cpu) = (t.rank(), t.last_cpu);
        enqueue_held(sched, thread, &mut t, End::Tail);
        drop(t);
        self.offer(sched, rank, last_cpu);
    }

    /// Puts a thread into its run queue: in order of deadlines if it is real time (S5); at the head if it was preempted within its quantum, at
    /// the tail if not (S3).
    pub(crate) fn enqueue(&self, sched: &mut Scheduler, thread: &Arc<Thread>, end: End) {
        enqueue_held(sched, thread, &mut self.lock_raw(&thread.sched), end);
    }

    /// Asks the CPU that runs the least important thread, or was asked to, to give way to a queued one of `rank` if that is better
    /// (S2). Among equals: this CPU if it idles, as it needs no interrupt; else the one that the thread ran on last; else this one.
    pub(crate) fn offer(&self, sched: &mut Scheduler, rank: Rank, last_cpu: usize) {
        let here = self.machine().cpu();
        let worse = sched.cpus.iter().enumerate().filter(|(_, state)| state.promised < rank);
        let least = worse
            .filter(|(_, state)| state.current.is_some())
            .map(|(cpu, state)| {
                let idles_here = cpu == here && state.promised == Rank::NOBODY;
                (state.promised, !idles_here, cpu != last_cpu, cpu != here, cpu)
            })
            .min();
        if let Some((.., cpu)) = least {
            sched.cpus[cpu].promised = rank;
            self.ask(cpu, here);
        }
    }

    /// A thread that this CPU has just left for a better one may be better than what another CPU runs.
    pub(crate) fn offer_preempted(&self, sched: &mut Scheduler, left: &Thread) -> RunState {
        let (state, rank, last_cpu) = {
            let t = self.lock_raw(&left.sched);
            left.tell(&t);
            (t.state, t.rank(), t.last_cpu)
        };
        if state == RunState::Runnable {
            self.offer(sched, rank, last_cpu);
        }
        state
    }

    fn ask(&self, cpu: usize, here: usize) {
        // One that has been asked already will look, and find this too.
        let asked = self.cpus[cpu].reschedule.swap(true, Ordering::Relaxed);
        if cpu != here && !asked {
            self.machine().ipi(cpu);
        }
    }

    /// Sets the priority that holds, and moves the thread, or its CPU's mind, accordingly.
    pub(crate) fn set_priority(&self, sched: &mut Scheduler, thread: &Arc<Thread>, priority: u8) {
        let (state, cpu, place, rank) = {
            let mut t = self.lock_raw(&thread.sched);
            t.priority = priority;
            thread.tell(&t);
            (t.state, t.last_cpu, t.place.take(), t.rank())
        };
        match state {
            RunState::Runnable => {
                drop(place.and_then(|place| sched.queues.remove(place)));
                self.enqueue(sched, thread, End::Tail);
                self.offer(sched, rank, cpu);
            }
            RunState::Running => {
                let best = sched.queues.best();
                sched.cpus[cpu].promised = best.max(rank);
                if best > rank {
                    self.ask(cpu, self.machine().cpu());
                }
            }
            RunState::Waiting | RunState::Dead => {}
        }
    }

    /// Starts a quantum of `length` ns for the thread that `cpu`, this one, runs from `now` on.
    pub(crate) fn start_quantum(&self, sched: &mut Scheduler, cpu: usize, length: u64, now: u64) {
        sched.cpus[cpu].used_up = false;
        sched.cpus[cpu].quantum_end = if sched.is_idle(cpu) { u64::MAX } else { now.saturating_add(length) };
        self.arm(sched, cpu);
    }
}

impl Thread {
    /// Sets the base priority, 0–127. What waiters for the thread's locks push still counts.
    pub fn set_priority(self: &Arc<Self>, kernel: &Kernel, priority: u8) {
        let mut sched = kernel.sched_lock();
        {
            let mut t = kernel.lock_raw(&self.sched);
            t.base = priority.min(127);
            self.tell_policy(&t);
        }
        self.settle_own(kernel, &mut sched);
    }

    /// Changes the policy. What the thread computed under the old one is forgotten, a demotion by the fail-safe (S6) included.
    pub fn set_policy(self: &Arc<Self>, kernel: &Kernel, policy: Policy) {
        let mut sched = kernel.sched_lock();
        let priority = {
            let mut t = kernel.lock_raw(&self.sched);
            t.policy = policy;
            t.demoted_until = None;
            t.computed = 0;
            t.usage = crate::policy::Usage::default();
            self.tell_policy(&t);
            t.priority
        };
        // Its place in the queue may be another one at the same level.
        kernel.set_priority(&mut sched, self, priority);
        self.settle_own(kernel, &mut sched);
    }

    fn settle_own(self: &Arc<Self>, kernel: &Kernel, sched: &mut Scheduler) {
        let (load, now) = (sched.load(), kernel.now());
        kernel.lock_raw(&self.sched).compute_own(load, now);
        kernel.settle_priority(sched, self);
    }
}
