//! The standard output.

use crate::exit::Failure;
use std::io::{self, Write};

/// Writes to the standard output. A reader that has gone (`workgate … | head`) is no error: the exit status still tells. A
/// full disk is one: whoever reads the file later must not take half of a document for all of it.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::host(format_args!("cannot write to the standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The same with a line end.
pub fn println(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}
