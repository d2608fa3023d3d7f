//! The machine's shared state: what processors' threads and the event loop have in common.

use crate::clock::Clock;
use crate::debug::Origin;
use crate::doorbells::Doorbells;
use crate::ending::Ending;
use crate::faults::{Faults, RACE_MARGIN};
use crate::gdb::Debug;
use crate::halt::Halt;
use crate::hold::Hold;
use crate::interrupts::Interrupts;
use crate::lending::Access;
use crate::memory::Memory;
use crate::punctual::Punctual;
use crate::serial::Port;
use crate::trace_queue::TraceQueue;
use crate::wanted::Wanted;
use devices::platform::{Ask, Host, Platform};
use kvm_ioctls::VmFd;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trace::ring::{COMMAND_VECTOR, Command};
use trace::{Event, Kind};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm_sys_util::eventfd::EventFd;

/// The machine.
pub struct Machine {
    /// KVM's handle.
    pub vm: VmFd,
    /// Guest memory.
    pub memory: Memory,
    /// Machine time.
    pub clock: Clock,
    /// Virtual hardware.
    pub platform: Mutex<Platform>,
    /// Interrupts into the guest.
    pub interrupts: Interrupts,
    /// Registers served without an exit.
    pub doorbells: Mutex<Doorbells>,
    /// Events to the sink.
    pub trace: TraceQueue,
    /// The serial port.
    pub serial: Mutex<Port>,
    /// Wakes the event loop: a deadline moved, doorbells changed, or the end has come.
    pub wake: EventFd,
    /// When the platform wants to run, machine ns; `u64::MAX` = never.
    pub deadline: AtomicU64,
    /// Machine time of plan time zero; `u64::MAX` before `boot.ready`.
    pub ready_at: AtomicU64,
    /// What the plan has done to the processors.
    pub faults: Faults,
    /// What its cores tell of where it came from.
    pub origin: Origin,
    /// The number of the processor on which the guest has panicked, by its own account, plus one; 0 = it has not.
    pub panicked: AtomicU32,
    /// Whether the processors may run.
    pub hold: Hold,
    /// Where the machine is to stop.
    pub halt: Halt,
    /// Whether the host kept up with it.
    pub punctual: Punctual,
    /// Break- and watchpoints of a debugger.
    pub debug: Debug,
    /// Counts exits that are a sign of life.
    pub exits: AtomicU64,
    /// The PM1 enable register (ACPI 6.5, 4.8.3.1.2).
    pub pm1_enable: AtomicU16,
    /// The guest has reached the platform: its state is no longer what firmware left.
    pub touched: AtomicBool,
    /// The machine ends at `boot.ready`.
    pub pause_at_ready: AtomicBool,
    /// The guest was told to come to an end.
    pub finishing: AtomicBool,
    /// Somebody steers it: whoever runs the event loop is woken when a device comes or goes.
    pub steered: AtomicBool,
    present: AtomicU32,
    wanted: Mutex<Arc<Wanted>>,
    answers: Mutex<VecDeque<Event>>,
    answering: Mutex<()>,
    stopping: AtomicBool,
    ending: Mutex<Option<Ending>>,
}

/// Locks, whatever became of a thread that held the lock before.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The parts that a machine is put together from.
pub struct Parts {
    /// KVM's handle.
    pub vm: VmFd,
    /// Guest memory.
    pub memory: Memory,
    /// Machine time.
    pub clock: Clock,
    /// Virtual hardware.
    pub platform: Platform,
    /// Interrupts into the guest.
    pub interrupts: Interrupts,
    /// Events to the sink.
    pub trace: TraceQueue,
    /// The serial port.
    pub serial: Port,
    /// Wakes the event loop.
    pub wake: EventFd,
    /// What doorbells ring.
    pub doorbell: EventFd,
    /// What its cores tell of where it came from.
    pub origin: Origin,
}

impl Machine {
    /// Puts the machine together.
    pub fn new(parts: Parts) -> Self {
        let machine = Self {
            vm: parts.vm,
            memory: parts.memory,
            clock: parts.clock,
            platform: Mutex::new(parts.platform),
            interrupts: parts.interrupts,
            doorbells: Mutex::new(Doorbells::new(parts.doorbell)),
            trace: parts.trace,
            serial: Mutex::new(parts.serial),
            wake: parts.wake,
            deadline: AtomicU64::new(u64::MAX),
            ready_at: AtomicU64::new(u64::MAX),
            faults: Faults::default(),
            origin: parts.origin,
            panicked: AtomicU32::new(0),
            hold: Hold::default(),
            halt: Halt::default(),
            punctual: Punctual::default(),
            debug: Debug::default(),
            exits: AtomicU64::new(0),
            pm1_enable: AtomicU16::new(0),
            touched: AtomicBool::new(false),
            pause_at_ready: AtomicBool::new(false),
            finishing: AtomicBool::new(false),
            steered: AtomicBool::new(false),
            present: AtomicU32::new(0),
            wanted: Mutex::new(Arc::new(Wanted::new([0; 32], None))),
            answers: Mutex::new(VecDeque::new()),
            answering: Mutex::new(()),
            stopping: AtomicBool::new(false),
            ending: Mutex::new(None),
        };
        machine.arm();
        machine
    }

    /// The parts again, once the machine has ended: another one can be put together from them.
    pub fn take_apart(self) -> Parts {
        let doorbells = self.doorbells.into_inner().unwrap_or_else(PoisonError::into_inner);
        let doorbell = doorbells.into_event(&self.vm);
        Parts {
            vm: self.vm,
            memory: self.memory,
            clock: self.clock,
            platform: self.platform.into_inner().unwrap_or_else(PoisonError::into_inner),
            interrupts: self.interrupts,
            trace: self.trace,
            serial: self.serial.into_inner().unwrap_or_else(PoisonError::into_inner),
            wake: self.wake,
            doorbell,
            origin: self.origin,
        }
    }

    /// Says which kinds of event the host must hear of at once.
    pub fn arm(&self) {
        let wanted = Arc::new(Wanted::new(lock(&self.platform).armed_kinds(), self.halt.kind()));
        *lock(&self.wanted) = wanted.clone();
        self.trace.with_ring(|ring| ring.arm(&wanted.doorbells()));
    }

    /// Calls the platform, carries out what it asks of the machine, and answers what the guest said before.
    pub fn with_platform<R>(&self, f: impl FnOnce(&mut Platform, &mut dyn Host) -> R) -> R {
        let (result, acted) = self.call_platform(f);
        if acted {
            self.answer();
        }
        result
    }

    /// The call itself; true with its result if the plan acted, so that events may wait for an answer.
    fn call_platform<R>(&self, f: impl FnOnce(&mut Platform, &mut dyn Host) -> R) -> (R, bool) {
        let mut platform = lock(&self.platform);
        let from = self.trace.head();
        let mut world =
            World { machine: self, faults: Vec::new(), watched: from.is_some(), accesses: Vec::new() };
        let result = f(&mut platform, &mut world);
        let deadline = platform.next_deadline().unwrap_or(u64::MAX);
        let generation = platform.doorbell_generation();
        let mut doorbells = lock(&self.doorbells);
        let moved = doorbells.is_stale(generation);
        if moved {
            doorbells.renew(&self.vm, generation, &platform.doorbells());
        }
        drop(doorbells);
        // Published before the next caller has the platform: a deadline that overtook a newer one would lose it for ever.
        let earlier = deadline < self.deadline.swap(deadline, Ordering::AcqRel);
        let devices = self.steered.load(Ordering::Relaxed) && {
            let present = platform.present();
            self.present.swap(present, Ordering::AcqRel) != present
        };
        drop(platform);
        if earlier || moved || devices {
            let _ = self.wake.write(1);
        }
        if let Some(from) = from.filter(|_| !world.accesses.is_empty()) {
            self.trace.went(from, world.accesses);
        }
        self.record(&world.faults);
        (result, !world.faults.is_empty())
    }

    /// What the plan did, or the host, goes into the trace, behind what the guest did before.
    pub fn record(&self, faults: &[Event]) {
        if faults.is_empty() {
            return;
        }
        self.collect();
        faults.iter().for_each(|fault| self.trace.push(*fault));
    }

    /// Takes the guest's events, and acts on those that something waits for. When this returns, all of them have been answered,
    /// by whatever thread: a guest that rang the doorbell goes on only then.
    pub fn drain(&self) {
        self.collect();
        self.answer();
    }

    /// Takes the guest's events. Those that something waits for are put aside for [`Self::answer`].
    fn collect(&self) {
        let wanted = lock(&self.wanted).clone();
        // The lock is held over both, so that events from two threads stay in their order.
        let mut answers = lock(&self.answers);
        answers.extend(self.trace.drain(&wanted, |event| self.look_at(event, &wanted)));
    }

    /// Something waits for an event of this kind; whether it is to be answered.
    #[cold]
    fn look_at(&self, event: &Event, wanted: &Wanted) -> bool {
        if event.kind == Kind::Panic {
            self.panicked_on(Some(event.cpu.into()));
        }
        if self.halt.is_here(event) {
            self.hold.ask();
            let _ = self.wake.write(1);
        }
        wanted.is_of_the_plan(event.kind) || event.kind == Kind::Ready
    }

    /// Acts on events that were put aside. One after the other, not one within the other: acting makes the plan act, which takes
    /// further events, and a guest that says enough could otherwise use up this thread's stack.
    fn answer(&self) {
        let _turn = lock(&self.answering);
        let wanted = lock(&self.wanted).clone();
        while !self.is_stopping() {
            let Some(event) = lock(&self.answers).pop_front() else { break };
            if event.kind == Kind::Ready && self.ready_at.load(Ordering::Acquire) == u64::MAX {
                // The guest's own stamp could be anything: the plan's clock starts now at the latest.
                let zero = event.time.min(self.clock.now());
                self.ready_at.store(zero, Ordering::Release);
                self.call_platform(|platform, _| platform.start_plan(zero));
                let _ = self.wake.write(1);
                if self.pause_at_ready.load(Ordering::Acquire) {
                    self.end(Ending::Stopped);
                }
            }
            if wanted.is_of_the_plan(event.kind) {
                self.call_platform(|platform, host| platform.guest_event(&event, host));
            }
        }
    }

    /// Sends the guest a command.
    pub fn command(&self, command: Command) {
        if command == Command::Finish {
            self.finishing.store(true, Ordering::Relaxed);
        }
        self.trace.with_ring(|ring| ring.command(command));
        self.interrupts.message(&self.vm, devices::platform::layout::LOCAL_APIC, u32::from(COMMAND_VECTOR));
    }

    /// The machine ends now; the first reason stands.
    pub fn end(&self, ending: Ending) {
        lock(&self.ending).get_or_insert(ending);
        self.stopping.store(true, Ordering::Release);
        self.hold.look_again();
        let _ = self.wake.write(1);
    }

    /// The guest says that it has panicked.
    pub fn panicked_on(&self, cpu: Option<u32>) {
        let cpu = cpu.unwrap_or(0).saturating_add(1);
        let _ = self.panicked.compare_exchange(0, cpu, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether it has ended.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Why it ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        lock(&self.ending).clone()
    }
}

/// The machine as the platform sees it during a call.
struct World<'a> {
    machine: &'a Machine,
    faults: Vec<Event>,
    /// The guest may tell which memory devices may reach.
    watched: bool,
    accesses: Vec<Access>,
}

impl Host for World<'_> {
    fn now(&self) -> u64 {
        self.machine.clock.now()
    }

    fn memory(&self) -> &GuestMemoryMmap {
        &self.machine.memory.mmap
    }

    fn message(&mut self, address: u64, data: u32) {
        if !self.machine.interrupts.message(&self.machine.vm, address, data) {
            // A message address that is no local APIC's is memory, or nothing.
            let _ = self.machine.memory.mmap.write_obj(data, GuestAddress(address));
        }
    }

    fn line(&mut self, gsi: u32, asserted: bool) {
        self.machine.interrupts.set_line(gsi, asserted);
    }

    fn dma_done(&mut self, slot: u32, address: u64, bytes: usize) {
        if self.watched {
            self.accesses.push(Access { slot, address, bytes, time: self.machine.clock.now() });
        }
    }

    fn fault(&mut self, slot: u32, word: &'static str) {
        let mut event = Event::new(Kind::Fault).slot(slot).text(word);
        event.time = self.machine.clock.now();
        self.faults.push(event);
    }

    fn ask(&mut self, ask: Ask) {
        self.machine.ask(ask);
    }

    fn race_margin(&self) -> u64 {
        RACE_MARGIN
    }
}
