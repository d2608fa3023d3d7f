//! Tasks: an address space, a name space, and threads.
//!
//! A task's threads run a [`Program`]: an image in the processor's user mode, or a native one, which is kernel code that behaves like user code: it
//! reaches memory and ports through its [`UserThread`] only. On a machine without user mode there are native programs only.
//!
//! # Death
//!
//! A task may be terminated by anybody at any moment ([`Task::terminate`]). Who terminates it does, in this order: nothing new begins (no thread, no trap); threads are
//! told to give up interruptible waits and to leave user code; names and memory are taken away, so that ports die and objects
//! learn that their last sender is gone, though threads may still be inside of calls. Threads end where they next cross the
//! boundary between user and kernel; they are never stopped inside the kernel. The last one lets the task go.
//!
//! A task whose last thread ends is terminated by it.

mod create;
mod death;
mod elf;
mod exception;
mod hardware;
mod program;
mod table;
mod trap;
mod user;

pub use elf::ImageError;
pub use program::{Image, NativeProgram, Piece, Program};
pub use table::{TASKS_MAX, Task, TaskId, TaskPlan};
pub use user::{Fault, UserThread};

pub(crate) use table::{TaskTable, TaskTag};

/// Threads of one task at the most.
pub const THREADS_MAX: usize = 16;
