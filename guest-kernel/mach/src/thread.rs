//! Threads.

use crate::kernel::{Kernel, KernelRef};
use crate::policy::{Policy, Usage};
use crate::preemption::Mode;
use crate::push::LockId;
use crate::run_queue::Place;
use crate::seam::{ContextId, ThreadId};
use crate::stats::Record;
use crate::task::{TaskId, TaskTag};
use crate::wait::{WaitEvent, WaitMode, WaitResult};
use abi::threads::Entry;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use spin::Mutex;

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// On a CPU.
    Running,
    /// In a run queue.
    Runnable,
    /// Blocked.
    Waiting,
    /// Ended.
    Dead,
}

/// Who asked a thread to give up waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Abort {
    /// Nobody.
    No,
    /// A signal: ends waits of mode `AbortSafe`.
    Signal,
    /// The end of the thread's task: ends `Interruptible` waits too.
    Kill,
}

impl Abort {
    /// Whether it ends a wait of `mode`.
    pub(crate) fn ends(self, mode: WaitMode) -> bool {
        match mode {
            WaitMode::Uninterruptible => false,
            WaitMode::Interruptible => self == Self::Kill,
            WaitMode::AbortSafe => self != Self::No,
        }
    }
}

/// What a thread runs.
pub(crate) type Body = Box<dyn FnOnce(&KernelRef) + Send>;

/// A thread's context: set before the thread is known to anybody, taken by whoever has left it for good. A word instead of a lock: it is
/// looked at in every switch.
pub(crate) struct ContextCell(AtomicUsize);

impl ContextCell {
    /// No context.
    const NONE: usize = usize::MAX;

    const fn new() -> Self {
        Self(AtomicUsize::new(Self::NONE))
    }

    pub(crate) fn get(&self) -> Option<ContextId> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&context| context != Self::NONE).map(ContextId)
    }

    pub(crate) fn set(&self, context: ContextId) {
        self.0.store(context.0, Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> Option<ContextId> {
        let context = self.get();
        self.0.store(Self::NONE, Ordering::Relaxed);
        context
    }
}

/// Everything about a thread that only the scheduler's lock may touch.
pub(crate) struct Sched {
    pub state: RunState,
    /// Priority that was asked for.
    pub base: u8,
    /// Priority that the policy makes of it.
    pub own: u8,
    /// Priority that holds: the own one, or what waiters for the thread's locks push.
    pub priority: u8,
    /// Policy that was asked for.
    pub policy: Policy,
    /// While timeshare counts it: what the thread used of the processor (S4).
    pub usage: Usage,
    /// Processor time since it last blocked, in ns (S6).
    pub computed: u64,
    /// Machine time at which a demotion by the fail-safe ends (S6).
    pub demoted_until: Option<u64>,
    pub demotions: u32,
    /// Rest of a quantum that a preemption cut short, in ns; 0 = a fresh one is due.
    pub quantum_left: u64,
    pub wait: Option<WaitEvent>,
    pub mode: WaitMode,
    pub result: WaitResult,
    /// (CPU, key) of the deadline that ends the wait.
    pub deadline: Option<(usize, (u64, u64))>,
    pub abort: Abort,
    /// The lock that the thread waits for. Apart from `wait`: a thread may have to wait for a lock between asserting a wait and blocking.
    pub lock: Option<LockId>,
    /// It waits for that one to share it.
    pub wants_shared: bool,
    /// Locks of the thread for which others wait.
    pub contended: Vec<LockId>,
    pub last_cpu: usize,
    /// Where it is in the run queues.
    pub place: Option<Place>,
    pub record: Record,
    /// Its place in the directory (`crate::publish`).
    pub listed: Option<usize>,
}

/// A kernel thread.
pub struct Thread {
    id: ThreadId,
    name: String,
    pub(crate) context: ContextCell,
    pub(crate) body: Mutex<Option<Body>>,
    pub(crate) sched: Mutex<Sched>,
    /// True from the moment a CPU switches to the thread until it has left it whole.
    pub(crate) on_cpu: AtomicBool,
    pub(crate) dead: AtomicBool,
    pub(crate) exit_event: WaitEvent,
    /// The task that it belongs to; `None`: the kernel.
    pub(crate) task: Option<TaskTag>,
    /// Whether it runs user code: a native program, or the processor's user mode (S2).
    pub(crate) mode: Mode,
    /// What is known of it outside (`crate::publish`).
    pub(crate) told: Entry,
}

impl Thread {
    pub(crate) fn new(
        id: ThreadId,
        name: &str,
        base: u8,
        policy: Policy,
        body: Option<Body>,
        exit: WaitEvent,
    ) -> Self {
        Self {
            id,
            name: name.into(),
            context: ContextCell::new(),
            body: Mutex::new(body),
            sched: Mutex::new(Sched {
                state: RunState::Waiting,
                base,
                own: base,
                priority: base,
                policy,
                usage: Usage::default(),
                computed: 0,
                demoted_until: None,
                demotions: 0,
                quantum_left: 0,
                wait: None,
                mode: WaitMode::Uninterruptible,
                result: WaitResult::Awakened,
                deadline: None,
                abort: Abort::No,
                lock: None,
                wants_shared: false,
                contended: Vec::new(),
                last_cpu: 0,
                place: None,
                record: Record::default(),
                listed: None,
            }),
            on_cpu: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            exit_event: exit,
            task: None,
            mode: Mode::new(),
            told: Entry::default(),
        }
    }

    /// The thread's number.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the task that it belongs to; `None`: it is the kernel's.
    pub fn task(&self) -> Option<TaskId> {
        self.task.as_ref().map(|task| task.id)
    }

    /// Whether it runs user code.
    pub fn is_in_user(&self) -> bool {
        self.mode.is_user()
    }

    /// The priority that holds now, pushes included.
    pub fn priority(&self, kernel: &Kernel) -> u8 {
        let _sched = kernel.sched_lock();
        kernel.lock_raw(&self.sched).priority
    }

    /// Whether it has ended.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Waits until the thread has ended.
    pub fn join(&self, kernel: &KernelRef) {
        while !self.is_dead() {
            kernel.assert_wait(self.exit_event, WaitMode::Uninterruptible, None);
            if self.is_dead() {
                kernel.clear_own_wait();
                return;
            }
            kernel.block();
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_taken_once() {
        let cell = ContextCell::new();
        assert_eq!((cell.get(), cell.take()), (None, None));
        cell.set(ContextId(0));
        assert_eq!(cell.get(), Some(ContextId(0)), "the machine counts from 0");
        assert_eq!((cell.take(), cell.get()), (Some(ContextId(0)), None));
    }
}
