//! The console: a 16550 at COM1. Output is polled.

use core::fmt;

use super::cpu::{inb, outb};
use super::lock::Masked;

const PORT: u16 = 0x3f8;
const LINE_STATUS: u16 = PORT + 5;
/// Transmit holding register empty.
const THR_EMPTY: u8 = 1 << 5;
/// Polls before a character is sent anyway: an absent port reads all ones, a stuck one must not hang the kernel.
const PATIENCE: u32 = 100_000;
/// Depth of the transmit FIFO.
const FIFO: usize = 16;

/// The console's lock: lines of different CPUs do not mix.
static CONSOLE: Masked<()> = Masked::new(());

/// 8 bits, no parity, FIFOs on, no interrupts. The speed is left as it is: nothing here is slow on purpose.
pub fn init() {
    for (register, value) in [(1, 0x00), (3, 0x03), (2, 0x07), (4, 0x03)] {
        // SAFETY: COM1's registers; the kernel is their only user.
        unsafe { outb(PORT + register, value) }
    }
}

/// Writes text, line feeds as CR LF.
pub fn write(text: &str) {
    let _guard = CONSOLE.lock();
    send(text);
}

/// Writes text even if another CPU was stopped while it wrote.
pub fn write_in_panic(text: &str) {
    let _guard = CONSOLE.lock_for(PATIENCE);
    send(text);
}

fn send(text: &str) {
    for chunk in text.as_bytes().chunks(FIFO / 2) {
        wait_for_room();
        for &byte in chunk {
            if byte == b'\n' {
                put(b'\r');
            }
            put(byte);
        }
    }
}

fn wait_for_room() {
    for _ in 0..PATIENCE {
        // SAFETY: reading the line status only clears error bits that nobody looks at.
        if unsafe { inb(LINE_STATUS) } & THR_EMPTY != 0 {
            return;
        }
        core::hint::spin_loop();
    }
}

fn put(byte: u8) {
    // SAFETY: the transmit register of COM1; at most a FIFO's worth after it was seen empty.
    unsafe { outb(PORT, byte) }
}

/// For `write!` on the panic path.
#[derive(Debug)]
pub struct PanicConsole;

impl fmt::Write for PanicConsole {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_in_panic(text);
        Ok(())
    }
}

/// Prints one line on the console.
#[macro_export]
macro_rules! kprintln {
    ($($argument:tt)*) => {{
        // One piece, so that lines of different CPUs do not mix.
        $crate::x86::serial::write(&alloc::format!("{}\n", format_args!($($argument)*)));
    }};
}
