//! The dispatcher: who runs here next. It takes the first thread of the highest level, in O(1), and switches to it; that is all it
//! decides. It knows no policies: what moves threads between the run queues is the [scheduler](crate::scheduler).
//!
//! A switch has two halves. The first, under the scheduler's lock, decides and writes down who is current. The
//! second saves the old context and enters the new one, with the lock dropped but interrupts masked. A thread that was
//! put back into a run queue can be picked by another CPU between the halves: `on_cpu` tells that its context is not saved
//! yet, and the picker spins until it is. Each CPU picks only among threads released in earlier critical sections, so such waits cannot form a circle.

use crate::kernel::{Kernel, KernelRef, Left, Scheduler};
use crate::run_queue::{End, Rank};
use crate::seam::ContextId;
use crate::thread::{RunState, Thread};
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use trace::{Kind, Subject};

impl Kernel {
    /// Gives way if somebody better waits, or somebody as good and the quantum is used up or the thread `yields`. Kernel code may go on all
    /// the same (S2) unless its quantum is used up or it yields. Called masked, not at interrupt level.
    pub(crate) fn reschedule(&self, yields: bool) {
        let mut sched = self.sched_lock();
        let cpu = self.machine().cpu();
        self.cpus[cpu].reschedule.store(false, Ordering::Relaxed);
        let Some(current) = sched.cpus[cpu].current.clone() else { return };
        let now = self.machine().now();
        let used_up = core::mem::take(&mut sched.cpus[cpu].used_up) || yields;
        let is_idle = sched.is_idle(cpu);
        let best = sched.queues.best();
        if best != Rank::NOBODY && !is_idle {
            self.charge(&mut sched, cpu, &current, now);
        }
        let mine = if is_idle { Rank::NOBODY } else { self.lock_raw(&current.sched).rank() };
        if best == Rank::NOBODY || best < mine || (best == mine && !used_up) {
            sched.cpus[cpu].promised = mine;
            self.cpus[cpu].deferred.store(false, Ordering::Relaxed);
            if sched.cpus[cpu].quantum_end == u64::MAX {
                let quantum = self.lock_raw(&current.sched).take_quantum();
                self.start_quantum(&mut sched, cpu, quantum, now);
            }
            return;
        }
        if !is_idle && !used_up && !self.gives_way(cpu, &current, best) {
            // Promised all the same: when this thread gives way, the best is next.
            sched.cpus[cpu].promised = best;
            return;
        }
        if is_idle {
            self.lock_raw(&current.sched).state = RunState::Waiting;
        } else {
            let left = if used_up { 0 } else { sched.cpus[cpu].quantum_end.saturating_sub(now) };
            self.preempted(&mut sched, &current, left);
        }
        self.switch_away(sched, current);
    }

    /// Puts the running thread back, with `left` ns of its quantum.
    fn preempted(&self, sched: &mut Scheduler, thread: &Arc<Thread>, left: u64) {
        let end = {
            let mut t = self.lock_raw(&thread.sched);
            t.state = RunState::Runnable;
            t.quantum_left = if t.policy_now().ask(|rules| rules.keeps_its_turn()) { left } else { 0 };
            if t.quantum_left > 0 { End::Head } else { End::Tail }
        };
        self.enqueue(sched, thread, end);
    }

    /// Leaves `current`, whose new state has been written down, for the best thread there is. Returns when it runs again.
    pub(crate) fn switch_away(&self, mut sched: crate::masking::SchedGuard<'_>, current: Arc<Thread>) {
        let cpu = self.machine().cpu();
        let now = self.machine().now();
        self.charge(&mut sched, cpu, &current, now);
        let next = match sched.queues.pop() {
            Some(next) => next,
            None => sched.cpus[cpu].idle.clone().expect("every started CPU has an idle thread"),
        };
        let (rank, quantum) = self.dispatched(&mut sched, cpu, &next, &current, now);
        sched.cpus[cpu].current = Some(next.clone());
        sched.cpus[cpu].promised = if sched.is_idle(cpu) { Rank::NOBODY } else { rank };
        self.cpus[cpu].reschedule.store(false, Ordering::Relaxed);
        self.cpus[cpu].deferred.store(false, Ordering::Relaxed);
        self.settle_promises(&mut sched, cpu);
        self.start_quantum(&mut sched, cpu, quantum, now);
        let left = self.offer_preempted(&mut sched, &current);
        if Arc::ptr_eq(&next, &current) {
            return;
        }
        let unmask = sched.release_masked();
        if self.traced() {
            let becomes = match left {
                RunState::Waiting | RunState::Running => 0,
                RunState::Runnable => 1,
                RunState::Dead => 2,
            };
            self.trace_brief(Kind::Dispatch, Subject::of(next.id()).and(current.id()), becomes);
        }
        while next.on_cpu.load(Ordering::Acquire) {
            self.machine().relax();
        }
        next.on_cpu.store(true, Ordering::Relaxed);
        let from = context(&current);
        let to = context(&next);
        let id = next.id();
        let ended = left == RunState::Dead;
        *self.lock_raw(&self.cpus[cpu].leaving) = Some(Left { thread: current, ended });
        drop(next);
        self.machine().switch(from, to, id);
        if self.is_stopped() {
            // An idle thread, on its way out: nobody was left for it.
            return;
        }
        self.finish_switch();
        if unmask {
            self.unmask();
        }
    }

    /// Writes down that `cpu` runs `thread` from `now` on, in place of `before`; its rank, and its quantum in ns.
    fn dispatched(
        &self,
        sched: &mut Scheduler,
        cpu: usize,
        thread: &Thread,
        before: &Thread,
        now: u64,
    ) -> (Rank, u64) {
        let mut t = self.lock_raw(&thread.sched);
        if self.traced() && !t.contended.is_empty() {
            drop(t);
            self.note_inversion(sched, thread, before, now);
            t = self.lock_raw(&thread.sched);
        }
        let moved = core::mem::replace(&mut t.last_cpu, cpu) != cpu;
        if t.state == RunState::Waiting {
            // Only idle threads come from there, not out of a run queue.
            t.record.rested(now);
        }
        if let Some(latency) = t.record.dispatched(now, moved) {
            sched.latencies.add(t.priority, latency);
        }
        t.state = RunState::Running;
        t.place = None;
        thread.tell(&t);
        self.note_ready_time(cpu, thread.id(), &t.record);
        (t.rank(), t.take_quantum())
    }

    /// The tail of a switch, on the stack of the thread that was entered: the one that was left is free now.
    pub(crate) fn finish_switch(&self) {
        let cpu = self.machine().cpu();
        let Some(left) = self.lock_raw(&self.cpus[cpu].leaving).take() else { return };
        // Not `is_dead`: a thread on its way out says that before it wakes its joiners, and may be preempted there.
        if left.ended
            && let Some(context) = left.thread.context.take()
        {
            self.machine().destroy(context);
        }
        left.thread.on_cpu.store(false, Ordering::Release);
    }

    /// The running thread ends.
    pub(crate) fn exit_thread(self: &Arc<Self>) {
        let thread = self.current();
        self.trace_brief(Kind::ThreadEnd, Subject::of(thread.id()), 0);
        self.order.forget(thread.id());
        thread.dead.store(true, Ordering::Release);
        self.wakeup(thread.exit_event);
        self.machine().mask();
        let mut sched = self.sched_lock();
        self.lock_raw(&thread.sched).state = RunState::Dead;
        sched.threads.remove(&thread.id());
        self.unpublish(&mut sched, &thread);
        self.switch_away(sched, thread);
    }

    /// Gives way to threads of the same level.
    pub fn yield_now(self: &KernelRef) {
        let _masked = self.masked();
        if !self.is_stopped() {
            self.reschedule(true);
        }
    }
}

fn context(thread: &Thread) -> ContextId {
    thread.context.get().expect("a thread that runs has a context")
}
