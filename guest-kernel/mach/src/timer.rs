//! The CPUs' timers: deadlines of waits and thread calls, and the ends of quanta.

use crate::kernel::{Due, Kernel, Scheduler};
use crate::wait::WaitResult;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

impl Kernel {
    /// Arms the timer of `cpu`, this one, if its quantum, its next deadline or a sweep comes before what it is armed for. An earlier alarm that
    /// nobody needs any more costs less than arming again: it is looked at and ignored.
    pub(crate) fn arm(&self, sched: &mut Scheduler, cpu: usize) {
        let state = &mut sched.cpus[cpu];
        let deadline = state.deadlines.keys().next().map_or(u64::MAX, |&(time, _)| time);
        let wanted = state.quantum_end.min(deadline).min(state.sweep_at);
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
            self.end_quantum(&mut sched, cpu, now);
        }
        self.tick(&mut sched, cpu, now);
        self.arm(&mut sched, cpu);
        drop(sched);
        for (key, call) in calls {
            call.due(self, key);
        }
    }

    /// The machine takes the rest of its quantum from the thread that runs on `cpu`, this one (S3).
    pub(crate) fn use_up_quantum(&self, cpu: usize) {
        let mut sched = self.sched_lock();
        if !sched.is_idle(cpu) {
            self.end_quantum(&mut sched, cpu, self.machine().now());
        }
    }

    fn end_quantum(&self, sched: &mut Scheduler, cpu: usize, now: u64) {
        // Armed again when the thread goes on or another one starts.
        sched.cpus[cpu].used_up = true;
        sched.cpus[cpu].quantum_end = u64::MAX;
        if let Some(current) = sched.cpus[cpu].current.clone() {
            self.charge(sched, cpu, &current, now);
        }
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
