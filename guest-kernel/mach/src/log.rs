//! The log (S9): IOLog's 4 KiB of text on their way to the console, and kprintf, which goes there at once.
//!
//! A console is slow: a line on a serial port takes longer than most actions may take. So what drivers log waits in a buffer, and a thread
//! writes it out every few seconds. A line for which there is no room is dropped and counted, and the count is said when the buffer is
//! written. Nothing is armed while it is empty.
//!
//! Before [`Kernel::start_log`], and with `io=0x200000`, lines go to the console at once, as kprintf's do always.

use crate::band;
use crate::call::ThreadCall;
use crate::kernel::{Kernel, KernelRef};
use crate::seam::OutOfMemory;
use alloc::string::String;
use core::fmt::{self, Write};
use spin::Mutex;

/// Bytes of text that wait for the console at the most.
pub const LOG_BYTES: usize = 4096;
/// From the first line in the buffer to its writing, in ns.
pub const LOG_DRAIN: u64 = 2_000_000_000;

/// Bytes that a line has room for from the start: most need no more.
const USUAL_LINE: usize = 120;

/// Text that waits, and who writes it.
pub(crate) struct Log {
    buffer: Mutex<Buffer>,
    /// `None` = lines are written at once.
    drain: Mutex<Option<ThreadCall>>,
}

struct Buffer {
    /// Whole lines. It has room for [`LOG_BYTES`] from [`Kernel::start_log`] on, so that a line needs no memory.
    text: String,
    /// Lines dropped since the buffer was written.
    lost: u64,
}

impl Buffer {
    const fn new() -> Self {
        Self { text: String::new(), lost: 0 }
    }

    /// Adds a line, or counts it as lost; whether the buffer was empty before.
    fn add(&mut self, line: &str) -> bool {
        let was_empty = self.text.is_empty() && self.lost == 0;
        match self.text.len() + line.len() <= LOG_BYTES {
            true => self.text.push_str(line),
            false => self.lost += 1,
        }
        was_empty
    }

    fn take(&mut self) -> (String, u64) {
        let text = self.text.clone();
        self.text.clear();
        (text, core::mem::take(&mut self.lost))
    }
}

impl Log {
    pub(crate) const fn new() -> Self {
        Self { buffer: Mutex::new(Buffer::new()), drain: Mutex::new(None) }
    }
}

/// `message` and the end of the line.
fn line(message: fmt::Arguments<'_>) -> String {
    let mut line = String::with_capacity(USUAL_LINE);
    // Writing into a string cannot fail.
    _ = line.write_fmt(message);
    line.push('\n');
    line
}

impl Kernel {
    /// Writes a line to the console at once, interrupts off (S9). Legal everywhere.
    pub fn kprintf(&self, message: fmt::Arguments<'_>) {
        let text = line(message);
        let _masked = self.masked();
        self.machine().console(&text);
    }

    /// IOLog: puts a line into the buffer, from which it goes to the console within a few seconds (S9). Legal at interrupt level.
    pub fn log(&self, message: fmt::Arguments<'_>) {
        let Some(drain) = self.drain() else { return self.kprintf(message) };
        // Formatted outside of the lock: what is printed may want locks itself.
        let line = line(message);
        let first = {
            let _masked = self.masked();
            self.lock_raw(&self.log.buffer).add(&line)
        };
        if first {
            drain.enter_at(self.now().saturating_add(LOG_DRAIN));
        }
    }

    fn drain(&self) -> Option<ThreadCall> {
        let _masked = self.masked();
        self.lock_raw(&self.log.drain).clone()
    }

    /// From now on [`Kernel::log`] does not wait for the console.
    ///
    /// # Errors
    /// No memory for the thread that writes the buffer: lines go to the console at once, as before.
    pub fn start_log(self: &KernelRef) -> Result<(), OutOfMemory> {
        let drain = ThreadCall::new(self, band::KERNEL, |kernel| kernel.flush_log());
        drain.prepare()?;
        let _masked = self.masked();
        self.lock_raw(&self.log.buffer).text.reserve_exact(LOG_BYTES);
        *self.lock_raw(&self.log.drain) = Some(drain);
        Ok(())
    }

    /// Writes to the console what waits for it.
    pub fn flush_log(&self) {
        let (text, lost) = {
            let _masked = self.masked();
            self.lock_raw(&self.log.buffer).take()
        };
        if !text.is_empty() {
            self.machine().console(&text);
        }
        if lost > 0 {
            self.machine().console(&alloc::format!("IOLog: {lost} lines lost\n"));
        }
    }

    /// Shows `write` what waits for the console, if nobody is at it: for the end of a kernel that has failed. Takes no lock that it would have to wait
    /// for, and no memory.
    pub fn log_in_panic(&self, write: impl FnOnce(&str, u64)) {
        if let Some(buffer) = self.log.buffer.try_lock() {
            write(&buffer.text, buffer.lost);
        }
    }

    /// What waits is written, and from now on lines go to the console at once: the machine ends, or nobody is to wait any more.
    pub fn stop_log(&self) {
        let drain = {
            let _masked = self.masked();
            self.lock_raw(&self.log.drain).take()
        };
        self.flush_log();
        drop(drain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_the_buffer_keeps_whole_lines_and_counts_the_rest() {
        let mut buffer = Buffer::new();
        let long = "x".repeat(LOG_BYTES - 10);
        assert!(buffer.add("first\n"));
        assert!(!buffer.add(&long), "4 bytes are left");
        assert!(!buffer.add("lost\n"));
        assert!(!buffer.add("fit\n"));
        let (text, lost) = buffer.take();
        assert_eq!((text.len(), lost), (LOG_BYTES, 1));
        assert!(text.starts_with("first\nxx") && text.ends_with("xfit\n"));
        assert!(buffer.add(&"y".repeat(LOG_BYTES + 1)), "empty again");
        assert!(!buffer.add("é\n"), "the lost line has still to be told of");
        assert_eq!(buffer.take(), ("é\n".into(), 1));
    }
}
