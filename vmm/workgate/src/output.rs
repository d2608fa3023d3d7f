//! The standard output.

use std::io::{self, Write};

/// Writes to the standard output. A reader that has gone (`workgate … | head`) is no error: the exit status still tells.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The same with a line end.
pub fn println(text: &str) {
    print(&format!("{text}\n"));
}
