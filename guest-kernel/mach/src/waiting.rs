//! The global wait hash: a thread says what it waits for, then blocks; whoever makes it true wakes it.
//!
//! Saying and blocking are two steps, so that a condition can be tested between them: a wake-up that comes in the gap takes the
//! thread off the hash, and the block returns at once. Nothing is lost.

use crate::kernel::{Due, Kernel, Scheduler, WAIT_BUCKETS, Waiter};
use crate::thread::{Abort, RunState, Thread};
use crate::wait::{WaitEvent, WaitMode, WaitResult};
use alloc::sync::Arc;
use trace::{Kind, Subject};

fn bucket(event: WaitEvent) -> usize {
    (event.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize % WAIT_BUCKETS
}

fn find_waiter(sched: &Scheduler, event: WaitEvent) -> Option<Arc<Thread>> {
    let waiter = sched.waits[bucket(event)].iter().find(|waiter| waiter.event == event);
    waiter.map(|waiter| waiter.thread.clone())
}

impl Kernel {
    /// The running thread waits for `event` from now on, until machine time `deadline` if there is one. Then either [`Kernel::block`] or
    /// [`Kernel::clear_own_wait`]. An interruptible wait of an aborted thread is over at once: `Interrupted` (WL10).
    ///
    /// Asserting a second wait on top of the first is a fatal error.
    pub fn assert_wait(&self, event: WaitEvent, mode: WaitMode, deadline: Option<u64>) -> WaitResult {
        if self.is_stopped() {
            return WaitResult::Waiting;
        }
        let mut sched = self.sched_lock();
        let cpu = self.machine().cpu();
        let Some(thread) = sched.cpus[cpu].current.clone() else { return WaitResult::Restart };
        let mut t = self.lock_raw(&thread.sched);
        if let Some(WaitEvent(other)) = t.wait {
            let (id, event) = (thread.id(), event.0);
            self.machine().fatal(format_args!(
                "thread #{id} asserts a wait for {event:#x} while it waits for {other:#x}"
            ));
        }
        if t.abort.ends(mode) {
            t.result = WaitResult::Interrupted;
            return WaitResult::Interrupted;
        }
        t.wait = Some(event);
        t.mode = mode;
        t.result = WaitResult::Waiting;
        if let Some(time) = deadline {
            sched.sequence += 1;
            let key = (time, sched.sequence);
            t.deadline = Some((cpu, key));
            sched.cpus[cpu].deadlines.insert(key, Due::Wait(thread.clone()));
        }
        drop(t);
        sched.waits[bucket(event)].push_back(Waiter { event, thread });
        if deadline.is_some() {
            self.arm(&mut sched, cpu);
        }
        WaitResult::Waiting
    }

    /// Blocks until the wait that was asserted is over. At once if it is already. Not with interrupts masked.
    pub fn block(&self) -> WaitResult {
        if self.is_stopped() {
            self.machine().relax();
            return WaitResult::Interrupted;
        }
        let sched = self.sched_lock();
        let cpu = self.machine().cpu();
        let Some(thread) = sched.cpus[cpu].current.clone() else { return WaitResult::Restart };
        let mut t = self.lock_raw(&thread.sched);
        if t.wait.is_some() {
            if !sched.was_unmasked() {
                self.blocked_while_masked("blocks");
            }
            t.state = RunState::Waiting;
            drop(t);
            self.switch_away(sched, thread.clone());
            let _masked = self.masked();
            return self.lock_raw(&thread.sched).result;
        }
        t.result
    }

    /// Takes back the running thread's own asserted wait: the condition turned out to be true.
    pub fn clear_own_wait(&self) {
        let mut sched = self.sched_lock();
        let cpu = self.machine().cpu();
        if let Some(thread) = sched.cpus[cpu].current.clone() {
            self.unhash(&mut sched, &thread, WaitResult::Awakened);
        }
    }

    /// Wakes every thread that waits for `event`; how many.
    pub fn wakeup(&self, event: WaitEvent) -> usize {
        let mut sched = self.sched_lock();
        let mut woken = 0;
        while let Some(thread) = find_waiter(&sched, event) {
            self.end_wait(&mut sched, &thread, WaitResult::Awakened);
            woken += 1;
        }
        woken
    }

    /// Wakes the most important thread that waits for `event`, the longest waiting of its level; whether there was one.
    pub fn wakeup_one(&self, event: WaitEvent) -> bool {
        let mut sched = self.sched_lock();
        let Some(thread) = self.best_waiter(&sched, event) else { return false };
        self.end_wait(&mut sched, &thread, WaitResult::Awakened);
        true
    }

    fn best_waiter(&self, sched: &Scheduler, event: WaitEvent) -> Option<Arc<Thread>> {
        let mut best: Option<(u8, &Arc<Thread>)> = None;
        for waiter in sched.waits[bucket(event)].iter().filter(|waiter| waiter.event == event) {
            let priority = self.lock_raw(&waiter.thread.sched).priority;
            if best.is_none_or(|(other, _)| priority > other) {
                best = Some((priority, &waiter.thread));
            }
        }
        best.map(|(_, thread)| thread.clone())
    }

    /// Ends `thread`'s wait, if it waits, with `result`.
    pub(crate) fn end_wait(&self, sched: &mut Scheduler, thread: &Arc<Thread>, result: WaitResult) -> bool {
        if !self.unhash(sched, thread, result) {
            return false;
        }
        self.trace_brief(Kind::Wake, Subject::of(thread.id()), result as u64);
        // One that has not blocked yet, or waits for a lock before it does, finds the result when it gets there.
        let blocked = {
            let t = self.lock_raw(&thread.sched);
            t.state == RunState::Waiting && t.lock.is_none()
        };
        if blocked {
            self.make_runnable(sched, thread);
        }
        true
    }

    fn unhash(&self, sched: &mut Scheduler, thread: &Arc<Thread>, result: WaitResult) -> bool {
        let mut t = self.lock_raw(&thread.sched);
        let Some(event) = t.wait.take() else { return false };
        t.result = result;
        if let Some((cpu, key)) = t.deadline.take() {
            sched.cpus[cpu].deadlines.remove(&key);
        }
        drop(t);
        let queue = &mut sched.waits[bucket(event)];
        if let Some(at) = queue.iter().position(|waiter| Arc::ptr_eq(&waiter.thread, thread)) {
            queue.remove(at);
        }
        true
    }

    /// Ends the wait of one thread with `result`; whether it waited.
    pub fn clear_wait(&self, thread: &Arc<Thread>, result: WaitResult) -> bool {
        let mut sched = self.sched_lock();
        self.end_wait(&mut sched, thread, result)
    }

    fn set_abort(&self, thread: &Arc<Thread>, abort: Abort) {
        let mut sched = self.sched_lock();
        let ends = {
            let mut t = self.lock_raw(&thread.sched);
            t.abort = if abort == Abort::No { abort } else { t.abort.max(abort) };
            t.wait.is_some() && t.abort.ends(t.mode)
        };
        if ends {
            self.end_wait(&mut sched, thread, WaitResult::Interrupted);
        }
    }

    /// The running thread was about to block where nobody could wake it.
    pub(crate) fn blocked_while_masked(&self, what: &str) -> ! {
        let (id, level) = (self.thread_id(), self.at_interrupt(self.machine().cpu()));
        let place = if level { "at interrupt level" } else { "with interrupts masked" };
        self.machine().fatal(format_args!("thread #{id} {what} {place}"))
    }

    /// Sleeps until machine time `deadline`.
    pub fn sleep_until(&self, deadline: u64) {
        while self.now() < deadline && !self.is_stopped() {
            self.assert_wait(self.new_event(), WaitMode::Uninterruptible, Some(deadline));
            self.block();
        }
    }

    /// Sleeps for `nanos`.
    pub fn delay(&self, nanos: u64) {
        self.sleep_until(self.now().saturating_add(nanos));
    }
}

impl Thread {
    /// Ends the thread's interruptible waits, the present one and all later ones, with `Interrupted`, until [`Thread::clear_abort`]: the
    /// thread's task is being killed. A loop that sleeps again without looking at the result spins (WL10).
    pub fn abort(self: &Arc<Self>, kernel: &Kernel) {
        kernel.set_abort(self, Abort::Kill);
    }

    /// Like [`Thread::abort`] for any signal: ends waits of mode [`WaitMode::AbortSafe`] only.
    pub fn abort_safely(self: &Arc<Self>, kernel: &Kernel) {
        kernel.set_abort(self, Abort::Signal);
    }

    /// The abort has been noticed: later waits are as usual.
    pub fn clear_abort(self: &Arc<Self>, kernel: &Kernel) {
        kernel.set_abort(self, Abort::No);
    }
}
