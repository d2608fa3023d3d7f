//! Lines for the kernel's log.

use crate::memory::Memory;
use crate::os::{Os, Result};
use abi::Trap;
use core::fmt::{self, Write};

/// Bytes of a line.
const LINE: usize = 96;

/// A line that is being put together; what does not fit is cut off.
struct Line {
    bytes: [u8; LINE],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let take = text.len().min(room.len());
        room[..take].copy_from_slice(&text.as_bytes()[..take]);
        self.length += take;
        Ok(())
    }
}

/// Prints a line, by way of `page`, which nobody else uses.
pub fn print(page: &Memory<'_>, line: fmt::Arguments<'_>) -> Result<()> {
    let mut text = Line { bytes: [0; LINE], length: 0 };
    // Never fails.
    _ = text.write_fmt(line);
    page.store(0, &text.bytes[..text.length])?;
    let os: &dyn Os = page.os();
    os.call(Trap::Print, &[page.address(), text.length as u64]).map(|_| ())
}
