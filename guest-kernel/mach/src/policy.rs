//! Scheduler policy: which CPU gives way (S2), how long a thread runs (S3), where it queues (S3, S5), and when the timers go off.

use crate::kernel::{Due, Kernel, Scheduler};
use crate::thread::{Policy, RunState, Thread};
use crate::wait::WaitResult;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

/// Quantum in ns (S3).
pub const QUANTUM: u64 = 10_000_000;

impl Scheduler {
    /// 1 + the priority of the best queued thread; 0 = nobody.
    pub(crate) fn best_queued(&self) -> u8 {
        self.queues.highest().map_or(0, |level| level + 1)
    }

    /// Whether `cpu` runs its idle thread.
    pub(crate) fn is_idle(&self, cpu: usize) -> bool {
        let state = &self.cpus[cpu];
        matches!((&state.current, &state.idle), (Some(current), Some(idle)) if Arc::ptr_eq(current, idle))
    }
}

impl Kernel {
    /// Puts a thread into its run queue and finds it a CPU.
    pub(crate) fn make_runnable(&self, sched: &mut Scheduler, thread: &Arc<Thread>) {
        let priority = {
            let mut t = self.lock_raw(&thread.sched);
            t.state = RunState::Runnable;
            t.quantum_left = 0;
            t.priority
        };
        self.enqueue(sched, thread, false);
        self.offer(sched, priority);
    }

    /// Puts a thread into its run queue: in order of deadlines if it is real time (S5); else at the head if it was preempted within its
    /// quantum, at the tail if not (S3).
    pub(crate) fn enqueue(&self, sched: &mut Scheduler, thread: &Arc<Thread>, to_head: bool) {
        let (level, policy) = {
            let t = self.lock_raw(&thread.sched);
            (t.priority, t.policy)
        };
        match policy {
            Policy::RealTime { deadline } => sched.queues.insert(level, thread.clone(), |other| {
                !matches!(self.lock_raw(&other.sched).policy, Policy::RealTime { deadline: d } if d <= deadline)
            }),
            _ if to_head => sched.queues.push_front(level, thread.clone()),
            _ => sched.queues.push_back(level, thread.clone()),
        }
    }

    /// Asks the CPU that runs the least important thread, or was asked to, to give way to a queued thread of `priority` if that is better
    /// (S2). At equal priorities this CPU, which needs no interrupt.
    pub(crate) fn offer(&self, sched: &mut Scheduler, priority: u8) {
        let here = self.machine().cpu();
        let started = sched.cpus.iter().enumerate().filter(|(_, state)| state.current.is_some());
        let Some((promised, _, cpu)) = started.map(|(cpu, state)| (state.promised, cpu != here, cpu)).min()
        else {
            return;
        };
        if promised < priority + 1 {
            sched.cpus[cpu].promised = priority + 1;
            self.ask(cpu, here);
        }
    }

    /// A thread that this CPU has just left for a better one may be better than what another CPU runs.
    pub(crate) fn offer_preempted(&self, sched: &mut Scheduler, left: &Thread) {
        let (state, priority) = {
            let t = self.lock_raw(&left.sched);
            (t.state, t.priority)
        };
        if state == RunState::Runnable {
            self.offer(sched, priority);
        }
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
        let (before, state, cpu) = {
            let mut t = self.lock_raw(&thread.sched);
            (core::mem::replace(&mut t.priority, priority), t.state, t.last_cpu)
        };
        match state {
            RunState::Runnable => {
                sched.queues.remove(before, |other| Arc::ptr_eq(other, thread));
                self.enqueue(sched, thread, false);
                self.offer(sched, priority);
            }
            RunState::Running => {
                let best = sched.best_queued();
                sched.cpus[cpu].promised = best.max(priority + 1);
                if best > priority + 1 {
                    self.ask(cpu, self.machine().cpu());
                }
            }
            RunState::Waiting | RunState::Dead => {}
        }
    }

    /// Starts the quantum of `thread`, which `cpu`, this one, runs now: what a preemption left of the last one, or a fresh one.
    pub(crate) fn start_quantum(&self, sched: &mut Scheduler, cpu: usize, thread: &Thread) {
        let length = match core::mem::take(&mut self.lock_raw(&thread.sched).quantum_left) {
            0 => QUANTUM,
            left => left,
        };
        let end = self.machine().now().saturating_add(length);
        sched.cpus[cpu].used_up = false;
        sched.cpus[cpu].quantum_end = if sched.is_idle(cpu) { u64::MAX } else { end };
        self.arm(sched, cpu);
    }

    /// Arms the timer of `cpu`, this one, if its quantum or its next deadline comes before what it is armed for. An earlier alarm that nobody
    /// needs any more costs less than arming again: it is looked at and ignored.
    pub(crate) fn arm(&self, sched: &mut Scheduler, cpu: usize) {
        let state = &mut sched.cpus[cpu];
        let deadline = state.deadlines.keys().next().map_or(u64::MAX, |&(time, _)| time);
        let wanted = state.quantum_end.min(deadline);
        if wanted < state.armed.unwrap_or(u64::MAX) {
            state.armed = Some(wanted);
            self.machine().arm(Some(wanted));
        }
    }

    /// The timer of `cpu`, this one, went off.
    pub(crate) fn timer_interrupt(&self, cpu: usize) {
        let mut calls = Vec::new();
        let mut sched = self.sched_lock();
        sched.cpus[cpu].armed = None;
        let now = self.machine().now();
        while let Some(entry) = sched.cpus[cpu].deadlines.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let key = *entry.key();
            match entry.remove() {
                Due::Wait(thread) => {
                    self.lock_raw(&thread.sched).deadline = None;
                    self.end_wait(&mut sched, &thread, WaitResult::TimedOut);
                }
                Due::Call(call) => calls.push((key, call)),
            }
        }
        if now >= sched.cpus[cpu].quantum_end {
            // Armed again when the thread goes on or another one starts.
            sched.cpus[cpu].used_up = true;
            sched.cpus[cpu].quantum_end = u64::MAX;
            self.cpus[cpu].reschedule.store(true, Ordering::Relaxed);
        }
        self.arm(&mut sched, cpu);
        drop(sched);
        for (key, call) in calls {
            call.due(self, key);
        }
    }

    /// The machine takes the rest of its quantum from the thread that runs on `cpu`, this one (S3).
    pub(crate) fn use_up_quantum(&self, cpu: usize) {
        let mut sched = self.sched_lock();
        if sched.is_idle(cpu) {
            return;
        }
        // Armed again when the thread goes on or another one starts.
        sched.cpus[cpu].used_up = true;
        sched.cpus[cpu].quantum_end = u64::MAX;
        drop(sched);
        self.cpus[cpu].reschedule.store(true, Ordering::Relaxed);
    }

    /// Puts `due` into this CPU's deadline queue; where it is.
    pub(crate) fn set_deadline(&self, time: u64, due: Due) -> (usize, (u64, u64)) {
        let mut sched = self.sched_lock();
        let cpu = self.machine().cpu();
        sched.sequence += 1;
        let key = (time, sched.sequence);
        sched.cpus[cpu].deadlines.insert(key, due);
        self.arm(&mut sched, cpu);
        (cpu, key)
    }

    /// Takes a deadline out again, if it has not come yet.
    pub(crate) fn clear_deadline(&self, (cpu, key): (usize, (u64, u64))) {
        let removed = self.sched_lock().cpus[cpu].deadlines.remove(&key);
        // What it refers to may be dropped with it: not under the lock.
        drop(removed);
    }
}
