//! The dispatcher: who runs here next. It only picks; priorities are moved elsewhere.
//!
//! A switch has two halves. The first, under the scheduler's lock, decides and writes down who is current. The
//! second saves the old context and enters the new one, with the lock dropped but interrupts masked. A thread that was
//! put back into a run queue can be picked by another CPU between the halves: `on_cpu` tells that its context is not saved
//! yet, and the picker spins until it is. Each CPU picks only among threads released in earlier critical sections, so such waits cannot form a circle.

use crate::kernel::{Kernel, KernelRef, Scheduler};
use crate::seam::ContextId;
use crate::thread::{RunState, Thread};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use trace::{Event, Kind};

/// Quantum in ns (S3).
pub const QUANTUM: u64 = 10_000_000;

impl Kernel {
    /// Puts a thread into its run queue and sees to it that some CPU looks.
    pub(crate) fn make_runnable(&self, sched: &mut Scheduler, thread: &Arc<Thread>) {
        let priority = {
            let mut t = self.lock_raw(&thread.sched);
            t.state = RunState::Runnable;
            t.priority
        };
        sched.queues.push_back(priority, thread.clone());
        self.ask_for_cpu(sched, priority);
    }

    /// Asks the CPU that runs the least important thread to give way to one of `priority`.
    pub(crate) fn ask_for_cpu(&self, sched: &mut Scheduler, priority: u8) {
        let here = self.machine().cpu();
        let mut worst: Option<(u8, bool, usize)> = None;
        for (cpu, state) in sched.cpus.iter().enumerate() {
            let Some(current) = &state.current else { continue };
            let running = self.lock_raw(&current.sched).priority;
            let asked = self.cpus[cpu].reschedule.load(Ordering::Relaxed);
            // The same priority on this CPU and another: here, which needs no interrupt. One that was asked already comes last.
            let key = (running, asked || cpu != here, cpu);
            if worst.is_none_or(|w| key < w) {
                worst = Some(key);
            }
        }
        let Some((running, _, cpu)) = worst else { return };
        if running < priority {
            self.ask(cpu, here);
        } else if running == priority && cpu == here {
            self.arm(sched, cpu);
        } else if running == priority {
            self.machine().ipi(cpu);
        }
    }

    fn ask(&self, cpu: usize, here: usize) {
        let asked = self.cpus[cpu].reschedule.swap(true, Ordering::Relaxed);
        if cpu != here && !asked {
            self.machine().ipi(cpu);
        }
    }

    /// Gives way if somebody better, or of the same level after a used-up quantum, waits. Called masked, not at interrupt level.
    pub(crate) fn reschedule(&self) {
        let mut sched = self.sched_lock();
        let cpu = self.machine().cpu();
        self.cpus[cpu].reschedule.store(false, Ordering::Relaxed);
        let Some(current) = sched.cpus[cpu].current.clone() else { return };
        let now = self.machine().now();
        let used_up = now >= sched.cpus[cpu].quantum_end;
        let mine = self.lock_raw(&current.sched).priority;
        let is_idle = sched.cpus[cpu].idle.as_ref().is_some_and(|idle| Arc::ptr_eq(idle, &current));
        match sched.queues.highest() {
            Some(level) if level > mine || (level == mine && used_up) || is_idle => {}
            _ => {
                if used_up {
                    sched.cpus[cpu].quantum_end = now + QUANTUM;
                }
                self.arm(&mut sched, cpu);
                return;
            }
        }
        if !is_idle {
            self.lock_raw(&current.sched).state = RunState::Runnable;
            if used_up {
                sched.queues.push_back(mine, current.clone());
            } else {
                sched.queues.push_front(mine, current.clone());
            }
        }
        self.switch_away(sched, current);
    }

    /// Leaves `current`, whose new state has been written down, for the best thread there is. Returns when it runs again.
    pub(crate) fn switch_away(&self, mut sched: crate::kernel::SchedGuard<'_>, current: Arc<Thread>) {
        let cpu = self.machine().cpu();
        let next = match sched.queues.pop() {
            Some(next) => next,
            None => sched.cpus[cpu].idle.clone().expect("every started CPU has an idle thread"),
        };
        {
            let mut t = self.lock_raw(&next.sched);
            t.state = RunState::Running;
            t.last_cpu = cpu;
        }
        sched.cpus[cpu].quantum_end = self.machine().now().saturating_add(QUANTUM);
        self.cpus[cpu].reschedule.store(false, Ordering::Relaxed);
        if Arc::ptr_eq(&next, &current) {
            self.arm(&mut sched, cpu);
            return;
        }
        sched.cpus[cpu].current = Some(next.clone());
        self.arm(&mut sched, cpu);
        let unmask = sched.release_masked();
        if self.traced() {
            self.trace(Event::new(Kind::Dispatch).object(next.id()).other(current.id()));
        }
        while next.on_cpu.load(Ordering::Acquire) {
            self.machine().relax();
        }
        next.on_cpu.store(true, Ordering::Relaxed);
        let from = context(self, &current);
        let to = context(self, &next);
        let id = next.id();
        *self.lock_raw(&self.cpus[cpu].leaving) = Some(current);
        drop(next);
        self.machine().switch(from, to, id);
        self.finish_switch();
        if unmask {
            self.machine().unmask();
        }
    }

    /// The tail of a switch, on the stack of the thread that was entered: the one that was left is free now.
    pub(crate) fn finish_switch(&self) {
        let cpu = self.machine().cpu();
        let Some(left) = self.lock_raw(&self.cpus[cpu].leaving).take() else { return };
        // Not `is_dead`: a thread on its way out says that before it wakes its joiners, and may be preempted there.
        let ended = self.lock_raw(&left.sched).state == RunState::Dead;
        if ended && let Some(context) = self.lock_raw(&left.context).take() {
            self.machine().destroy(context);
        }
        left.on_cpu.store(false, Ordering::Release);
    }

    /// Arms this CPU's timer for its next deadline, or the end of the quantum if somebody of the same level waits.
    pub(crate) fn arm(&self, sched: &mut Scheduler, cpu: usize) {
        let state = &sched.cpus[cpu];
        let level = state.current.as_ref().map_or(0, |t| self.lock_raw(&t.sched).priority);
        let quantum = (level != 0 && sched.queues.holds(level)).then_some(state.quantum_end);
        let first = state.deadlines.keys().next().map(|&(time, _)| time);
        let wanted = match (quantum, first) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        // An earlier alarm that nobody needs any more costs less than arming again: it is looked at and ignored.
        let armed = &mut sched.cpus[cpu].armed;
        let enough = matches!((*armed, wanted), (Some(a), Some(w)) if a <= w) || wanted.is_none();
        if !enough {
            *armed = wanted;
            self.machine().arm(wanted);
        }
    }

    /// This CPU's timer went off.
    pub(crate) fn timer_interrupt(&self, cpu: usize) {
        let mut sched = self.sched_lock();
        sched.cpus[cpu].armed = None;
        let now = self.machine().now();
        while let Some(entry) = sched.cpus[cpu].deadlines.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let crate::kernel::Due::Wait(thread) = entry.remove();
            self.lock_raw(&thread.sched).deadline = None;
            self.end_wait(&mut sched, &thread, crate::wait::WaitResult::TimedOut);
        }
        if now >= sched.cpus[cpu].quantum_end {
            self.cpus[cpu].reschedule.store(true, Ordering::Relaxed);
        }
        self.arm(&mut sched, cpu);
    }

    /// The running thread ends.
    pub(crate) fn exit_thread(self: &Arc<Self>) {
        let thread = self.current();
        self.trace(Event::new(Kind::ThreadEnd).object(thread.id()));
        thread.dead.store(true, Ordering::Release);
        self.wakeup(thread.exit_event);
        self.machine().mask();
        let mut sched = self.sched_lock();
        self.lock_raw(&thread.sched).state = RunState::Dead;
        sched.threads.remove(&thread.id());
        self.switch_away(sched, thread);
    }

    /// Gives way to threads of the same level.
    pub fn yield_now(self: &KernelRef) {
        let _masked = self.masked();
        let mut sched = self.sched_lock();
        let cpu = self.machine().cpu();
        let Some(current) = sched.cpus[cpu].current.clone() else { return };
        let mine = self.lock_raw(&current.sched).priority;
        if sched.queues.highest().is_some_and(|level| level >= mine) {
            self.lock_raw(&current.sched).state = RunState::Runnable;
            sched.queues.push_back(mine, current.clone());
            self.switch_away(sched, current);
        }
    }
}

fn context(kernel: &Kernel, thread: &Thread) -> ContextId {
    let context = *kernel.lock_raw(&thread.context);
    context.expect("a thread that runs has a context")
}
