//! User mode: a call that runs ring 3 and returns when it stops.
//!
//! `run` copies the user's registers to the thread's kernel stack, enters ring 3 with IRETQ, and is back there, masked, as soon as an
//! interrupt or an exception comes (`traps`). An interrupt is served right here, on the thread's own stack, and
//! the thread gives way here if a better one waits; then ring 3 goes on. Everything else is the caller's: a trap, a page fault, any other exception.
//!
//! A recall must not fall between the caller's last look at what it is recalled for and ring 3. So recalls are counted, each
//! thread keeps the count that it has seen, and `run` looks once the CPU is known to run user code; one that it has not seen sends it back. A recall meant for another
//! thread does so too, once.

use core::sync::atomic::{AtomicU32, Ordering};

use mach::seam::{SpaceId, ThreadId, UserExit, UserRegisters};

use super::descriptors::{USER_CODE, USER_DATA};
use super::percpu::{self, PerCpu};
use super::space::{self, LEAVE_VECTOR, Space};
use super::traps::{self, Registers};
use super::{apic, context, cpu, guest, smp};

/// Flags that user code may have: carry, parity, auxiliary, zero, sign, direction, overflow (Intel SDM volume 1, 3.4.3). Not single-step: a
/// program that sets it gets the exception, or goes on without after an interrupt.
const USER_FLAGS: u64 = 0xcd5;
/// Interrupts enabled, and the bit that is always 1.
const FIXED_FLAGS: u64 = 1 << 9 | 1 << 1;
/// One past the canonical addresses of the lower half: what IRETQ accepts.
const CANONICAL_END: u64 = 1 << 47;
/// Bytes of UD2 (0F 0B), the trap.
const UD2: [u8; 2] = [0x0f, 0x0b];
const INVALID_OPCODE: u64 = 6;
const PAGE_FAULT: u64 = 14;
/// Vectors below are exceptions.
const FIRST_INTERRUPT: u64 = 32;
/// Exceptions with an error code (Intel SDM volume 3, table 6-1).
const WITH_CODE: u32 = 1 << 8 | 0x1f << 10 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30;

/// Recalls so far.
static RECALLS: AtomicU32 = AtomicU32::new(0);

/// See `Machine::user_run`.
pub fn run(id: SpaceId, user: &mut UserRegisters) -> UserExit {
    let space = space::get(&id);
    let mut registers = to_ring_3(user);
    let exit = loop {
        if registers.rip >= CANONICAL_END {
            break UserExit::PageFault {
                address: registers.rip,
                write: false,
                execute: true,
                present: false,
            };
        }
        tame(&mut registers);
        cpu::mask();
        if !enter(space, &mut registers) {
            break UserExit::Recalled;
        }
        match registers.vector {
            vector if vector >= FIRST_INTERRUPT => {
                if guest::interrupt(vector as u8) {
                    guest::preempt();
                }
            }
            _ => break exit(space, &mut registers),
        }
    };
    cpu::unmask();
    from_ring_3(&registers, user);
    exit
}

/// Runs ring 3 until something comes. False: the thread is recalled. Masked.
fn enter(space: &Space, registers: &mut Registers) -> bool {
    let block = percpu::block(percpu::number());
    step(block);
    let recalls = RECALLS.load(Ordering::SeqCst);
    let seen = context::recalls().swap(recalls, Ordering::Relaxed) == recalls;
    if seen {
        space.load(block);
        // SAFETY: the caller looked at RIP and tamed the rest; the space's tables are loaded.
        unsafe { traps::enter_user(registers) };
    }
    step(block);
    seen
}

/// The calling CPU is about to run user code, or has left it. Masked.
fn step(block: &PerCpu) {
    let epoch = block.user_epoch.load(Ordering::Relaxed);
    // A swap, not a store: what follows is not done before others can see it.
    block.user_epoch.swap(epoch.wrapping_add(1), Ordering::SeqCst);
}

/// What the exception in `registers` is to the caller. Masked, since the next page fault overwrites CR2.
fn exit(space: &Space, registers: &mut Registers) -> UserExit {
    let r = registers;
    match r.vector {
        PAGE_FAULT => UserExit::PageFault {
            address: cpu::fault_address(),
            write: r.code & 2 != 0,
            execute: r.code & 16 != 0,
            present: r.code & 1 != 0,
        },
        INVALID_OPCODE if space.code(r.rip) == Some(UD2) => {
            r.rip += UD2.len() as u64;
            UserExit::Trap
        }
        vector => {
            let code = if WITH_CODE >> vector & 1 != 0 { r.code } else { 0 };
            UserExit::Exception { vector: vector as u8, code }
        }
    }
}

/// See `Machine::user_recall`.
pub fn recall(thread: ThreadId) {
    RECALLS.fetch_add(1, Ordering::SeqCst);
    for number in 0..smp::online() {
        let block = percpu::block(number);
        if block.user_epoch.load(Ordering::SeqCst) % 2 != 0 && block.thread() == thread {
            apic::send(number, LEAVE_VECTOR);
        }
    }
}

/// Leaves user code what it may have.
fn tame(registers: &mut Registers) {
    registers.cs = u64::from(USER_CODE);
    registers.ss = u64::from(USER_DATA);
    registers.rflags = registers.rflags & USER_FLAGS | FIXED_FLAGS;
}

fn to_ring_3(user: &UserRegisters) -> Registers {
    Registers {
        r15: user.r15,
        r14: user.r14,
        r13: user.r13,
        r12: user.r12,
        r11: user.r11,
        r10: user.r10,
        r9: user.r9,
        r8: user.r8,
        rbp: user.rbp,
        rdi: user.rdi,
        rsi: user.rsi,
        rdx: user.rdx,
        rcx: user.rcx,
        rbx: user.rbx,
        rax: user.rax,
        rip: user.rip,
        rflags: user.rflags,
        rsp: user.rsp,
        ..Registers::default()
    }
}

fn from_ring_3(r: &Registers, user: &mut UserRegisters) {
    *user = UserRegisters {
        rax: r.rax,
        rbx: r.rbx,
        rcx: r.rcx,
        rdx: r.rdx,
        rsi: r.rsi,
        rdi: r.rdi,
        rbp: r.rbp,
        r8: r.r8,
        r9: r.r9,
        r10: r.r10,
        r11: r.r11,
        r12: r.r12,
        r13: r.r13,
        r14: r.r14,
        r15: r.r15,
        rip: r.rip,
        rsp: r.rsp,
        rflags: r.rflags & USER_FLAGS | FIXED_FLAGS,
    };
}
