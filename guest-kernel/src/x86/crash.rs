//! `crash=WHAT` on the command line: the first thread breaks in a known way, so that a test can read the kernel's own report of it.

use core::arch::asm;
use core::hint::black_box;

/// Breaks as `what` says; returns if it is not known.
///
/// - `panic`: a plain panic;
/// - `null`: a write through a null pointer;
/// - `overflow`: recursion until the guard below the stack is hit;
/// - `code`: a write to the kernel's code, which is read-only;
/// - `recording`: a panic while an event is recorded for the host, who must hear of the panic all the same;
/// - `masked`: an interrupt while interrupts are masked, as a defective host delivers it.
pub fn crash(what: &str) {
    match what {
        "panic" => panic!("as asked on the command line"),
        "null" => write_to(8),
        "overflow" => {
            black_box(dig_deeper(black_box(1)));
        }
        // SAFETY: the gate of this vector leads into the kernel, which reports what it finds and does not come back.
        "masked" => unsafe { asm!("cli", "int 0x31") },
        "recording" => super::guest::panic_while_recording(),
        "code" => write_to(crash as *const () as u64),
        _ => crate::kprintln!("crash: unknown word {what}"),
    }
}

/// A store that must fault.
fn write_to(address: u64) {
    // SAFETY: the callers' addresses are not mapped, or read-only: the store does not happen, and the fault's handler ends the run.
    unsafe { asm!("mov byte ptr [{}], 0", in(reg) address, options(nostack, preserves_flags)) }
}

#[inline(never)]
fn dig_deeper(depth: u64) -> u64 {
    let mut frame = [depth; 64];
    black_box(&mut frame);
    if depth == 0 { 0 } else { dig_deeper(depth + 1) + frame[7] }
}
