//! What user code and the kernel agree on: trap numbers, return codes, the layout of messages, addresses.
//!
//! The names and numbers are Mach's where Mach has them (`mach/message.h`, `mach/kern_return.h`, `mach/port.h`,
//! `mach/notify.h`). The layout is our own: it has 64-bit addresses and no gaps. All words are little-endian.
//!
//! - [`Trap`]: what a user thread can ask for, and with which arguments.
//! - [`KernReturn`]: what it is answered.
//! - [`message`]: header, descriptors, dispositions, options of `mach_msg`.
//! - [`notify`], [`exception`]: messages that the kernel sends.
//! - [`io`]: messages that the kernel's I/O ports understand.
//! - [`space`]: where user memory is.
//! - [`start`]: what tasks are told when they begin.
//!
//! And what the kernel tells those who look at its memory from outside: [`threads`].
#![no_std]
#![forbid(unsafe_code)]

pub mod exception;
pub mod io;
pub mod message;
pub mod notify;
pub mod port;
pub mod space;
pub mod start;
pub mod threads;

mod kern_return;
mod trap;

pub use kern_return::KernReturn;
pub use message::{Descriptor, Disposition, Header};
pub use trap::Trap;
