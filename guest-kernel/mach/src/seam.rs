//! The seam: everything that the kernel asks of its machine.
//!
//! Two machines answer: the guest (instructions, local APIC, page tables, devices on the bus) and the
//! simulator (fibres, a virtual clock, device models called directly). Nothing above this trait knows
//! which one it runs on.
//!
//! # Upcalls
//!
//! The machine calls the kernel in five places, each on the stack that it says:
//!
//! - `Kernel::start_cpu(cpu)`: once a CPU, on that CPU's boot stack, interrupts masked; the boot stack becomes
//!   the CPU's idle thread and the call does not return until the machine is torn down.
//! - `Kernel::thread_entry()`: first activation of a context made by [`Machine::create`], interrupts masked.
//! - `Kernel::interrupt(vector) -> bool`: an interrupt was taken; masked; any stack. True = a better thread is
//!   runnable here and the interrupted code may be preempted.
//! - `Kernel::preempt()`: after `interrupt` answered true, on the interrupted thread's own stack, masked. Returns when
//!   the thread is dispatched again.
//! - `Kernel::command(trace::ring::Command)`: the host asks something, at interrupt level.

use core::fmt;
use trace::{Event, Kind, Subject};

/// A thread's number: never 0, never reused within one kernel's life.
pub type ThreadId = u32;

/// The machine's handle for one thread's stack and registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextId(pub usize);

/// The vector of the CPU's own timer ([`Machine::arm`]).
pub const TIMER_VECTOR: u8 = 0xef;
/// The vector of [`Machine::ipi`]: look at your run queue.
pub const RESCHEDULE_VECTOR: u8 = 0xee;
/// The vector by which the machine forces a preemption: the running thread has used up its quantum.
pub const PREEMPT_VECTOR: u8 = trace::ring::PREEMPT_VECTOR;
/// First vector that the kernel gives to devices.
pub const FIRST_DEVICE_VECTOR: u8 = 0x30;
/// Last vector that the kernel gives to devices.
pub const LAST_DEVICE_VECTOR: u8 = 0xdf;

/// A PCI function's address: segment 0, bus, device, function (PCI 3.0, 3.2.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bdf {
    /// Bus number.
    pub bus: u8,
    /// Device number, 0–31.
    pub device: u8,
    /// Function number, 0–7.
    pub function: u8,
}

impl fmt::Debug for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.device, self.function)
    }
}

/// The width of a register access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Width {
    /// One byte.
    B1 = 1,
    /// Two bytes.
    B2 = 2,
    /// Four bytes.
    B4 = 4,
    /// Eight bytes.
    B8 = 8,
}

/// A place at which the simulator's chooser may do something else. The guest ignores them.
///
/// Trace events ([`Machine::trace`]), register accesses, idling and [`Machine::relax`] are points by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// About to take a spin lock (interrupts still as they were).
    SpinLock,
    /// A spin lock was dropped and interrupts are as before.
    SpinUnlock,
    /// About to take a blocking lock or a gate.
    Lock,
    /// A blocking lock or gate was dropped.
    Unlock,
    /// Interrupts were enabled.
    Unmask,
    /// A thread was made runnable.
    Wake,
}

/// The machine's handle for one user address space. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpaceId(pub u64);

bitflags::bitflags! {
    /// What user code may do with a page.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct UserAccess: u8 {
        /// Read.
        const READ = 1;
        /// Write.
        const WRITE = 2;
        /// Execute.
        const EXECUTE = 4;
    }
}

/// A user thread's general registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct UserRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rsp: u64,
    pub rflags: u64,
}

/// Why user code stopped running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserExit {
    /// A trap (`ud2`). `rip` is that of the instruction after it.
    Trap,
    /// A page fault. `rip` is that of the instruction, which runs again.
    PageFault {
        /// What it wanted to reach.
        address: u64,
        /// It wanted to write.
        write: bool,
        /// It wanted to execute.
        execute: bool,
        /// There is a page, which does not allow it.
        present: bool,
    },
    /// Another exception of the processor.
    Exception {
        /// Its vector.
        vector: u8,
        /// Its error code; 0 where there is none.
        code: u64,
    },
    /// [`Machine::user_recall`].
    Recalled,
}

/// No memory for a stack, a context or a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// What the kernel asks of its processor, and nothing else.
///
/// "Masked" means: this CPU takes no interrupt. All methods may be called in either state unless said otherwise.
pub trait Machine: Send + Sync {
    /// Number of CPUs, 1–8. Constant.
    fn cpu_count(&self) -> usize;
    /// The calling CPU, from 0. Stable only while masked.
    fn cpu(&self) -> usize;
    /// The running thread, as given to the last [`Machine::switch`]; 0 before the first. Stable always.
    fn thread(&self) -> ThreadId;
    /// Names the boot context of this CPU, which is running: `thread` from now on. Masked.
    fn adopt(&self, thread: ThreadId) -> ContextId;

    /// Machine time in nanoseconds; the same on all CPUs, never goes back.
    fn now(&self) -> u64;
    /// Arms this CPU's one timer for an absolute machine time (past = at once), or disarms it. Masked.
    fn arm(&self, deadline: Option<u64>);

    /// Masks interrupts on this CPU and tells whether they were enabled.
    fn mask(&self) -> bool;
    /// Enables interrupts on this CPU. A point.
    fn unmask(&self);
    /// Raises [`RESCHEDULE_VECTOR`] on `cpu`.
    fn ipi(&self, cpu: usize);
    /// Idle thread only; called masked. Enables interrupts and halts in one step; returns, unmasked, after at least one interrupt, or when the
    /// kernel was stopped.
    fn idle(&self);
    /// One turn of a spin loop.
    fn relax(&self);

    /// Makes a context whose first activation calls `Kernel::thread_entry`. Its stack has a guard page.
    fn create(&self, thread: ThreadId) -> Result<ContextId, OutOfMemory>;
    /// Leaves `from` (the running context) for `to`, which belongs to `thread`. Masked. Returns when something switches back to `from`,
    /// maybe on another CPU; on a boot context also when the kernel was stopped.
    fn switch(&self, from: ContextId, to: ContextId, thread: ThreadId);
    /// Frees a context that is not running on any CPU and never will.
    fn destroy(&self, context: ContextId);

    /// Whether there is memory for one more object, stack or buffer: a plan can let it run out. Asked before each allocation that may fail.
    fn has_memory(&self) -> bool {
        true
    }

    /// Bytes that the kernel's heap has handed out. `None`: the kernel has its host's heap, in which nobody can tell whose is what.
    fn heap_in_use(&self) -> Option<u64> {
        None
    }

    /// Whether [`Machine::point`] does anything. The answer never changes: the kernel asks once, and passes no points where they are nothing.
    fn has_points(&self) -> bool {
        true
    }
    /// A place where the chooser may act.
    fn point(&self, point: Point);
    /// A point, and the thread that passes it: [`Machine::thread`], which is stable.
    fn point_of(&self, point: Point) -> ThreadId {
        self.point(point);
        self.thread()
    }
    /// Records an event. The machine fills in time, CPU and thread. A point. Legal everywhere, interrupt level included.
    fn trace(&self, event: Event);
    /// The same for an event that has no text; the time that it was recorded at, as [`Machine::now`] has it.
    fn trace_brief(&self, kind: Kind, subject: Subject, arg: u64) -> u64;
    /// True if somebody reads the trace (a guest without a bench skips the work). The answer never changes: the kernel asks once.
    fn traced(&self) -> bool;
    /// True if somebody wants to hear of the milestones of a run, even if of nothing else. The answer never changes.
    fn marked(&self) -> bool {
        self.traced()
    }
    /// True if somebody outside could look at the kernel's memory, and at the threads that it publishes there. The answer never changes.
    fn publishes(&self) -> bool {
        false
    }
    /// Writes to the console, synchronously (S9).
    fn console(&self, text: &str);
    /// Return addresses of the calling thread's stack, innermost first, into `frames`; the number found. The simulator may answer 0.
    fn backtrace(&self, frames: &mut [u64]) -> usize;
    /// The same of a context that no CPU runs on, and that none comes to meanwhile. The simulator answers 0.
    fn backtrace_of(&self, _context: ContextId, _frames: &mut [u64]) -> usize {
        0
    }
    /// The kernel cannot go on. The machine records it, prints registers and backtrace where it can, and ends the run.
    fn fatal(&self, message: fmt::Arguments<'_>) -> !;
    /// The guest is done: power off. If it returns, the kernel was stopped.
    fn power_off(&self);

    /// Reads PCI configuration space (ECAM; offset 0–4095, aligned). All ones where nothing answers.
    fn config_read(&self, function: Bdf, offset: u16, width: Width) -> u32;
    /// Writes PCI configuration space.
    fn config_write(&self, function: Bdf, offset: u16, width: Width, value: u32);
    /// Reads a device register at a physical address. All ones where nothing answers. Ordered against DMA memory accesses.
    fn reg_read(&self, address: u64, width: Width) -> u64;
    /// Writes a device register at a physical address. Earlier [`Machine::dma_write`]s are visible to the device first.
    fn reg_write(&self, address: u64, width: Width, value: u64);

    /// The physical memory set aside for DMA: (base, bytes). The kernel hands it out.
    fn dma_region(&self) -> (u64, u64);
    /// Reads DMA memory (acquire: sees what the device wrote before what is read here). Aligned 2-, 4- and 8-byte reads are single.
    fn dma_read(&self, address: u64, into: &mut [u8]);
    /// Writes DMA memory (release). Aligned 2-, 4- and 8-byte writes are single.
    fn dma_write(&self, address: u64, from: &[u8]);
    /// The piece of DMA memory at `address` is lent to the device in `slot` (0 = to any), which may reach it from now on. Called before the device knows of
    /// it. A machine that looks where devices read and write wants to know; others need not.
    fn dma_lent(&self, slot: u32, address: u64, bytes: u64) {
        let _ = (slot, address, bytes);
    }
    /// The piece at `address` comes back: no device may reach it any more. Called before it is used for anything else; nothing, if it is not lent.
    fn dma_returned(&self, address: u64) {
        let _ = address;
    }

    /// Address and data of the message-signalled interrupt that raises `vector` on `cpu`.
    fn message(&self, cpu: usize, vector: u8) -> (u64, u32);
    /// Routes a level-triggered, active-low interrupt line (global system interrupt) to `vector` on `cpu`, masked.
    fn line_route(&self, gsi: u32, vector: u8, cpu: usize);
    /// Masks or unmasks a line at the interrupt controller.
    fn line_mask(&self, gsi: u32, masked: bool);

    /// Whether user code runs in a processor's user mode, in an address space of its own. Where it does not, tasks run native programs, and the
    /// calls below are never made. Constant.
    fn has_user_mode(&self) -> bool {
        false
    }
    /// Makes an empty user address space.
    fn space_create(&self) -> Result<SpaceId, OutOfMemory> {
        Err(OutOfMemory)
    }
    /// Frees a space in which no thread runs or will run.
    fn space_destroy(&self, space: SpaceId) {
        let _ = space;
    }
    /// Enters one page, or replaces it: user code sees the page-aligned kernel memory at `frame` (a kernel address) at `address`.
    fn space_enter(
        &self,
        space: SpaceId,
        address: u64,
        frame: u64,
        access: UserAccess,
    ) -> Result<(), OutOfMemory> {
        let _ = (space, address, frame, access);
        Err(OutOfMemory)
    }
    /// Removes `pages` pages from `address` on, and makes every CPU forget them before it returns. What is not there is none.
    fn space_remove(&self, space: SpaceId, address: u64, pages: u64) {
        let _ = (space, address, pages);
    }
    /// Runs user code on the calling thread until it traps, faults, or is asked to come back. Called unmasked, returns unmasked. The
    /// thread may be preempted meanwhile, and come back on another CPU.
    fn user_run(&self, space: SpaceId, registers: &mut UserRegisters) -> UserExit {
        let _ = (space, registers);
        UserExit::Recalled
    }
    /// Makes `thread` leave user code, if it runs any on some CPU or was preempted in it: [`UserExit::Recalled`], at its next chance. May be
    /// called when it does not: then its next [`Machine::user_run`] may end at once, or not.
    fn user_recall(&self, thread: ThreadId) {
        let _ = thread;
    }
}
