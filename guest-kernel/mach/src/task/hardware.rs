//! Threads in the processor's user mode.

use super::user::UserThread;
use crate::seam::{UserExit, UserRegisters};
use crate::vm::Access;
use abi::KernReturn;
use abi::exception::Exception;

/// Interrupts enabled, and the bit that is always set (Intel SDM vol. 1, 3.4.3).
const RFLAGS: u64 = 1 << 9 | 1 << 1;

/// Vectors of the processor's exceptions (Intel SDM vol. 3, 6.15) that are told apart.
mod vector {
    pub const DIVIDE: u8 = 0;
    pub const DEBUG: u8 = 1;
    pub const BREAKPOINT: u8 = 3;
    pub const FLOATING_POINT: u8 = 16;
    pub const SIMD: u8 = 19;
}

/// Runs user code until the thread is to end; its exit code.
pub(super) fn run(user: &UserThread, entry: u64, stack: u64, argument: u64) -> u64 {
    let mut registers =
        UserRegisters { rip: entry, rsp: stack, rdi: argument, rflags: RFLAGS, ..UserRegisters::default() };
    while until_trap(user, &mut registers) {
        trap(user, &mut registers);
    }
    user.exit_code()
}

/// Runs user code from `registers` on until it traps. False: the thread is to end, or there is no user mode.
pub(super) fn until_trap(user: &UserThread, registers: &mut UserRegisters) -> bool {
    let Some(space) = user.task().map().space() else { return false };
    while !user.is_over() {
        user.set_in_user(true);
        let exit = user.kernel().machine().user_run(space, registers);
        user.set_in_user(false);
        match exit {
            UserExit::Trap => return true,
            UserExit::PageFault { address, write, execute, .. } => page_fault(user, address, write, execute),
            UserExit::Exception { vector, code } => exception(user, vector, code, registers.rip),
            UserExit::Recalled => {}
        }
    }
    false
}

/// Carries out the trap at which user code has stopped.
pub(super) fn trap(user: &UserThread, registers: &mut UserRegisters) {
    let r = &*registers;
    let (code, value) = user.trap(r.rax, [r.rdi, r.rsi, r.rdx, r.rcx, r.r8, r.r9]);
    registers.rax = code as u64;
    registers.rdx = value;
}

fn page_fault(user: &UserThread, address: u64, write: bool, execute: bool) {
    let access = match (write, execute) {
        (true, _) => Access::Write,
        (false, true) => Access::Execute,
        (false, false) => Access::Read,
    };
    user.fault(address, access);
}

fn exception(user: &UserThread, vector: u8, code: u64, address: u64) {
    let kind = match vector {
        vector::DIVIDE | vector::FLOATING_POINT | vector::SIMD => Exception::Arithmetic,
        vector::DEBUG | vector::BREAKPOINT => Exception::Breakpoint,
        _ => Exception::BadInstruction,
    };
    user.raise(kind, u64::from(vector) | code << 8, address);
}

/// The code of a bad access that failed with `why`.
pub(super) fn access_code(why: KernReturn) -> u64 {
    match why {
        KernReturn::ProtectionFailure => KernReturn::ProtectionFailure as u64,
        _ => KernReturn::InvalidAddress as u64,
    }
}
