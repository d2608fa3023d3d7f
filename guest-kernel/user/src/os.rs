//! The kernel, as a program sees it.

use abi::{KernReturn, Trap};
use core::fmt;

/// An access to memory that is not there, or does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub address: u64,
}

/// What no program should do, for those that are to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Reads through a null pointer.
    Null,
    /// Writes to its own code.
    WriteCode,
    /// Jumps into the kernel.
    JumpToKernel,
    /// Divides by zero.
    Divide,
    /// Executes what is no instruction.
    BadInstruction,
    /// Traps with garbage in every register.
    Garbage,
    /// Needs more stack than there is.
    Stack,
    /// Executes what only the kernel may.
    Privileged,
    /// Sets the flag for single steps.
    SingleStep,
}

impl Crash {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Null,
        Self::WriteCode,
        Self::JumpToKernel,
        Self::Divide,
        Self::BadInstruction,
        Self::Garbage,
        Self::Stack,
        Self::Privileged,
        Self::SingleStep,
    ];
}

/// The kernel and the task's memory.
pub trait Os: Sync {
    /// Asks the kernel for something: how it ended, and the value.
    fn trap(&self, trap: Trap, arguments: [u64; 6]) -> (KernReturn, u64);

    /// The same with any number, known or not.
    fn trap_by_number(&self, number: u64, arguments: [u64; 6]) -> (KernReturn, u64) {
        match Trap::from_number(number) {
            Some(trap) => self.trap(trap, arguments),
            None => (KernReturn::InvalidArgument, 0),
        }
    }

    /// Reads the task's memory.
    ///
    /// # Errors
    /// [`Fault`]. In ring 3 there is none: the thread gets an exception instead.
    fn load(&self, address: u64, into: &mut [u8]) -> core::result::Result<(), Fault>;

    /// Writes to it.
    ///
    /// # Errors
    /// As for [`Os::load`].
    fn store(&self, address: u64, from: &[u8]) -> core::result::Result<(), Fault>;

    /// Where a new thread begins. Machines without user mode need no address.
    fn thread_entry(&self) -> u64 {
        0
    }

    /// Does what no program should. It returns where nothing protects the kernel from it, having done nothing; and where an exception port answers
    /// that the thread shall go on.
    fn crash(&self, how: Crash) {
        let _ = how;
    }

    /// [`Os::trap`] as a result.
    ///
    /// # Errors
    /// What the kernel says, if it is not [`KernReturn::Success`].
    fn call(&self, trap: Trap, arguments: &[u64]) -> Result<u64> {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        let (code, value) = self.trap(trap, all);
        Ok(code.ok(value)?)
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel says so.
    Kernel(KernReturn),
    /// A service says so: an IOReturn.
    Io(u32),
    /// Memory is not there.
    Fault(Fault),
    /// The answer does not fit the question.
    Protocol,
}

impl Error {
    /// IOReturn: the device went away.
    const OFFLINE: u32 = 0xe000_02d7;
    /// IOReturn: there is no such thing here.
    pub(crate) const UNSUPPORTED: u32 = 0xe000_02c7;

    /// Whether it means that what was called is gone: the device, the port to it, or the task itself.
    pub fn is_gone(self) -> bool {
        match self {
            Self::Io(code) => code == Self::OFFLINE,
            Self::Kernel(code) => matches!(
                code,
                KernReturn::SendInvalidDest
                    | KernReturn::InvalidName
                    | KernReturn::InvalidCapability
                    | KernReturn::ReceivePortDied
                    | KernReturn::Terminated
            ),
            Self::Fault(_) | Self::Protocol => false,
        }
    }
}

impl From<KernReturn> for Error {
    fn from(code: KernReturn) -> Self {
        Self::Kernel(code)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(code) => code.fmt(f),
            Self::Io(code) => write!(f, "IOReturn {code:#x}"),
            Self::Fault(fault) => write!(f, "no memory at {:#x}", fault.address),
            Self::Protocol => f.write_str("the answer does not fit the question"),
        }
    }
}

/// The result of most calls.
pub type Result<T> = core::result::Result<T, Error>;
