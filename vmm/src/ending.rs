//! How a machine ends, and what is known about it then.

use std::fmt;
use std::time::Duration;

/// Why the machine stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest powered off.
    PowerOff,
    /// The guest asked for a reset.
    Reset,
    /// A processor shut down: a triple fault.
    TripleFault {
        /// The processor.
        cpu: usize,
    },
    /// KVM could not go on in the guest (KVM_EXIT_INTERNAL_ERROR).
    Internal {
        /// The processor.
        cpu: usize,
        /// KVM's suberror: 1 = an instruction that it cannot emulate.
        suberror: u32,
    },
    /// The processor refused to enter the guest.
    FailEntry {
        /// The processor.
        cpu: usize,
        /// The hardware's reason.
        reason: u64,
    },
    /// An exit that this machine does not know.
    Unknown {
        /// The processor.
        cpu: usize,
        /// The exit, as KVM names it.
        exit: String,
    },
    /// The host stopped it in midst of its work.
    Stopped,
    /// The guest makes no progress.
    Hang {
        /// What was waited for.
        what: String,
    },
}

impl Ending {
    /// The processor that could not go on, if it was one.
    pub fn cpu(&self) -> Option<usize> {
        match self {
            Self::TripleFault { cpu }
            | Self::Internal { cpu, .. }
            | Self::FailEntry { cpu, .. }
            | Self::Unknown { cpu, .. } => Some(*cpu),
            Self::PowerOff | Self::Reset | Self::Stopped | Self::Hang { .. } => None,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOff => write!(f, "the guest powered off"),
            Self::Reset => write!(f, "the guest reset the machine"),
            Self::TripleFault { cpu } => write!(f, "triple fault on cpu{cpu}"),
            Self::Internal { cpu, suberror: 1 } => {
                write!(
                    f,
                    "KVM cannot emulate an instruction of the guest on cpu{cpu} (internal error, suberror 1)"
                )
            }
            Self::Internal { cpu, suberror } => {
                write!(f, "KVM internal error on cpu{cpu}, suberror {suberror}")
            }
            Self::FailEntry { cpu, reason } => {
                write!(f, "the processor refused to enter the guest on cpu{cpu}, hardware reason {reason:#x}")
            }
            Self::Unknown { cpu, exit } => write!(f, "unexpected exit on cpu{cpu}: {exit}"),
            Self::Stopped => write!(f, "the host stopped the machine"),
            Self::Hang { what } => write!(f, "the guest makes no progress: {what}"),
        }
    }
}

/// IF of RFLAGS.
const INTERRUPTS: u64 = 1 << 9;

/// A processor at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuReport {
    /// Its number.
    pub cpu: usize,
    /// Registers by name.
    pub registers: Vec<(&'static str, u64)>,
    /// Bytes at the instruction pointer, if they could be read.
    pub code: Vec<u8>,
    /// The function that the instruction pointer is in, if the image has symbols.
    pub symbol: Option<String>,
    /// Return addresses by the chain of frame pointers, nearest first, with the functions that they are in.
    pub callers: Vec<(u64, Option<String>)>,
    /// It waits in HLT.
    pub halted: bool,
    /// Processor time that its thread has taken from `boot.ready` until the guest was told to come to an end, in the guest and for it; zero if it was never ready.
    pub worked: Duration,
}

impl fmt::Display for CpuReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu{}", self.cpu)?;
        for (n, (name, value)) in self.registers.iter().enumerate() {
            let separator = if n % 4 == 0 { "\n  " } else { "  " };
            write!(f, "{separator}{name:<6} {value:016x}")?;
        }
        match self.code.is_empty() {
            true => write!(f, "\n  code   not readable")?,
            false => write!(f, "\n  code   {}", hex(&self.code))?,
        }
        if self.halted {
            let masked =
                self.registers.iter().any(|(name, value)| *name == "rflags" && value & INTERRUPTS == 0);
            write!(f, "\n  halted, interrupts {}", if masked { "off" } else { "on" })?;
        }
        if let Some(symbol) = &self.symbol {
            write!(f, "\n  in     {symbol}")?;
        }
        for (address, symbol) in &self.callers {
            write!(f, "\n  from   {}", symbol.clone().unwrap_or_else(|| format!("{address:016x}")))?;
        }
        Ok(())
    }
}

/// Two digits a byte.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
