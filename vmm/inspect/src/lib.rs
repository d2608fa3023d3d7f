//! What a machine that stands still is doing: its page tables, its kernel's threads, their stacks; and cores, which keep all that in a file.
//!
//! Nothing here runs a machine. Whoever has one gives its memory ([`Physical`]) and its processors' registers ([`Cpu`]), and gets threads
//! ([`threads()`]) as the kernel publishes them (`abi::threads`), a core ([`core::write()`]), or, from a core ([`core::Core`]), everybody's stack ([`stacks`]).
//!
//! Guest memory, images and cores are hostile: every list is bounded, every address is checked, and what cannot be read is missing, not guessed.
#![forbid(unsafe_code)]

extern crate alloc;

pub mod core;
mod memory;
mod paging;
mod published;
mod registers;
pub mod stacks;
pub mod symbols;
mod threads;
mod unwind;

pub use memory::Physical;
pub use paging::{MAX_MAPPINGS, Mapping, Paging, Space};
pub use published::root_of;
pub use registers::{Cpu, Registers};
pub use threads::{CPU_THREADS, LockWait, State, Thread, threads};
pub use unwind::{Virtual, unwind};
