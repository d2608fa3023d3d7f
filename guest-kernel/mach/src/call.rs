//! Thread calls (S8): functions that run later, on threads of the kernel's own, in groups by priority.

use crate::kernel::{Kernel, KernelRef};
use crate::seam::{OutOfMemory, ThreadId};
use crate::spin_lock::SpinLock;
use crate::thread::Policy;
use crate::wait::{WaitEvent, WaitMode};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::fmt;

/// Threads that serve one group at the most.
const MAX_THREADS: usize = 4;

type Function = dyn Fn(&KernelRef) + Send + Sync;

#[derive(Default)]
struct CallState {
    /// Key in the group's delayed queue.
    delayed: Option<(u64, u64)>,
    pending: bool,
    /// Threads that are inside the function.
    running: u32,
    runner: ThreadId,
}

/// A function that can be entered again and again; at most once pending.
#[derive(Clone)]
pub struct ThreadCall {
    kernel: KernelRef,
    call: Arc<Call>,
}

struct Call {
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
    delayed: BTreeMap<(u64, u64), Arc<Call>>,
    threads: usize,
    idle: usize,
    sequence: u64,
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
        self.queue(|group, state, call| {
            state.pending = true;
            group.pending.push_back(call.clone());
            true
        })
    }

    /// Lets the function run at machine time `deadline`. Replaces an earlier entry; true if there was one.
    pub fn enter_at(&self, deadline: u64) -> bool {
        self.queue(|group, state, call| {
            group.sequence += 1;
            let key = (deadline, group.sequence);
            state.delayed = Some(key);
            group.delayed.insert(key, call.clone());
            group.delayed.keys().next() == Some(&key)
        })
    }

    /// Queues the call anew by `put`, which tells whether a thread must look.
    fn queue(&self, put: impl FnOnce(&mut Group, &mut CallState, &Arc<Call>) -> bool) -> bool {
        self.prepare_if_possible();
        let kernel = &self.kernel;
        let mut groups = kernel.calls.groups.lock(kernel);
        let group = groups.entry(self.call.priority).or_default();
        let mut state = self.call.state.lock(kernel);
        let was = self.call.dequeue(group, &mut state);
        let look = put(group, &mut state, &self.call);
        let work = group.work.filter(|_| look);
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
            self.kernel.log(format_args!("no memory for a thread-call thread of priority {priority}"));
        }
    }

    /// Takes the call out of the queues; whether it was in one. Does not wait for a function that runs.
    pub fn cancel(&self) -> bool {
        let mut groups = self.kernel.calls.groups.lock(&self.kernel);
        let group = groups.entry(self.call.priority).or_default();
        let mut state = self.call.state.lock(&self.kernel);
        self.call.dequeue(group, &mut state)
    }

    /// Like [`ThreadCall::cancel`], and waits until no thread is inside the function. Panics when called from the function itself.
    pub fn cancel_wait(&self) -> bool {
        let kernel = &self.kernel;
        let was = self.cancel();
        loop {
            kernel.assert_wait(self.call.done, WaitMode::Uninterruptible, None);
            let (running, runner) = {
                let state = self.call.state.lock(kernel);
                (state.running, state.runner)
            };
            if running == 0 {
                kernel.clear_own_wait();
                return was;
            }
            assert!(runner != kernel.thread_id(), "cancel_wait from the thread call's own function (S8)");
            kernel.block();
        }
    }
}

impl Call {
    fn dequeue(&self, group: &mut Group, state: &mut CallState) -> bool {
        let mut was = false;
        if let Some(key) = state.delayed.take() {
            group.delayed.remove(&key);
            was = true;
        }
        if core::mem::take(&mut state.pending) {
            group.pending.retain(|call| !core::ptr::eq(&raw const **call, self));
            was = true;
        }
        was
    }

    fn run(self: Arc<Self>, kernel: &KernelRef) {
        (self.function)(kernel);
        let last = {
            let mut state = self.state.lock(kernel);
            state.running -= 1;
            state.running == 0
        };
        if last {
            kernel.wakeup(self.done);
        }
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

/// A thread of a group: runs what is pending, then what is due, else waits for work or the next deadline.
fn serve(kernel: &KernelRef, priority: u8) {
    loop {
        let mut groups = kernel.calls.groups.lock(kernel);
        let Some(group) = groups.get_mut(&priority) else { return };
        let Some(work) = group.work else { return };
        let now = kernel.now();
        if let Some(call) = take_due(kernel, group, now) {
            group.idle -= 1;
            drop(groups);
            call.run(kernel);
            if let Some(group) = kernel.calls.groups.lock(kernel).get_mut(&priority) {
                group.idle += 1;
            }
            continue;
        }
        let next = group.delayed.keys().next().map(|&(time, _)| time);
        // Asserted before the lock is dropped: whoever enters work from now on finds this thread waiting.
        kernel.assert_wait(work, WaitMode::Uninterruptible, next);
        drop(groups);
        kernel.block();
    }
}

fn take_due(kernel: &KernelRef, group: &mut Group, now: u64) -> Option<Arc<Call>> {
    let call = match group.pending.pop_front() {
        Some(call) => call,
        None => match group.delayed.first_entry() {
            Some(entry) if entry.key().0 <= now => entry.remove(),
            _ => return None,
        },
    };
    let mut state = call.state.lock(kernel);
    state.pending = false;
    state.delayed = None;
    state.running += 1;
    state.runner = kernel.thread_id();
    drop(state);
    Some(call)
}
