//! The kernel value: all state hangs off it.

use crate::band;
use crate::call::CallGroups;
use crate::dma::DmaMemory;
use crate::interrupt::Interrupts;
use crate::run_queue::RunQueues;
use crate::seam::{Machine, OutOfMemory, ThreadId};
use crate::thread::{Body, Policy, RunState, Thread};
use crate::wait::WaitEvent;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use spin::{Mutex, MutexGuard};
use trace::ring::Command;
use trace::{Event, Kind};

/// Shared handle of a kernel.
pub type KernelRef = Arc<Kernel>;

/// Buckets of the global wait hash.
pub(crate) const WAIT_BUCKETS: usize = 64;

/// What the host's command does in the guest.
pub type CommandHandler = Arc<dyn Fn(&KernelRef, Command) + Send + Sync>;

/// A deadline that is due ends a wait or runs a callout.
pub(crate) enum Due {
    Wait(Arc<Thread>),
}

pub(crate) struct CpuSched {
    pub current: Option<Arc<Thread>>,
    pub idle: Option<Arc<Thread>>,
    pub deadlines: BTreeMap<(u64, u64), Due>,
    pub quantum_end: u64,
    pub armed: Option<u64>,
}

/// Everything under the scheduler's lock.
pub(crate) struct Scheduler {
    pub queues: RunQueues<Arc<Thread>>,
    pub threads: BTreeMap<ThreadId, Arc<Thread>>,
    pub waits: [VecDeque<Arc<Thread>>; WAIT_BUCKETS],
    pub cpus: Vec<CpuSched>,
    pub sequence: u64,
}

/// What a CPU may look at without the scheduler's lock.
pub(crate) struct CpuLocal {
    /// The thread that the last switch on this CPU left; taken by whoever runs next.
    pub leaving: Mutex<Option<Arc<Thread>>>,
    pub reschedule: AtomicBool,
    pub interrupt_depth: AtomicU32,
}

/// The kernel.
pub struct Kernel {
    machine: Arc<dyn Machine>,
    pub(crate) sched: Mutex<Scheduler>,
    pub(crate) cpus: Vec<CpuLocal>,
    next_thread: AtomicU32,
    next_event: AtomicU64,
    first: Mutex<Option<Body>>,
    command: Mutex<Option<CommandHandler>>,
    interrupts: Interrupts,
    pub(crate) calls: CallGroups,
    pub(crate) dma: Mutex<DmaMemory>,
    stopped: AtomicBool,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("cpus", &self.cpus.len()).finish_non_exhaustive()
    }
}

/// The scheduler's lock, held with interrupts masked.
pub(crate) struct SchedGuard<'a> {
    kernel: &'a Kernel,
    guard: Option<MutexGuard<'a, Scheduler>>,
    unmask: bool,
}

impl SchedGuard<'_> {
    /// Drops the lock but leaves interrupts masked; tells whether they were enabled before.
    pub(crate) fn release_masked(mut self) -> bool {
        self.guard = None;
        core::mem::replace(&mut self.unmask, false)
    }
}

impl core::ops::Deref for SchedGuard<'_> {
    type Target = Scheduler;
    fn deref(&self) -> &Scheduler {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl core::ops::DerefMut for SchedGuard<'_> {
    fn deref_mut(&mut self) -> &mut Scheduler {
        self.guard.as_mut().expect("held until it is dropped")
    }
}

impl Drop for SchedGuard<'_> {
    fn drop(&mut self) {
        self.guard = None;
        if self.unmask {
            self.kernel.unmask();
        }
    }
}

impl Kernel {
    /// A kernel on `machine`. Its CPUs start with [`Kernel::start_cpu`].
    pub fn new(machine: Arc<dyn Machine>) -> KernelRef {
        let count = machine.cpu_count();
        let local = || CpuLocal {
            leaving: Mutex::new(None),
            reschedule: AtomicBool::new(false),
            interrupt_depth: AtomicU32::new(0),
        };
        let cpu = || CpuSched {
            current: None,
            idle: None,
            deadlines: BTreeMap::new(),
            quantum_end: 0,
            armed: None,
        };
        let (base, bytes) = machine.dma_region();
        Arc::new(Self {
            machine,
            sched: Mutex::new(Scheduler {
                queues: RunQueues::new(),
                threads: BTreeMap::new(),
                waits: [const { VecDeque::new() }; WAIT_BUCKETS],
                cpus: (0..count).map(|_| cpu()).collect(),
                sequence: 0,
            }),
            cpus: (0..count).map(|_| local()).collect(),
            next_thread: AtomicU32::new(1),
            next_event: AtomicU64::new(1),
            first: Mutex::new(None),
            command: Mutex::new(None),
            interrupts: Interrupts::new(),
            calls: CallGroups::new(),
            dma: Mutex::new(DmaMemory::new(base, bytes)),
            stopped: AtomicBool::new(false),
        })
    }

    /// The machine below.
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
    pub fn thread_id(&self) -> ThreadId {
        self.machine.thread()
    }

    /// A wait event that nobody else uses.
    pub fn new_event(&self) -> WaitEvent {
        WaitEvent(self.next_event.fetch_add(1, Ordering::Relaxed))
    }

    /// Records an event, if somebody reads the trace.
    pub fn trace(&self, event: Event) {
        if self.machine.traced() {
            self.machine.trace(event);
        }
    }

    /// Whether trace events are worth building.
    pub fn traced(&self) -> bool {
        self.machine.traced()
    }

    /// Writes a line to the console (S9: synchronous).
    pub fn log(&self, message: fmt::Arguments<'_>) {
        self.machine.console(&alloc::format!("{message}\n"));
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

    fn spawn_boxed(
        self: &Arc<Self>,
        name: &str,
        priority: u8,
        policy: Policy,
        body: Body,
    ) -> Result<Arc<Thread>, OutOfMemory> {
        let thread = self.new_thread(name, priority.min(127), policy, Some(body));
        let context = self.machine.create(thread.id())?;
        *thread.context.lock() = Some(context);
        self.announce(&thread);
        let mut sched = self.sched_lock();
        sched.threads.insert(thread.id(), thread.clone());
        self.make_runnable(&mut sched, &thread);
        drop(sched);
        Ok(thread)
    }

    fn announce(&self, thread: &Thread) {
        if self.traced() {
            let event = Event::new(Kind::ThreadStart).object(thread.id()).text(thread.name());
            self.trace(event.arg(u64::from(thread.sched.lock().base)));
        }
    }

    fn new_thread(&self, name: &str, priority: u8, policy: Policy, body: Option<Body>) -> Arc<Thread> {
        let id = self.next_thread.fetch_add(1, Ordering::Relaxed);
        Arc::new(Thread::new(id, name, priority, policy, body, self.new_event()))
    }

    /// Masks interrupts until the guard is dropped.
    pub fn masked(&self) -> Masked<'_> {
        Masked { kernel: self, unmask: self.machine.mask() }
    }

    /// Takes a plain spin mutex through the machine's spin loop. Call masked.
    pub(crate) fn lock_raw<'a, T: ?Sized>(&self, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        loop {
            if let Some(guard) = mutex.try_lock() {
                return guard;
            }
            self.machine.relax();
        }
    }

    pub(crate) fn sched_lock(&self) -> SchedGuard<'_> {
        let unmask = self.machine.mask();
        SchedGuard { kernel: self, guard: Some(self.lock_raw(&self.sched)), unmask }
    }

    /// Enables interrupts, and gives way first if a better thread waits for this CPU.
    pub(crate) fn unmask(&self) {
        let cpu = self.machine.cpu();
        if self.cpus[cpu].reschedule.load(Ordering::Relaxed)
            && !self.at_interrupt(cpu)
            && self.machine.thread() != 0
            && !self.stopped.load(Ordering::Relaxed)
        {
            self.reschedule();
        }
        self.machine.unmask();
    }

    fn at_interrupt(&self, cpu: usize) -> bool {
        self.cpus[cpu].interrupt_depth.load(Ordering::Relaxed) != 0
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

    /// Upcall: this CPU starts; its boot context becomes its idle thread. Called masked; does not return before the machine is torn down.
    pub fn start_cpu(self: &Arc<Self>, cpu: usize) {
        let idle = self.new_thread(&alloc::format!("idle{cpu}"), band::IDLE, Policy::Fixed, None);
        *idle.context.lock() = Some(self.machine.adopt(idle.id()));
        idle.on_cpu.store(true, Ordering::Relaxed);
        idle.sched.lock().state = RunState::Running;
        self.announce(&idle);
        let mut sched = self.sched_lock();
        sched.threads.insert(idle.id(), idle.clone());
        sched.cpus[cpu].current = Some(idle.clone());
        sched.cpus[cpu].idle = Some(idle);
        drop(sched);
        let first = if cpu == 0 { self.lock_raw(&self.first).take() } else { None };
        if let Some(body) = first
            && self.spawn_boxed("first", band::KERNEL, Policy::Fixed, body).is_err()
        {
            self.machine.fatal(format_args!("no memory for the first thread"));
        }
        self.idle_loop(cpu);
    }

    fn idle_loop(&self, cpu: usize) {
        while !self.stopped.load(Ordering::Relaxed) {
            self.machine.mask();
            let someone_waits = self.sched_lock().queues.highest().is_some();
            if someone_waits || self.cpus[cpu].reschedule.load(Ordering::Relaxed) {
                self.reschedule();
                self.machine.unmask();
            } else {
                self.machine.idle();
            }
        }
    }

    /// Upcall: first activation of a context. Called masked.
    pub fn thread_entry(self: &Arc<Self>) {
        self.finish_switch();
        let thread = self.current();
        let body = thread.body.lock().take();
        self.machine.unmask();
        if let Some(body) = body {
            body(self);
        }
        drop(thread);
        self.exit_thread();
    }

    /// Upcall: the host's command, at interrupt level.
    pub fn command(self: &Arc<Self>, command: Command) {
        let handler = self.lock_raw(&self.command).clone();
        if let Some(handler) = handler {
            handler(self, command);
        }
    }

    /// Upcall: an interrupt was taken. Called masked. True: [`Kernel::preempt`] is wanted.
    pub fn interrupt(self: &Arc<Self>, vector: u8) -> bool {
        let cpu = self.machine.cpu();
        let local = &self.cpus[cpu];
        local.interrupt_depth.fetch_add(1, Ordering::Relaxed);
        if self.traced() {
            self.trace(Event::new(Kind::Interrupt).arg(u64::from(vector)));
        }
        match vector {
            crate::seam::TIMER_VECTOR => self.timer_interrupt(cpu),
            crate::seam::RESCHEDULE_VECTOR => local.reschedule.store(true, Ordering::Relaxed),
            vector => self.interrupts.deliver(self, vector),
        }
        if self.traced() {
            self.trace(Event::new(Kind::InterruptEnd).arg(u64::from(vector)));
        }
        let depth = local.interrupt_depth.fetch_sub(1, Ordering::Relaxed) - 1;
        depth == 0 && local.reschedule.load(Ordering::Relaxed)
    }

    /// Upcall: give way on the interrupted thread's own stack. Called masked.
    pub fn preempt(&self) {
        self.reschedule();
    }

    /// The run has ended and the machine is about to drop what lies on the threads' stacks: nothing is preempted any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Drops everything that refers back to the kernel. The machine has ended.
    pub fn shutdown(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.interrupts.clear();
        self.calls.clear(self);
        *self.command.lock() = None;
        *self.first.lock() = None;
        for cpu in &self.cpus {
            *cpu.leaving.lock() = None;
        }
        let mut sched = self.sched.lock();
        sched.queues.clear();
        sched.waits.iter_mut().for_each(VecDeque::clear);
        for cpu in &mut sched.cpus {
            cpu.current = None;
            cpu.idle = None;
            cpu.deadlines.clear();
        }
        let threads = core::mem::take(&mut sched.threads);
        drop(sched);
        for thread in threads.values() {
            thread.body.lock().take();
        }
    }

    /// Every thread with its state, priority and what it waits for, a line each: `showallstacks` without the stacks of a machine that has none.
    pub fn show_all_threads(&self) -> String {
        use core::fmt::Write;
        let mut text = String::new();
        let sched = self.sched_lock();
        for thread in sched.threads.values() {
            let t = self.lock_raw(&thread.sched);
            _ = write!(
                text,
                "{thread:?} {:?} priority {} (base {}, {:?})",
                t.state, t.priority, t.base, t.policy
            );
            if let Some(event) = t.wait {
                _ = write!(text, " waits for event {:#x}", event.0);
            }
            if let Some(owner) = t.blocked_on {
                _ = write!(text, ", held by thread #{owner}");
            }
            text.push('\n');
        }
        text
    }
}

/// Interrupts are masked until this is dropped.
pub struct Masked<'a> {
    kernel: &'a Kernel,
    unmask: bool,
}

impl Drop for Masked<'_> {
    fn drop(&mut self) {
        if self.unmask {
            self.kernel.unmask();
        }
    }
}
