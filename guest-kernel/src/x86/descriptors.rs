//! Segments, task state and the interrupt table (Intel SDM volume 3, 3.4, 8.7 and 6.14).
//!
//! Interrupts enter on stacks of their own (IST): precompiled core uses the 128 bytes below the stack pointer, which an
//! interrupt on the same stack would overwrite.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use super::percpu;
use super::stack::Stack;
use super::traps;

/// Selector of 64-bit code.
pub const CODE: u16 = 0x08;
const DATA: u16 = 0x10;
const TASK: u16 = 0x18;
/// Selector of user data and stacks, with the privilege of ring 3 asked for.
pub const USER_DATA: u16 = 0x28 | 3;
/// Selector of 64-bit user code.
pub const USER_CODE: u16 = 0x30 | 3;

/// IST index of interrupts.
const IST_INTERRUPT: u8 = 1;
/// IST index of exceptions: also the overflow of a stack must find one that works.
const IST_EXCEPTION: u8 = 2;
/// IST index of NMI, which may come in any of the others.
const IST_NMI: u8 = 3;

/// The task state segment (8.7): only the IST matters. Every gate has a stack of its own, whatever ring it is entered from, so that RSP0 is never
/// looked at; there is no I/O map: user code reaches no port.
#[repr(C, packed(4))]
#[derive(Debug)]
struct Task {
    reserved: u32,
    rsp: [u64; 3],
    reserved_1: u64,
    ist: [u64; 7],
    reserved_2: u64,
    reserved_3: u16,
    io_map: u16,
}

/// One CPU's GDT and task state.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Descriptors {
    gdt: [u64; 7],
    task: Task,
}

impl Descriptors {
    /// Flat segments; the task is filled in by [`load`].
    pub const fn new() -> Self {
        Self {
            gdt: [
                0,
                0x00af_9b00_0000_ffff,
                0x00cf_9300_0000_ffff,
                0,
                0,
                0x00cf_f300_0000_ffff,
                0x00af_fb00_0000_ffff,
            ],
            task: Task {
                reserved: 0,
                rsp: [0; 3],
                reserved_1: 0,
                ist: [0; 7],
                reserved_2: 0,
                reserved_3: 0,
                io_map: size_of::<Task>() as u16,
            },
        }
    }
}

/// A pseudo-descriptor for LGDT and LIDT (3.5.1).
#[repr(C, packed)]
struct Pointer {
    limit: u16,
    base: u64,
}

/// The interrupt table: two words a gate. Written by the boot CPU before any other runs.
static IDT: [[AtomicU64; 2]; 256] = [const { [const { AtomicU64::new(0) }; 2] }; 256];

/// Fills the interrupt table.
pub fn init_idt() {
    for (vector, gate) in IDT.iter().enumerate() {
        let ist = match vector {
            2 => IST_NMI,
            0..32 => IST_EXCEPTION,
            _ => IST_INTERRUPT,
        };
        let entry = traps::stub(vector as u8);
        // Present, interrupt gate (type 14): interrupts stay masked.
        let low = entry & 0xffff
            | u64::from(CODE) << 16
            | u64::from(ist) << 32
            | 0x8e << 40
            | (entry >> 16 & 0xffff) << 48;
        gate[0].store(low, Ordering::Relaxed);
        gate[1].store(entry >> 32, Ordering::Relaxed);
    }
}

/// The stacks of one CPU's interrupts, exceptions and NMIs.
#[derive(Clone, Copy, Debug)]
pub struct TrapStacks(pub [Stack; 3]);

/// Loads this CPU's tables. `number` is the calling CPU, which starts.
pub fn load(number: usize, stacks: TrapStacks) {
    let own = percpu::block(number).descriptors.0.get();
    // SAFETY: only this CPU uses its block's descriptors, and only here; tables and stacks live for ever. The selectors name the
    // entries that are written just before.
    unsafe {
        let task = &raw mut (*own).task;
        (*task).ist = [0; 7];
        for (n, stack) in stacks.0.iter().enumerate() {
            (&raw mut (*task).ist).cast::<u64>().add(n).write_unaligned(stack.top());
        }
        let base = task as u64;
        let limit = size_of::<Task>() as u64 - 1;
        // Available 64-bit TSS, present (8.2.3).
        (*own).gdt[3] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        (*own).gdt[4] = base >> 32;
        let gdt = Pointer { limit: size_of::<[u64; 7]>() as u16 - 1, base: &raw const (*own).gdt as u64 };
        let idt = Pointer { limit: 4095, base: &raw const IDT as u64 };
        asm!(
            "lgdt [{gdt}]",
            "lidt [{idt}]",
            "push {code}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ds, {data:x}",
            "mov es, {data:x}",
            "mov ss, {data:x}",
            "ltr {task:x}",
            gdt = in(reg) &raw const gdt,
            idt = in(reg) &raw const idt,
            code = in(reg) u64::from(CODE),
            data = in(reg) u64::from(DATA),
            task = in(reg) u64::from(TASK),
            scratch = out(reg) _,
        );
    }
}
