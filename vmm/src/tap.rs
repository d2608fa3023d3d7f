//! Somebody else's end of the serial line.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Where else the guest's serial output goes, and what else it reads from.
#[derive(Clone)]
pub struct Tap {
    output: Arc<Mutex<dyn Write + Send>>,
    input: Option<Arc<File>>,
}

impl Tap {
    /// `output` is written to by whatever processor prints, and must not wait for anybody. `input` is a file whose bytes are typed into the serial port; at its
    /// end nothing more is.
    pub fn new(output: impl Write + Send + 'static, input: Option<Arc<File>>) -> Self {
        Self { output: Arc::new(Mutex::new(output)), input }
    }

    /// Passes on what the guest prints. A place that takes no more must not stop the machine.
    pub(crate) fn print(&self, bytes: &[u8]) {
        let _ = self.output.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes);
    }

    /// What is typed from.
    pub(crate) fn input(&self) -> Option<Arc<File>> {
        self.input.clone()
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tap").field("input", &self.input).finish_non_exhaustive()
    }
}
