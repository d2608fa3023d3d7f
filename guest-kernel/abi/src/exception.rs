//! Exceptions: what a user thread did wrong, told to the task's exception port.
//!
//! The message has the id [`RAISE`], one descriptor (a send right to the task), and in its body, from offset
//! [`BODY`] on: the thread's number (u32), the [kind](Exception) (u32), the code (u64), the address (u64). Its reply right
//! takes a message with the id [`RAISE_REPLY`], the first word of whose body is 0 if the exception was handled: the thread goes on where
//! it was. Any other reply, none (the right died), or no exception port: the task is terminated.

use crate::message::{DESCRIPTOR_BYTES, HEADER_BYTES};

/// The message's id (`exception_raise`).
pub const RAISE: u32 = 2401;
/// The reply's id.
pub const RAISE_REPLY: u32 = 2501;
/// Where the body of [`RAISE`] begins.
pub const BODY: usize = HEADER_BYTES + DESCRIPTOR_BYTES;
/// Bytes of the whole message.
pub const BYTES: usize = BODY + 24;

/// A kind of exception, with Mach's numbers (`EXC_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Exception {
    /// Memory that is not there (code 1) or does not allow it (code 2), at the address.
    BadAccess = 1,
    /// An instruction that is none. The code is the vector.
    BadInstruction = 2,
    /// A division by zero or the like. The code is the vector.
    Arithmetic = 3,
    /// A software exception. The code is the caller's.
    Software = 5,
    /// A breakpoint. The code is the vector.
    Breakpoint = 6,
}
