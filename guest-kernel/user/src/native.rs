//! The programs as kernel code, for machines without user mode: traps and memory are calls.

use crate::os::{Crash, Fault, Os};
use crate::start;
use abi::exception::Exception;
use abi::space::{PROGRAM_BASE, STACK_BYTES, STACK_TOP};
use abi::{KernReturn, Trap};
use mach::task::{Program, UserThread};

/// An address of the kernel's.
const KERNEL: u64 = 0x20_0000;
/// Codes of a bad access.
const NOT_THERE: u64 = KernReturn::InvalidAddress as u64;
const NOT_ALLOWED: u64 = KernReturn::ProtectionFailure as u64;

/// The kernel, for the thread that runs.
struct Native<'a>(&'a UserThread);

impl Os for Native<'_> {
    fn trap(&self, trap: Trap, arguments: [u64; 6]) -> (KernReturn, u64) {
        self.trap_by_number(trap as u64, arguments)
    }

    fn trap_by_number(&self, number: u64, arguments: [u64; 6]) -> (KernReturn, u64) {
        self.0.trap(number, arguments)
    }

    fn load(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        self.0.load(address, into).map_err(|_| Fault { address })
    }

    fn store(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        self.0.store(address, from).map_err(|_| Fault { address })
    }

    /// What the processor would make of it.
    fn crash(&self, how: Crash) {
        let (kind, code, address) = match how {
            Crash::Null => (Exception::BadAccess, NOT_THERE, 0),
            Crash::WriteCode => (Exception::BadAccess, NOT_ALLOWED, PROGRAM_BASE),
            Crash::JumpToKernel => (Exception::BadAccess, NOT_THERE, KERNEL),
            Crash::Stack => (Exception::BadAccess, NOT_THERE, STACK_TOP - STACK_BYTES - 8),
            Crash::Divide => (Exception::Arithmetic, 0, PROGRAM_BASE),
            Crash::BadInstruction => (Exception::BadInstruction, 6, PROGRAM_BASE),
            Crash::Privileged => (Exception::BadInstruction, 13, PROGRAM_BASE),
            Crash::SingleStep => (Exception::Breakpoint, 1, PROGRAM_BASE),
            Crash::Garbage => {
                self.trap_by_number(u64::MAX, [u64::MAX; 6]);
                return;
            }
        };
        // Whoever answers that it goes on has put nothing right: so it happens once more, until nobody does.
        while self.0.raise(kind, code, address) {}
    }
}

/// What tasks of a machine without user mode run.
pub fn program() -> Program {
    Program::native(|user, _entry, argument| start::run(&Native(user), argument))
}
