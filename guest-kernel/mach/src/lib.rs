//! The portable part of Workgate's kernel: threads, bands, dispatcher, wait queues, locks, thread calls; tasks, ports, virtual memory.
//!
//! It touches the machine only through [`seam::Machine`], keeps no mutable statics (all hangs off one
//! [`Kernel`] value), and is the same code in the guest and in the simulator.
//!
//! Four principles:
//!
//! 1. **One lock for the scheduler.** Run queues, wait hash, deadlines and priorities change together under it, with interrupts
//!    masked; so no wake-up falls between two of them.
//! 2. **The dispatcher picks, and does nothing else.** It takes the first thread of the highest level and switches to it.
//!    The scheduler moves threads between run queues and keeps the statistics; what moves priorities is the thread's policy, a few answers that
//!    the scheduler asks for, and push (S7). So a new policy touches neither queues nor switches, and no policy can slow the pick down.
//! 3. **Say, then block.** A thread asserts its wait, tests its condition, then blocks: nothing is lost in between.
//! 4. **Interrupt level only marks.** Handlers wake threads and set flags; switching happens when the interrupt is over.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
pub mod band;
mod call;
mod counts;
mod dispatch;
mod dma;
mod dump;
mod interrupt;
mod inversion;
pub mod ipc;
mod kernel;
mod lock_order;
mod log;
mod masking;
mod mutex;
pub mod policy;
mod preemption;
mod publish;
mod push;
mod recursive;
pub mod run_queue;
mod rw_lock;
mod scheduler;
pub mod seam;
mod spin_lock;
mod stats;
pub mod task;
mod thread;
mod timer;
mod upcalls;
pub mod vm;
mod wait;
mod waiting;
mod wired;

pub use account::{FAIL_SAFE_800_QUANTA, FAIL_SAFE_MODERN};
pub use call::ThreadCall;
pub use dma::DmaBuffer;
pub use interrupt::{Handler, Interrupts, LineId, NoVector};
pub use kernel::{CommandHandler, Kernel, KernelRef};
pub use lock_order::{LockClass, MAX_CLASSES};
pub use log::{LOG_BYTES, LOG_DRAIN};
pub use masking::Masked;
pub use mutex::{Mutex, MutexRef};
pub use policy::{Policy, QUANTUM};
pub use preemption::{Preemption, is_urgent};
pub use recursive::RecursiveLock;
pub use run_queue::RunQueues;
pub use rw_lock::{ReadRef, RwLock, WriteRef};
pub use seam::OutOfMemory;
pub use spin_lock::{SpinGuard, SpinLock};
pub use stats::{BUCKETS, CpuStatistics, Histogram, Statistics, ThreadStatistics, Times};
pub use thread::{RunState, Thread};
pub use wait::{WaitEvent, WaitMode, WaitResult};
pub use wired::Wired;
