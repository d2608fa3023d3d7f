//! The seam's answer on a real processor, and the upcalls into the kernel.

use alloc::boxed::Box;
use core::fmt;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use mach::seam::{
    Bdf, ContextId, Machine, OutOfMemory, Point, RESCHEDULE_VECTOR, SpaceId, TIMER_VECTOR, ThreadId,
    UserAccess, UserExit, UserRegisters, Width,
};
use trace::ring::COMMAND_VECTOR;
use trace::{Event, Kind, Lending, Subject};

use super::bench::{Bench, Stamp};
use super::dma::DmaMemory;
use super::leap::{Found, Leap};
use super::pci::{self, ConfigSpace};
use super::time::Timer;
use super::{apic, backtrace, context, cpu, ioapic, memory, panic, percpu, power, serial, space, user};

/// What the machine consists of, once it is up.
#[derive(Debug)]
pub struct Guest {
    /// CPUs that run.
    pub cpus: usize,
    /// Time.
    pub timer: Timer,
    /// PCI configuration space.
    pub config: ConfigSpace,
    /// Memory for DMA.
    pub dma: DmaMemory,
    /// The host's ear.
    pub bench: Option<Bench>,
    /// Idle time is skipped; only in an image of conformance tests.
    pub leap: Option<Leap>,
    /// `trace=console`: events go to the console, where no host listens.
    pub trace_console: bool,
    /// `trace=marks`: the host hears of milestones only. For measuring what the trace costs.
    pub marks_only: bool,
}

/// Set once, before any other CPU enters the kernel.
static GUEST: AtomicPtr<Guest> = AtomicPtr::new(null_mut());
/// Set once, before interrupts are enabled.
static KERNEL: AtomicPtr<mach::KernelRef> = AtomicPtr::new(null_mut());

/// Makes `guest` the machine, for good.
pub fn install(guest: Guest) -> &'static Guest {
    let guest = Box::into_raw(Box::new(guest));
    GUEST.store(guest, Ordering::Release);
    // SAFETY: from a Box that is never freed; from here on it is only read.
    unsafe { &*guest }
}

/// Makes `kernel` the one that the upcalls go to, for good.
pub fn set_kernel(kernel: mach::KernelRef) {
    KERNEL.store(Box::into_raw(Box::new(kernel)), Ordering::Release);
}

fn guest() -> Option<&'static Guest> {
    // SAFETY: null, or from a Box that is never freed.
    unsafe { GUEST.load(Ordering::Acquire).as_ref() }
}

fn kernel() -> Option<&'static mach::KernelRef> {
    // SAFETY: null, or from a Box that is never freed.
    unsafe { KERNEL.load(Ordering::Acquire).as_ref() }
}

/// An interrupt was taken: true = call [`preempt`] on the interrupted thread's stack.
pub fn interrupt(vector: u8) -> bool {
    if vector == apic::SPURIOUS_VECTOR {
        return false;
    }
    if vector == space::LEAVE_VECTOR {
        space::leave_dead();
        apic::end_of_interrupt();
        return false;
    }
    if let Some(guest) = guest() {
        guest.rearm(vector == TIMER_VECTOR);
    }
    // A CPU that still waits to be let in has nothing to tell the kernel.
    let kernel = kernel().filter(|_| percpu::block(percpu::number()).is_entered());
    let better = match (kernel, vector) {
        (None, _) => false,
        (Some(kernel), COMMAND_VECTOR) => {
            if let Some(bench) = guest().and_then(|g| g.bench.as_ref()) {
                kernel.command(bench.command());
                if let Some(kill) = bench.kill() {
                    kernel.command(kill);
                }
            }
            // What the command woke is looked at like what another CPU woke.
            kernel.interrupt(RESCHEDULE_VECTOR)
        }
        (Some(kernel), vector) => kernel.interrupt(vector),
    };
    apic::end_of_interrupt();
    better
}

/// See `Kernel::preempt`.
pub fn preempt() {
    if let Some(kernel) = kernel() {
        kernel.preempt();
    }
}

/// See `Kernel::thread_entry`.
pub fn thread_entry() {
    if let Some(kernel) = kernel() {
        kernel.thread_entry();
    }
}

/// Makes the calling CPU one of the kernel's.
pub fn run_cpu(number: usize) -> ! {
    if let Some(kernel) = kernel() {
        percpu::block(number).enter();
        kernel.start_cpu(number);
    }
    power::off()
}

/// Records an event when all other CPUs are stopped.
pub fn trace_in_panic(event: Event) {
    if let Some((guest, bench)) = guest().and_then(|g| Some((g, g.bench.as_ref()?))) {
        bench.record_in_panic(&event, || guest.stamp());
    }
}

/// Panics while it records an event.
pub fn panic_while_recording() {
    if let Some(bench) = guest().and_then(|guest| guest.bench.as_ref()) {
        bench.record(&Event::new(Kind::Ready), || panic!("while an event is recorded"));
    }
}

/// Shows `write` what waits in the kernel's log, when all other CPUs are stopped.
pub fn log_in_panic(write: impl FnOnce(&str, u64)) {
    if let Some(kernel) = kernel() {
        kernel.log_in_panic(write);
    }
}

fn print(e: &Event) {
    let (kind, text) = (e.kind.word(), e.text_str());
    let (object, other, slot, arg) = (e.object, e.other, e.slot, e.arg);
    crate::kprintln!(
        "{:>12} cpu{} t{} {kind} {object} {other} slot{slot} {arg:#x} {text}",
        e.time,
        e.cpu,
        e.thread
    );
}

impl Guest {
    /// The leaps, in an image that has them: elsewhere this is known when it is compiled, and costs nothing.
    fn leap(&self) -> Option<&Leap> {
        self.leap.as_ref().filter(|_| cfg!(feature = "conformance"))
    }

    /// This CPU does not only spin.
    fn works(&self) {
        if let Some(at) = self.leap().and_then(Leap::works) {
            self.timer.arm(Some(at));
        }
    }

    /// An interrupt was taken: the timer's hardware follows the leaps.
    fn rearm(&self, timer: bool) {
        if let Some(at) = self.leap().and_then(|leap| leap.interrupted(timer)) {
            self.timer.arm(Some(at));
        }
    }

    /// A CPU has nothing to do: time goes on if nobody else makes it.
    fn leapt(&'static self, found: Found) {
        match found {
            Found::Wait => {}
            Found::Leapt(due) => {
                let me = percpu::number();
                for cpu in (0..self.cpus).filter(|cpu| due >> cpu & 1 != 0) {
                    match self.leap().filter(|_| cpu == me) {
                        None => self.ipi(cpu),
                        Some(leap) => _ = leap.moved().map(|at| self.timer.arm(Some(at))),
                    }
                }
            }
            Found::Nothing => {
                panic::fatal(format_args!("every CPU is idle, and no timer is armed: nothing will happen"))
            }
            Found::Stuck => panic::fatal(format_args!(
                "a CPU spins with interrupts masked, and for ever: nothing will happen"
            )),
        }
    }

    #[inline]
    /// Where there is no bench: an event on the console, if it is wanted there. Its time.
    #[cold]
    #[inline(never)]
    fn print_event(&'static self, event: &Event) -> u64 {
        let stamp = self.stamp();
        if self.trace_console {
            print(&stamp.of(event));
        }
        stamp.time
    }

    fn stamp(&'static self) -> Stamp {
        Stamp { time: self.now(), place: percpu::place() }
    }
}

impl Machine for &'static Guest {
    fn cpu_count(&self) -> usize {
        self.cpus
    }

    fn cpu(&self) -> usize {
        percpu::number()
    }

    fn thread(&self) -> ThreadId {
        percpu::thread()
    }

    fn adopt(&self, thread: ThreadId) -> ContextId {
        percpu::set_thread(thread);
        context::adopt(percpu::block(percpu::number()).idle_stack())
    }

    fn now(&self) -> u64 {
        self.timer.now() + self.leap().map_or(0, Leap::skipped)
    }

    fn arm(&self, deadline: Option<u64>) {
        self.timer.arm(self.leap().map_or(deadline, |leap| leap.arm(deadline)));
    }

    fn mask(&self) -> bool {
        let unmasked = cpu::mask();
        // Behind it: what is said of this CPU must not be said of the one on which the thread would go on.
        self.works();
        unmasked
    }

    fn unmask(&self) {
        cpu::unmask();
    }

    fn ipi(&self, cpu: usize) {
        if let Some(leap) = self.leap() {
            leap.sends(cpu);
        }
        apic::send(cpu, RESCHEDULE_VECTOR);
    }

    fn idle(&self) {
        if let Some(leap) = self.leap() {
            self.leapt(leap.idles(self.cpus, || self.now()));
        }
        cpu::unmask_and_halt();
    }

    fn relax(&self) {
        if let Some(leap) = self.leap() {
            self.leapt(match cpu::unmasked() {
                true => leap.spins(self.cpus, || self.now()),
                false => leap.spins_masked(self.timer.now()),
            });
        }
        core::hint::spin_loop();
    }

    fn create(&self, _thread: ThreadId) -> Result<ContextId, OutOfMemory> {
        context::create()
    }

    fn switch(&self, from: ContextId, to: ContextId, thread: ThreadId) {
        context::switch(from, to, thread);
    }

    fn destroy(&self, context: ContextId) {
        context::destroy(context);
    }

    fn has_memory(&self) -> bool {
        self.bench.as_ref().is_none_or(Bench::has_memory)
    }

    fn heap_in_use(&self) -> Option<u64> {
        Some(memory::heap_in_use())
    }

    fn has_points(&self) -> bool {
        false
    }

    fn point(&self, _point: Point) {}

    fn trace(&self, event: Event) {
        match &self.bench {
            Some(bench) => _ = bench.record(&event, || self.stamp()),
            None => _ = self.print_event(&event),
        }
    }

    fn trace_brief(&self, kind: Kind, subject: Subject, arg: u64) -> u64 {
        match &self.bench {
            Some(bench) => bench.record_brief(kind, subject, arg, || self.stamp()),
            None => self.print_event(&subject.event(kind, arg)),
        }
    }

    fn traced(&self) -> bool {
        self.trace_console || self.bench.is_some() && !self.marks_only
    }

    fn marked(&self) -> bool {
        self.trace_console || self.bench.is_some()
    }

    fn publishes(&self) -> bool {
        true
    }

    fn console(&self, text: &str) {
        serial::write(text);
    }

    fn backtrace(&self, frames: &mut [u64]) -> usize {
        backtrace::fill(frames)
    }

    fn backtrace_of(&self, context: ContextId, frames: &mut [u64]) -> usize {
        backtrace::fill_from(context::frame_pointer_of(context), frames)
    }

    fn fatal(&self, message: fmt::Arguments<'_>) -> ! {
        panic::fatal(message)
    }

    fn power_off(&self) {
        power::off()
    }

    fn config_read(&self, function: Bdf, offset: u16, width: Width) -> u32 {
        self.config.read(function, offset, width)
    }

    fn config_write(&self, function: Bdf, offset: u16, width: Width, value: u32) {
        self.config.write(function, offset, width, value);
    }

    fn reg_read(&self, address: u64, width: Width) -> u64 {
        pci::reg_read(address, width)
    }

    fn reg_write(&self, address: u64, width: Width, value: u64) {
        pci::reg_write(address, width, value);
    }

    fn dma_region(&self) -> (u64, u64) {
        (self.dma.0.start, self.dma.0.bytes())
    }

    fn dma_read(&self, address: u64, into: &mut [u8]) {
        self.dma.read(address, into);
    }

    fn dma_write(&self, address: u64, from: &[u8]) {
        self.dma.write(address, from);
    }

    fn dma_lent(&self, slot: u32, address: u64, bytes: u64) {
        if let Some(bench) = &self.bench {
            bench.lend(Lending::Lent { slot, address, bytes });
        }
    }

    fn dma_returned(&self, address: u64) {
        if let Some(bench) = &self.bench {
            bench.lend(Lending::Returned { address });
        }
    }

    fn message(&self, cpu: usize, vector: u8) -> (u64, u32) {
        // Physical destination, fixed delivery, edge (Intel SDM volume 3, 11.11).
        (0xfee0_0000 | u64::from(percpu::apic_id(cpu)) << 12, u32::from(vector))
    }

    fn line_route(&self, gsi: u32, vector: u8, cpu: usize) {
        ioapic::route(gsi, vector, cpu);
    }

    fn line_mask(&self, gsi: u32, masked: bool) {
        ioapic::mask(gsi, masked);
    }

    fn has_user_mode(&self) -> bool {
        true
    }

    fn space_create(&self) -> Result<SpaceId, OutOfMemory> {
        space::create()
    }

    fn space_destroy(&self, space: SpaceId) {
        space::destroy(space);
    }

    fn space_enter(
        &self,
        space: SpaceId,
        address: u64,
        frame: u64,
        access: UserAccess,
    ) -> Result<(), OutOfMemory> {
        space::get(&space).enter(address, frame, access)
    }

    fn space_remove(&self, space: SpaceId, address: u64, pages: u64) {
        space::get(&space).remove(address, pages);
    }

    fn user_run(&self, space: SpaceId, registers: &mut UserRegisters) -> UserExit {
        user::run(space, registers)
    }

    fn user_recall(&self, thread: ThreadId) {
        user::recall(thread);
    }
}
