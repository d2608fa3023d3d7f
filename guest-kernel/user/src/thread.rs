//! More threads in the task.
//!
//! A new thread begins where the task began, with another argument: the address of a page that tells it what it is for. 0 is the first thread's.

use crate::memory::Memory;
use crate::os::{Os, Result};
use abi::Trap;
use abi::space::STACK_BYTES;

/// Starts a thread with `argument`, which is not 0, on a stack of its own.
///
/// # Errors
/// The kernel's.
pub fn spawn(os: &dyn Os, argument: u64) -> Result<u64> {
    let stack = Memory::new(os, STACK_BYTES)?;
    let top = stack.address() + stack.bytes();
    let thread = os.call(Trap::ThreadCreate, &[os.thread_entry(), top, argument]);
    if thread.is_err() {
        stack.free()?;
    }
    thread
}
