//! Thread calls (S8): functions that run later, on threads of the kernel's own, in groups by priority.
//!
//! A delayed call sits in the deadline queue of the CPU where it was entered; when it is due, the timer's interrupt hands it to its group's
//! threads. They are made when they are first needed, and more of them while others are busy, up to four a group.
//!
//! Locks are taken in this order: the groups, a call's state, the scheduler.

use crate::kernel::{Due, Kernel, KernelRef};
use crate::policy::Policy;
use crate::seam::{OutOfMemory, ThreadId};
use crate::spin_lock::SpinLock;
use crate::wait::{WaitEvent, WaitMode};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::fmt;

/// Threads that serve one group at the most.
const MAX_THREADS: usize = 4;

type Function = dyn Fn(&KernelRef) + Send + Sync;

/// Where a call is. At most one of the first three; the function may be running besides.
#[derive(Default)]
struct CallState {
    /// CPU and key in its deadline queue.
    delayed: Option<(usize, (u64, u64))>,
    pending: bool,
    /// Entered while it runs: it is pending again when the run ends.
    again: bool,
    /// The thread inside the function; 0 = none.
    runner: ThreadId,
}

/// A function that can be entered again and again. At most once pending, and at most one thread inside it: entered while it runs, it runs
/// again afterwards. An entry keeps the call alive, whatever becomes of the handles.
#[derive(Clone)]
pub struct ThreadCall {
    kernel: KernelRef,
    call: Arc<Call>,
}

pub(crate) struct Call {
    priority: u8,
    function: Arc<Function>,
    state: SpinLock<CallState>,
    done: WaitEvent,
}

impl fmt::Debug for ThreadCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadCall").field("priority", &self.call.priority).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Group {
    pending: VecDeque<Arc<Call>>,
    /// Calls that are pending or delayed.
    outstanding: usize,
    threads: usize,
    idle: usize,
    work: Option<WaitEvent>,
}

/// The groups, by the priority of their threads.
pub(crate) struct CallGroups {
    groups: SpinLock<BTreeMap<u8, Group>>,
}

impl CallGroups {
    pub(crate) fn new() -> Self {
        Self { groups: SpinLock::new(BTreeMap::new()) }
    }

    pub(crate) fn clear(&self, kernel: &Kernel) {
        let groups = core::mem::take(&mut *self.groups.lock(kernel));
        drop(groups);
    }
}

impl ThreadCall {
    /// A call of `function` on a thread of the group of `priority` (see [`crate::band`]).
    pub fn new(
        kernel: &KernelRef,
        priority: u8,
        function: impl Fn(&KernelRef) + Send + Sync + 'static,
    ) -> Self {
        let call = Call {
            priority,
            function: Arc::new(function),
            state: SpinLock::new(CallState::default()),
            done: kernel.new_event(),
        };
        Self { kernel: kernel.clone(), call: Arc::new(call) }
    }

    /// Lets the function run as soon as a thread is free. True if it was pending or delayed already. Legal at interrupt level, where
    /// it counts on the group having a thread ([`ThreadCall::prepare`]).
    pub fn enter(&self) -> bool {
        self.enter_by(None)
    }

    /// Lets the function run at machine time `deadline`. Replaces an earlier entry; true if there was one.
    pub fn enter_at(&self, deadline: u64) -> bool {
        self.enter_by(Some(deadline))
    }

    fn enter_by(&self, deadline: Option<u64>) -> bool {
        self.prepare_if_possible();
        let Self { kernel, call } = self;
        let mut groups = kernel.calls.groups.lock(kernel);
        let group = groups.entry(call.priority).or_default();
        let mut state = call.state.lock(kernel);
        let was = call.dequeue(kernel, group, &mut state);
        group.outstanding += 1;
        let work = match deadline {
            None => call.make_pending(group, &mut state),
            Some(deadline) => {
                state.delayed = Some(kernel.set_deadline(deadline, Due::Call(call.clone())));
                None
            }
        };
        drop(state);
        drop(groups);
        if let Some(work) = work {
            kernel.wakeup_one(work);
        }
        was
    }

    /// Makes sure that the group has a thread. Not at interrupt level.
    ///
    /// # Errors
    /// No memory for it.
    pub fn prepare(&self) -> Result<(), OutOfMemory> {
        add_thread(&self.kernel, self.call.priority)
    }

    fn prepare_if_possible(&self) {
        if !self.kernel.in_interrupt() && self.prepare().is_err() {
            let priority = self.call.priority;
            self.kernel.kprintf(format_args!("no memory for a thread-call thread of priority {priority}"));
        }
    }

    /// Takes the call out of the queues; whether it was in one. Does not wait for a function that runs.
    pub fn cancel(&self) -> bool {
        let mut groups = self.kernel.calls.groups.lock(&self.kernel);
        let group = groups.entry(self.call.priority).or_default();
        let mut state = self.call.state.lock(&self.kernel);
        self.call.dequeue(&self.kernel, group, &mut state)
    }

    /// Like [`ThreadCall::cancel`], and waits until no thread is inside the function. Panics when called from the function itself.
    pub fn cancel_wait(&self) -> bool {
        let kernel = &self.kernel;
        let was = self.cancel();
        loop {
            kernel.assert_wait(self.call.done, WaitMode::Uninterruptible, None);
            let runner = self.call.state.lock(kernel).runner;
            if runner == 0 {
                kernel.clear_own_wait();
                return was;
            }
            assert!(runner != kernel.thread_id(), "cancel_wait from the thread call's own function (S8)");
            kernel.block();
        }
    }
}

impl Call {
    fn dequeue(&self, kernel: &Kernel, group: &mut Group, state: &mut CallState) -> bool {
        let delayed = state.delayed.take();
        if let Some(place) = delayed {
            kernel.clear_deadline(place);
        }
        let pending = core::mem::take(&mut state.pending);
        if pending {
            group.pending.retain(|call| !core::ptr::eq(&raw const **call, self));
        }
        let was = core::mem::take(&mut state.again) || pending || delayed.is_some();
        group.outstanding -= usize::from(was);
        was
    }

    /// The call can run now. The answer is what to wake.
    fn make_pending(self: &Arc<Self>, group: &mut Group, state: &mut CallState) -> Option<WaitEvent> {
        if state.runner != 0 {
            state.again = true;
            return None;
        }
        state.pending = true;
        group.pending.push_back(self.clone());
        group.work
    }

    /// The deadline `key` has come. At interrupt level; the call may have been cancelled or entered anew meanwhile.
    pub(crate) fn due(self: &Arc<Self>, kernel: &Kernel, key: (u64, u64)) {
        let work = {
            let mut groups = kernel.calls.groups.lock(kernel);
            let Some(group) = groups.get_mut(&self.priority) else { return };
            let mut state = self.state.lock(kernel);
            if state.delayed.is_none_or(|(_, other)| other != key) {
                return;
            }
            state.delayed = None;
            self.make_pending(group, &mut state)
        };
        if let Some(work) = work {
            kernel.wakeup_one(work);
        }
    }

    /// A run has ended.
    fn ended(self: &Arc<Self>, kernel: &Kernel) {
        {
            let mut groups = kernel.calls.groups.lock(kernel);
            let mut state = self.state.lock(kernel);
            state.runner = 0;
            if let Some(group) = groups.get_mut(&self.priority) {
                group.idle += 1;
                if core::mem::take(&mut state.again) {
                    // This thread looks for work next: nobody need be woken.
                    self.make_pending(group, &mut state);
                }
            }
        }
        kernel.wakeup(self.done);
    }
}

/// Adds a thread to the group if it has none, or all of them are busy.
fn add_thread(kernel: &KernelRef, priority: u8) -> Result<(), OutOfMemory> {
    {
        let mut groups = kernel.calls.groups.lock(kernel);
        let group = groups.entry(priority).or_default();
        if group.threads > 0 && (group.idle > 0 || group.threads >= MAX_THREADS) {
            return Ok(());
        }
        group.threads += 1;
        group.idle += 1;
        group.work.get_or_insert_with(|| kernel.new_event());
    }
    let spawned = kernel.spawn("thread call", priority, Policy::Fixed, move |kernel| serve(kernel, priority));
    if spawned.is_err()
        && let Some(group) = kernel.calls.groups.lock(kernel).get_mut(&priority)
    {
        group.threads -= 1;
        group.idle -= 1;
    }
    spawned.map(drop)
}

/// A thread of a group: runs what is pending, else waits for work.
fn serve(kernel: &KernelRef, priority: u8) {
    while !kernel.is_stopped() {
        let mut groups = kernel.calls.groups.lock(kernel);
        let Some(group) = groups.get_mut(&priority) else { return };
        let Some(work) = group.work else { return };
        let Some(call) = group.pending.pop_front() else {
            // Asserted before the lock is dropped: whoever enters work from now on finds this thread waiting.
            kernel.assert_wait(work, WaitMode::Uninterruptible, None);
            drop(groups);
            kernel.block();
            continue;
        };
        {
            let mut state = call.state.lock(kernel);
            state.pending = false;
            state.runner = kernel.thread_id();
        }
        group.outstanding -= 1;
        group.idle -= 1;
        let wants_thread = group.outstanding > 0 && group.idle == 0;
        drop(groups);
        if wants_thread {
            // Without memory for one more, calls wait for their turn.
            _ = add_thread(kernel, priority);
        }
        (call.function)(kernel);
        call.ended(kernel);
    }
}
