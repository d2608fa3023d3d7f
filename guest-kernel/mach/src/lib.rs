//! The portable part of Workgate's kernel: threads, bands, dispatcher, wait queues, locks, thread calls.
//!
//! It touches the machine only through [`seam::Machine`], keeps no mutable statics (all hangs off one
//! [`Kernel`] value), and is the same code in the guest and in the simulator.
//!
//! Four principles:
//!
//! 1. **One lock for the scheduler.** Run queues, wait hash, deadlines and priorities change together under it, with interrupts
//!    masked; so no wake-up falls between two of them.
//! 2. **The dispatcher picks, and does nothing else.** What moves priorities (push, policies) moves threads between run queues.
//! 3. **Say, then block.** A thread asserts its wait, tests its condition, then blocks: nothing is lost in between.
//! 4. **Interrupt level only marks.** Handlers wake threads and set flags; switching happens when the interrupt is over.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod band;
mod call;
mod dispatch;
mod dma;
mod dump;
mod interrupt;
mod kernel;
mod masking;
mod mutex;
mod policy;
mod push;
mod recursive;
mod run_queue;
pub mod seam;
mod spin_lock;
mod thread;
mod upcalls;
mod wait;
mod waiting;

pub use call::ThreadCall;
pub use dma::DmaBuffer;
pub use interrupt::{Handler, Interrupts, LineId, NoVector};
pub use kernel::{CommandHandler, Kernel, KernelRef};
pub use masking::Masked;
pub use mutex::{Mutex, MutexRef};
pub use policy::QUANTUM;
pub use recursive::RecursiveLock;
pub use run_queue::RunQueues;
pub use seam::OutOfMemory;
pub use spin_lock::{SpinGuard, SpinLock};
pub use thread::{Policy, RunState, Thread};
pub use wait::{WaitEvent, WaitMode, WaitResult};
