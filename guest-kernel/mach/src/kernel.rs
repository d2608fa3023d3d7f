//! The kernel value: all state hangs off it.

use crate::account::{FAIL_SAFE_MODERN, Sweep};
use crate::call::{Call, CallGroups};
use crate::counts::Counts;
use crate::dma::DmaMemory;
use crate::interrupt::Interrupts;
use crate::ipc::Ipc;
use crate::lock_order::LockOrder;
use crate::log::Log;
use crate::policy::Policy;
use crate::preemption::Rule;
use crate::publish::Places;
use crate::push::{ContendedLocks, LockId};
use crate::run_queue::{Rank, RunQueues};
use crate::seam::{Machine, OutOfMemory, Point, ThreadId};
use crate::spin_lock::SpinLock;
use crate::stats::{Latencies, Record};
use crate::task::{TaskTable, TaskTag};
use crate::thread::{Body, Thread};
use crate::wait::WaitEvent;
use abi::threads::Directory;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use spin::Mutex;
use trace::ring::Command;
use trace::{Event, Kind, Subject};

/// Shared handle of a kernel.
pub type KernelRef = Arc<Kernel>;

/// Buckets of the global wait hash.
pub(crate) const WAIT_BUCKETS: usize = 32;

/// What the reaper of ports waits for; [`Kernel::new_event`] counts up from 1.
const PORT_REAPER: WaitEvent = WaitEvent(1 << 59);

/// What the host's command does in the guest.
pub type CommandHandler = Arc<dyn Fn(&KernelRef, Command) + Send + Sync>;

/// A deadline that is due ends a wait or runs a callout.
pub(crate) enum Due {
    Wait(Arc<Thread>),
    Call(Arc<Call>),
}

/// A thread in the wait hash, and what it waits for.
pub(crate) struct Waiter {
    pub event: WaitEvent,
    pub thread: Arc<Thread>,
}

pub(crate) struct CpuSched {
    pub current: Option<Arc<Thread>>,
    pub idle: Option<Arc<Thread>>,
    pub deadlines: BTreeMap<(u64, u64), Due>,
    /// The rank of what this CPU runs, or was asked to run. No queued thread is more important than any CPU's.
    pub promised: Rank,
    /// Machine time at which the quantum ends; `u64::MAX` on an idle CPU.
    pub quantum_end: u64,
    /// The quantum was used up, and nobody has looked yet.
    pub used_up: bool,
    /// When the next step of a sweep over the run queues is due; `u64::MAX` = none is.
    pub sweep_at: u64,
    /// What the timer is armed for, or something earlier.
    pub armed: Option<u64>,
}

impl CpuSched {
    /// A CPU that has not started.
    const fn new() -> Self {
        Self {
            current: None,
            idle: None,
            deadlines: BTreeMap::new(),
            promised: Rank::NOBODY,
            quantum_end: u64::MAX,
            used_up: false,
            sweep_at: u64::MAX,
            armed: None,
        }
    }
}

/// Everything under the scheduler's lock.
pub(crate) struct Scheduler {
    pub queues: RunQueues<Arc<Thread>>,
    pub threads: BTreeMap<ThreadId, Arc<Thread>>,
    pub waits: Box<[VecDeque<Waiter>; WAIT_BUCKETS]>,
    pub cpus: Vec<CpuSched>,
    pub sequence: u64,
    pub locks: ContendedLocks,
    pub sweep: Sweep,
    pub latencies: Latencies,
    pub places: Places,
}

impl Scheduler {
    /// No threads, and `cpus` CPUs that have not started.
    fn new(cpus: usize) -> Self {
        Self {
            queues: RunQueues::new(),
            threads: BTreeMap::new(),
            waits: Box::new([const { VecDeque::new() }; WAIT_BUCKETS]),
            cpus: (0..cpus).map(|_| CpuSched::new()).collect(),
            sequence: 0,
            locks: ContendedLocks::default(),
            sweep: Sweep::default(),
            latencies: Latencies::default(),
            places: Places::default(),
        }
    }

    fn take_waiters(&mut self) -> Vec<Arc<Thread>> {
        let mut waiters = Vec::new();
        for queue in self.waits.iter_mut().filter(|queue| !queue.is_empty()) {
            waiters.extend(queue.drain(..).map(|waiter| waiter.thread));
        }
        waiters
    }

    /// Takes all threads out, and what waits for a deadline.
    fn take_apart(&mut self) -> Owned {
        Owned {
            _runnable: core::iter::from_fn(|| self.queues.pop()).collect(),
            threads: core::mem::take(&mut self.threads),
            _waiters: self.take_waiters(),
            _cpus: self.cpus.iter_mut().map(|cpu| core::mem::replace(cpu, CpuSched::new())).collect(),
            _locks: core::mem::take(&mut self.locks),
        }
    }
}

/// What a scheduler owned that may refer back to its kernel.
struct Owned {
    _runnable: Vec<Arc<Thread>>,
    threads: BTreeMap<ThreadId, Arc<Thread>>,
    _waiters: Vec<Arc<Thread>>,
    _cpus: Vec<CpuSched>,
    _locks: ContendedLocks,
}

/// The thread that the last switch on a CPU left; taken by whoever runs next.
pub(crate) struct Left {
    pub thread: Arc<Thread>,
    /// Nothing will ever switch back to it.
    pub ended: bool,
}

/// What a CPU may look at without the scheduler's lock.
pub(crate) struct CpuLocal {
    pub leaving: Mutex<Option<Left>>,
    pub reschedule: AtomicBool,
    /// The thread that was dispatched here last, and how long it had been kept waiting for a CPU by then, ns.
    pub dispatched: AtomicU32,
    pub ready_time: AtomicU64,
    /// A more important thread waits until the kernel code that runs here gives way by itself (S2).
    pub deferred: AtomicBool,
    pub interrupt_depth: AtomicU32,
}

/// The kernel.
pub struct Kernel {
    pub(crate) machine: Box<dyn Machine>,
    /// What the machine says of it, once: asked several times in each gated action.
    traced: bool,
    has_points: bool,
    pub(crate) sched: Mutex<Scheduler>,
    pub(crate) cpus: Vec<CpuLocal>,
    next_thread: AtomicU32,
    next_event: AtomicU64,
    pub(crate) first: Mutex<Option<Body>>,
    command: Mutex<Option<CommandHandler>>,
    pub(crate) interrupts: Interrupts,
    pub(crate) calls: CallGroups,
    pub(crate) dma: Mutex<DmaMemory>,
    pub(crate) order: LockOrder,
    pub(crate) log: Log,
    pub(crate) counts: Arc<Counts>,
    pub(crate) ipc: SpinLock<Ipc>,
    pub(crate) tasks: SpinLock<TaskTable>,
    stopped: AtomicBool,
    /// S6, in ns.
    pub(crate) fail_safe: AtomicU64,
    pub(crate) preemption: Rule,
    /// S7 is on.
    pub(crate) push: AtomicBool,
    /// Leads whoever looks from outside to the threads; only on a machine where somebody could.
    pub(crate) directory: Option<Box<Directory>>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("cpus", &self.cpus.len()).finish_non_exhaustive()
    }
}

impl Kernel {
    /// A kernel on `machine`. Its CPUs start with [`Kernel::start_cpu`].
    pub fn new(machine: Box<dyn Machine>) -> KernelRef {
        let count = machine.cpu_count();
        let local = || CpuLocal {
            leaving: Mutex::new(None),
            reschedule: AtomicBool::new(false),
            dispatched: AtomicU32::new(0),
            ready_time: AtomicU64::new(0),
            deferred: AtomicBool::new(false),
            interrupt_depth: AtomicU32::new(0),
        };
        let (base, bytes) = machine.dma_region();
        let counts = Arc::new(Counts::default());
        Arc::new(Self {
            traced: machine.traced(),
            directory: machine.publishes().then(Box::default),
            has_points: machine.has_points(),
            machine,
            sched: Mutex::new(Scheduler::new(count)),
            cpus: (0..count).map(|_| local()).collect(),
            next_thread: AtomicU32::new(1),
            next_event: AtomicU64::new(1),
            first: Mutex::new(None),
            command: Mutex::new(None),
            interrupts: Interrupts::new(),
            calls: CallGroups::new(),
            dma: Mutex::new(DmaMemory::new(base, bytes)),
            order: LockOrder::new(),
            log: Log::new(),
            ipc: SpinLock::new(Ipc::new(counts.clone(), PORT_REAPER)),
            tasks: SpinLock::new(TaskTable::default()),
            counts,
            stopped: AtomicBool::new(false),
            fail_safe: AtomicU64::new(FAIL_SAFE_MODERN),
            preemption: Rule::new(),
            push: AtomicBool::new(true),
        })
    }

    /// The machine below.
    #[inline]
    pub fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    /// Machine time in ns.
    pub fn now(&self) -> u64 {
        self.machine.now()
    }

    /// Interrupt vectors and lines.
    pub fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }

    /// The running thread's number; cheap.
    #[inline]
    pub fn thread_id(&self) -> ThreadId {
        self.machine.thread()
    }

    /// A place where the machine's chooser may act, if it has one.
    #[inline]
    pub fn point(&self, point: Point) {
        if self.has_points {
            self.machine.point(point);
        }
    }

    /// A point, and the thread that passes it.
    #[inline]
    pub(crate) fn point_of(&self, point: Point) -> ThreadId {
        if self.has_points { self.machine.point_of(point) } else { self.machine.thread() }
    }

    /// A wait event that nobody else uses.
    pub fn new_event(&self) -> WaitEvent {
        WaitEvent(self.next_event.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn new_lock(&self) -> LockId {
        LockId(self.next_event.fetch_add(1, Ordering::Relaxed))
    }

    /// Records an event, if somebody reads the trace.
    #[inline]
    pub fn trace(&self, event: Event) {
        if self.traced {
            self.machine.trace(event);
        }
    }

    /// Records an event of `kind` about `subject`, with the number `arg` and no text, if somebody reads the trace: the cheaper way. Machine time at
    /// which it was recorded, ns; 0 if nobody reads.
    #[inline]
    pub fn trace_brief(&self, kind: Kind, subject: Subject, arg: u64) -> u64 {
        if self.traced { self.machine.trace_brief(kind, subject, arg) } else { 0 }
    }

    /// Records a milestone of the run: that it is ready, that it is done. Whoever leads the run needs these even if nobody reads the trace.
    pub fn mark(&self, event: Event) {
        if self.machine.marked() {
            self.machine.trace(event);
        }
    }

    /// Whether trace events are worth building.
    #[inline]
    pub fn traced(&self) -> bool {
        self.traced
    }

    /// Asks for memory for one more `what`, which the machine may refuse by plan.
    ///
    /// # Errors
    /// There is none.
    pub fn allocate(&self, what: &str) -> Result<(), OutOfMemory> {
        if self.machine.has_memory() {
            return Ok(());
        }
        self.trace(Event::new(Kind::NoMemory).text(what));
        Err(OutOfMemory)
    }

    /// One turn of a spin loop.
    pub fn relax(&self) {
        self.machine.relax();
    }

    /// Sets what the host's commands do.
    pub fn set_command_handler(&self, handler: CommandHandler) {
        let _masked = self.masked();
        *self.lock_raw(&self.command) = Some(handler);
    }

    /// Sets the body of the first thread, which CPU 0 runs when it starts.
    pub fn first_thread(&self, body: impl FnOnce(&KernelRef) + Send + 'static) {
        let _masked = self.masked();
        *self.lock_raw(&self.first) = Some(Box::new(body));
    }

    /// Makes a thread and lets it run.
    ///
    /// # Errors
    /// No memory for its stack.
    pub fn spawn(
        self: &Arc<Self>,
        name: &str,
        priority: u8,
        policy: Policy,
        body: impl FnOnce(&KernelRef) + Send + 'static,
    ) -> Result<Arc<Thread>, OutOfMemory> {
        self.spawn_boxed(name, priority, policy, Box::new(body))
    }

    /// [`Kernel::spawn`] of a task's thread.
    pub(crate) fn spawn_in(
        self: &Arc<Self>,
        task: Option<&TaskTag>,
        name: &str,
        priority: u8,
        policy: Policy,
        body: impl FnOnce(&KernelRef) + Send + 'static,
    ) -> Result<Arc<Thread>, OutOfMemory> {
        self.spawn_tagged(task, name, (priority, policy), Box::new(body))
    }

    pub(crate) fn spawn_boxed(
        self: &Arc<Self>,
        name: &str,
        priority: u8,
        policy: Policy,
        body: Body,
    ) -> Result<Arc<Thread>, OutOfMemory> {
        self.spawn_tagged(None, name, (priority, policy), body)
    }

    fn spawn_tagged(
        self: &Arc<Self>,
        task: Option<&TaskTag>,
        name: &str,
        (priority, policy): (u8, Policy),
        body: Body,
    ) -> Result<Arc<Thread>, OutOfMemory> {
        self.allocate("thread")?;
        let mut thread = self.new_thread(name, priority.min(127), policy, Some(body));
        if let Some(thread) = Arc::get_mut(&mut thread) {
            thread.task = task.cloned();
        }
        let context = self.machine.create(thread.id())?;
        thread.context.set(context);
        self.announce(&thread);
        let mut sched = self.sched_lock();
        sched.threads.insert(thread.id(), thread.clone());
        self.publish(&mut sched, &thread);
        // All may be runnable at once: no wake-up has to make room.
        let threads = sched.threads.len();
        sched.queues.reserve(threads);
        self.make_runnable(&mut sched, &thread);
        drop(sched);
        Ok(thread)
    }

    pub(crate) fn announce(&self, thread: &Thread) {
        if self.traced() {
            let event = Event::new(Kind::ThreadStart).object(thread.id()).text(thread.name());
            self.trace(event.arg(u64::from(thread.sched.lock().base)));
        }
    }

    pub(crate) fn new_thread(
        &self,
        name: &str,
        priority: u8,
        policy: Policy,
        body: Option<Body>,
    ) -> Arc<Thread> {
        let id = self.next_thread.fetch_add(1, Ordering::Relaxed);
        let thread = Arc::new(Thread::new(id, name, priority, policy, body, self.new_event()));
        thread.sched.lock().record = Record::since(self.now());
        thread
    }

    /// Whether the caller is at primary interrupt level.
    pub fn in_interrupt(&self) -> bool {
        let _masked = self.masked();
        self.at_interrupt(self.machine.cpu())
    }

    /// The running thread.
    pub fn current(&self) -> Arc<Thread> {
        let sched = self.sched_lock();
        let cpu = self.machine.cpu();
        sched.cpus[cpu].current.clone().expect("a thread runs on every CPU that has started")
    }

    /// Upcall: the host's command, at interrupt level.
    pub fn command(self: &Arc<Self>, command: Command) {
        let handler = self.lock_raw(&self.command).clone();
        if let Some(handler) = handler {
            let depth = &self.cpus[self.machine.cpu()].interrupt_depth;
            depth.fetch_add(1, Ordering::Relaxed);
            handler(self, command);
            depth.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The run has ended and the machine is about to drop what lies on the threads' stacks: nothing is preempted any more. Idle threads,
    /// and a thread that has powered the machine off, return to the machine by themselves once they run again.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether [`Kernel::stop`] was called.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Drops what tasks and ports own, which may refer back to the kernel.
    fn clear_tasks(&self) {
        let tasks = core::mem::take(&mut *self.lock_raw(self.tasks.raw()));
        drop(tasks);
        let orphaned = PORT_REAPER;
        let ipc =
            core::mem::replace(&mut *self.lock_raw(self.ipc.raw()), Ipc::new(self.counts.clone(), orphaned));
        drop(ipc);
    }

    /// Drops everything that refers back to the kernel. The machine has ended.
    pub fn shutdown(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.stop_log();
        self.interrupts.clear();
        self.calls.clear(self);
        self.clear_tasks();
        let command = self.lock_raw(&self.command).take();
        let first = self.lock_raw(&self.first).take();
        let leaving: Vec<_> = self.cpus.iter().map(|cpu| self.lock_raw(&cpu.leaving).take()).collect();
        let owned = self.lock_raw(&self.sched).take_apart();
        for thread in owned.threads.values() {
            drop(self.lock_raw(&thread.body).take());
        }
        // What these own may call the kernel when it is dropped: no lock is held here.
        drop((command, first, leaving, owned));
    }
}
