//! The programs as an image for ring 3: entry, trap, memory, and what a panic does. All that is not safe Rust in user code is here.
#![no_std]
#![no_main]

#[path = "../../src/x86/string.rs"]
mod string;

use abi::space::USER_BASE;
use abi::{KernReturn, Trap};
use core::arch::{asm, global_asm};
use core::panic::PanicInfo;
use user::{Crash, Fault, Os, start};

// rdi = the argument, rsp = the top of a stack. RBP = 0 ends the chain of frames.
global_asm!(
    r#"
    .section .text.start, "ax"
    .global _start
    .type _start, @function
_start:
    xor ebp, ebp
    and rsp, -16
    call begin
    ud2
    .size _start, . - _start
    .section .text, "ax"
"#
);

unsafe extern "C" {
    fn _start();
}

/// Ring 3.
struct Ring3;

/// A trap: UD2 with number and arguments in registers; code and value.
fn trap(number: u64, arguments: [u64; 6]) -> (u64, u64) {
    let [a, b, mut c, d, e, f] = arguments;
    let mut code = number;
    // SAFETY: the kernel changes RAX and RDX only, and of memory what the trap says; arguments are checked there. All memory that traps are told of is
    // reached by address, so that the compiler knows of none of it.
    unsafe {
        asm!("ud2", inout("rax") code, in("rdi") a, in("rsi") b, inout("rdx") c, in("rcx") d, in("r8") e, in("r9") f,
            options(nostack));
    }
    (code, c)
}

impl Os for Ring3 {
    fn trap(&self, number: Trap, arguments: [u64; 6]) -> (KernReturn, u64) {
        self.trap_by_number(number as u64, arguments)
    }

    fn trap_by_number(&self, number: u64, arguments: [u64; 6]) -> (KernReturn, u64) {
        let (code, value) = trap(number, arguments);
        // A code that this image does not know is an error all the same.
        (KernReturn::from_code(code).unwrap_or(KernReturn::Failure), value)
    }

    fn load(&self, address: u64, into: &mut [u8]) -> Result<(), Fault> {
        // SAFETY: what cannot be read is an exception, which ends the thread or is put right. What can be is the task's: memory that programs
        // reach by address only, or, for a program that means no good, anything; then only it suffers. String instructions, volatile as they are.
        unsafe {
            asm!("rep movsb", inout("rcx") into.len() => _, inout("rsi") address => _, inout("rdi") into.as_mut_ptr() => _,
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    fn store(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        // SAFETY: as for `load`.
        unsafe {
            asm!("rep movsb", inout("rcx") from.len() => _, inout("rsi") from.as_ptr() => _, inout("rdi") address => _,
                options(nostack, preserves_flags));
        }
        Ok(())
    }

    fn thread_entry(&self) -> u64 {
        _start as *const () as u64
    }

    fn crash(&self, how: Crash) {
        // SAFETY: each of these is an exception before it does anything else. If the thread goes on all the same, it goes on at the same
        // instruction, with registers and stack as they were.
        unsafe {
            match how {
                Crash::Null => asm!("mov al, [0]", out("al") _, options(nostack, preserves_flags)),
                Crash::WriteCode => {
                    asm!("mov byte ptr [{}], 0", in(reg) _start as *const () as u64, options(nostack, preserves_flags))
                }
                Crash::JumpToKernel => asm!("jmp {}", in(reg) 0x20_0000_u64, options(noreturn)),
                Crash::Divide => {
                    asm!("div {}", in(reg) 0_u64, inout("rax") 1_u64 => _, inout("rdx") 0_u64 => _, options(nostack))
                }
                Crash::BadInstruction => asm!("ud1 eax, eax", options(nostack)),
                Crash::Garbage => _ = trap(USER_BASE ^ u64::MAX, [u64::MAX; 6]),
                // Down through the guard below any stack, to where nothing is.
                Crash::Stack => asm!("2: push rax", "jmp 2b", options(noreturn)),
                Crash::Privileged => asm!("cli", options(nostack)),
                Crash::SingleStep => asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop"),
            }
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn begin(argument: u64) -> ! {
    let code = start::run(&Ring3, argument);
    end(Trap::ThreadExit, code)
}

/// A trap that does not return.
fn end(trap: Trap, argument: u64) -> ! {
    loop {
        Ring3.trap(trap, [argument, 0, 0, 0, 0, 0]);
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // The library has no message that is worth the space of formatting it: the exit code says it.
    end(Trap::TaskTerminate, 0)
}

/// Named by precompiled core; never called, since panics abort.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// Named by precompiled core; never called, since panics abort.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    end(Trap::TaskTerminate, 0)
}
