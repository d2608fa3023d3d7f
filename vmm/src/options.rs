//! What a caller can ask of a machine beyond its plan.

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
}
