//! Ports and messages.
//!
//! A **port** is a queue of messages that one task receives from (or the kernel: then it stands for an [object](KernelObject), and a message to it is
//! served on the sender's thread). A **right** is what a task, a message or the kernel has of a port: to receive, to send, to send once. A task
//! knows its rights by **names**, which mean something in its own name space only.
//!
//! # Identity instead of references
//!
//! All ports and name spaces are in one table (`Ipc`), and refer to each other by numbers that are never used again. So nothing is kept
//! alive by a circle: a port is there as long as somebody can receive from it (its receive right is in a name space, in a
//! message that is queued at a port that is there, or the kernel's), and a right to a port that is not there is dead.
//! What a message carries is counted; whoever takes a message apart must give back what he does not keep (`Ipc::release`).
//!
//! A receive right may not be queued at its own port, or at a port whose receive right is queued, directly or by way of others, at that one:
//! nobody could ever receive it. Such a message is accepted and destroyed, as Mach does (`ipc_port_check_circularity`).
//!
//! # Locks
//!
//! One spin lock for the table, for the reason of the scheduler's: rights move between name spaces, messages and queues in one step. Order:
//!
//! 1. blocking locks of maps; not held when any of the others is taken
//! 2. a task's table of threads, the table of tasks
//! 3. the table of ports
//! 4. the scheduler's lock
//!
//! Under the lock nothing blocks, no user memory is touched, no object is called or dropped: that is written down (`After`) and done when
//! the lock is free. What dies there is taken apart in pieces of `BATCH`, with the lock dropped between them, from a list, not by
//! recursion: a chain of a thousand ports, each in a message queued at the next, needs no more stack than one.
//!
//! # Limits
//!
//! Names of a task, messages of a queue ([`abi::port`]), and for each task what it made and what it sent that is still queued (`Quota`).

mod copyin;
mod copyout;
mod death;
mod entry;
mod foresight;
mod handle;
mod manage;
mod message;
mod names;
mod notification;
mod object;
mod port;
mod quota;
mod receive;
mod send;
mod table;

pub use handle::{KernelPort, SendRight};
pub(crate) use message::Right;
pub(crate) use notification::Wanted as WantedNotification;
pub use object::{Answer, Item, KernelObject, Request};
pub(crate) use port::PortId;
pub(crate) use quota::Quota;
pub use quota::{MESSAGE_BYTES_MAX, PORTS_MAX};
pub(crate) use receive::{Wanted, receive};
pub(crate) use send::send;
pub(crate) use table::Ipc;

/// Dead things that are taken apart in one holding of the lock.
pub(crate) const BATCH: usize = 32;
