//! What a caller can ask of a machine beyond its plan.

use std::time::Duration;

/// Options of a machine.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Host seconds to a machine second; 0 counts as 1.
    pub slow_down: u64,
    /// Further words for the kernel command line.
    pub command_line: String,
    /// Initial RAM disk.
    pub initrd: Option<Vec<u8>>,
    /// The serial console goes to the standard output, and the standard input to it.
    pub terminal: bool,
    /// How long the host waits for a guest that does nothing.
    pub limits: Limits,
}

/// Limits of the watchdog of [`crate::run`], in host time. They make a run end; no verdict depends on their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Without any sign of life for this long, a guest that boots or finishes hangs.
    pub silence: Duration,
    /// The end of a run may take this long, whatever the guest says meanwhile.
    pub finish: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { silence: Duration::from_secs(20), finish: Duration::from_secs(120) }
    }
}
