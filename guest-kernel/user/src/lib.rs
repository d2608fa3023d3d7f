//! The user library: what a task's program sees of the kernel, and three programs.
//!
//! Everything that a program can do goes through [`Os`]: traps, and its own memory. In ring 3 a trap is an instruction and
//! memory is memory; in the simulator both are calls. The programs are the same code in both, and the memory that they share with the kernel and with
//! each other is reached by address only.
//!
//! - [`port`], [`message`]: rights, and messages through a [`message::Mailbox`];
//! - [`memory`]: allocated memory;
//! - [`io`]: services, connections, external methods, as IOKit's user library has them;
//! - [`queue`]: the reader's side of a data queue;
//! - [`thread`]: more threads in the task;
//! - [`programs`]: the block tester, the data-acquisition reader, and one that means no good.
//!
//! No heap: what a program needs, it has on its stack or allocates from the kernel.
#![no_std]
#![forbid(unsafe_code)]

pub mod io;
pub mod memory;
pub mod message;
#[cfg(feature = "native")]
pub mod native;
mod os;
pub mod port;
pub mod programs;
pub mod queue;
pub mod random;
pub mod start;
pub mod thread;

pub use os::{Crash, Error, Fault, Os, Result};
