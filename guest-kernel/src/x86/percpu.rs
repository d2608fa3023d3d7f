//! What each CPU has of its own; GS leads to it.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use guest_kernel::acpi::MAX_CPUS;
use trace::Place;

use super::cpu;
use super::descriptors::{Descriptors, TrapStacks};
use super::stack::Stack;

const MSR_GS_BASE: u32 = 0xc000_0101;
/// What SWAPGS exchanges with it: the user's while the kernel runs.
const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;

/// One CPU's block.
#[repr(C)]
#[derive(Debug)]
pub struct PerCpu {
    /// Nothing: with the thread's number above it, a word of a trace record.
    below_thread: AtomicU32,
    thread: AtomicU32,
    number: AtomicU32,
    /// The number where a trace record has it.
    mark: AtomicU32,
    apic_id: AtomicU32,
    entered: AtomicBool,
    /// Odd while it runs user code, or is about to; another number each time.
    pub user_epoch: AtomicU32,
    /// Where the kernel stack of the thread goes on when user code is left.
    user_stack: AtomicU64,
    /// The user's top table that is loaded; 0 = the kernel's own.
    pub root: AtomicU64,
    /// The generation of the space when it was loaded (`space`).
    pub generation: AtomicU64,
    /// Slots of its stacks: idle thread, interrupts, exceptions, NMIs.
    stacks: [AtomicU32; 4],
    /// Its descriptor tables.
    pub descriptors: Own<Descriptors>,
}

/// Data that only its own CPU touches, and only while it starts.
#[derive(Debug)]
pub struct Own<T>(pub UnsafeCell<T>);

// SAFETY: `descriptors::load` is the only user; it runs once on the CPU that the block belongs to.
unsafe impl<T> Sync for Own<T> {}

/// Offset of the thread number from GS, for assembly.
pub const THREAD: usize = offset_of!(PerCpu, thread);
const NUMBER: usize = offset_of!(PerCpu, number);
const BELOW_THREAD: usize = offset_of!(PerCpu, below_thread);
const MARK: usize = offset_of!(PerCpu, mark);
/// Offset of the place for a kernel stack pointer, for assembly.
pub const USER_STACK: usize = offset_of!(PerCpu, user_stack);
/// Bytes of all blocks.
pub const BLOCKS_BYTES: usize = size_of::<[PerCpu; MAX_CPUS]>();

/// All blocks. Assembly compares GS with their addresses.
pub static BLOCKS: [PerCpu; MAX_CPUS] = [const {
    PerCpu {
        below_thread: AtomicU32::new(0),
        thread: AtomicU32::new(0),
        number: AtomicU32::new(0),
        mark: AtomicU32::new(0),
        apic_id: AtomicU32::new(0),
        entered: AtomicBool::new(false),
        user_epoch: AtomicU32::new(0),
        user_stack: AtomicU64::new(0),
        root: AtomicU64::new(0),
        generation: AtomicU64::new(0),
        stacks: [const { AtomicU32::new(0) }; 4],
        descriptors: Own(UnsafeCell::new(Descriptors::new())),
    }
}; MAX_CPUS];

impl PerCpu {
    /// Gives the CPU its stacks, before it runs on them.
    pub fn set_stacks(&self, idle: Stack, traps: TrapStacks) {
        let all = [idle, traps.0[0], traps.0[1], traps.0[2]];
        for (place, stack) in self.stacks.iter().zip(all) {
            place.store(stack.slot(), Ordering::Release);
        }
    }

    /// The CPU is the kernel's from now on. Masked.
    pub fn enter(&self) {
        self.entered.store(true, Ordering::Relaxed);
    }

    /// True if interrupts are the kernel's business.
    pub fn is_entered(&self) -> bool {
        self.entered.load(Ordering::Relaxed)
    }

    /// The thread that it runs.
    pub fn thread(&self) -> u32 {
        self.thread.load(Ordering::SeqCst)
    }

    /// The stack of its idle thread.
    pub fn idle_stack(&self) -> Stack {
        Stack::from_slot(self.stacks[0].load(Ordering::Acquire))
    }

    /// The stacks of its traps.
    pub fn trap_stacks(&self) -> TrapStacks {
        TrapStacks([1, 2, 3].map(|n: usize| Stack::from_slot(self.stacks[n].load(Ordering::Acquire))))
    }
}

/// The block of CPU `number`.
pub fn block(number: usize) -> &'static PerCpu {
    &BLOCKS[number]
}

/// Names the block of `number` before that CPU runs.
pub fn prepare(number: usize, apic_id: u32) {
    block(number).number.store(number as u32, Ordering::Relaxed);
    block(number).mark.store(Place::cpu(number as u8), Ordering::Relaxed);
    block(number).apic_id.store(apic_id, Ordering::Relaxed);
}

/// Points GS at the block of `number`, on that CPU.
pub fn load(number: usize) {
    // SAFETY: the GS base is an architectural register that nothing else uses in this kernel; user code gets another one, by SWAPGS.
    unsafe {
        cpu::wrmsr(MSR_GS_BASE, &raw const BLOCKS[number] as u64);
        cpu::wrmsr(MSR_KERNEL_GS_BASE, 0);
    }
}

/// The local APIC id of CPU `number`.
pub fn apic_id(number: usize) -> u32 {
    block(number).apic_id.load(Ordering::Relaxed)
}

/// The running thread's number; right even if this CPU changes right after, since the thread takes it along.
pub fn thread() -> u32 {
    let value: u32;
    // SAFETY: GS points at this CPU's block; one instruction, so that a preemption cannot come in between. Volatile by default:
    // not `pure`, since a switch changes it.
    unsafe {
        asm!("mov {0:e}, gs:[{1}]", out(reg) value, const THREAD, options(nostack, preserves_flags, readonly))
    }
    value
}

/// The calling CPU's number; stable only while masked.
pub fn number() -> usize {
    let value: u32;
    // SAFETY: as for `thread`.
    unsafe {
        asm!("mov {0:e}, gs:[{1}]", out(reg) value, const NUMBER, options(nostack, preserves_flags, readonly))
    }
    value as usize
}

/// The running thread and the calling CPU, as trace records have them; stable only while masked.
#[inline]
pub fn place() -> Place {
    let (thread, cpu): (u64, u32);
    const { assert!(BELOW_THREAD.is_multiple_of(8) && THREAD == BELOW_THREAD + 4) };
    // SAFETY: as for `thread`; the word begins with a half that is always zero.
    unsafe {
        asm!("mov {0}, gs:[{1}]", out(reg) thread, const BELOW_THREAD, options(nostack, preserves_flags, readonly));
        asm!("mov {0:e}, gs:[{1}]", out(reg) cpu, const MARK, options(nostack, preserves_flags, readonly));
    }
    Place::from_words(thread, cpu)
}

/// Sets the running thread's number on this CPU. Masked.
pub fn set_thread(thread: u32) {
    block(number()).thread.store(thread, Ordering::Relaxed);
}
