//! Ports that stand for something in the kernel.

use super::handle::SendRight;
use super::message::{Boxed, Carried, Right};
use crate::kernel::{Kernel, KernelRef};
use crate::task::Task;
use crate::vm::MemoryCopy;
use abi::KernReturn;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What a port stands for. A message to it is served at once, on the sender's thread, which may block; in any number of threads at a time.
pub trait KernelObject: Send + Sync {
    /// Serves a request of `task`. `None`: there is no answer, and whoever waits for one gets a send-once notification.
    fn message(&self, kernel: &KernelRef, task: &Arc<Task>, request: Request) -> Option<Answer>;

    /// Nobody can send to it any more; send rights were made `made` times. Called with no lock held.
    fn no_senders(&self, kernel: &KernelRef, made: u32) {
        let _ = (kernel, made);
    }

    /// The task that it stands for, if it is one.
    fn as_task(&self) -> Option<Arc<Task>> {
        None
    }
}

/// What comes with a message, or goes with an answer.
#[derive(Debug)]
pub enum Item {
    /// No right, a dead one, or one that the kernel has no use for.
    Nothing,
    /// A right to send.
    Port(SendRight),
    /// Bytes that came, or go, out of line.
    Memory(Vec<u8>),
}

/// A message to a kernel object.
#[derive(Debug)]
pub struct Request {
    /// What it is about.
    pub id: u32,
    /// What came with it.
    pub items: Vec<Item>,
    /// Its bytes, after header and descriptors.
    pub body: Vec<u8>,
}

/// The answer to a request.
#[derive(Debug, Default)]
pub struct Answer {
    /// What goes with it.
    pub items: Vec<Item>,
    /// Its bytes.
    pub body: Vec<u8>,
}

impl Carried {
    /// As kernel code has it.
    fn unpack(self, kernel: &KernelRef) -> Item {
        match self {
            Self::Memory(memory) => Item::Memory(memory.bytes()),
            Self::Right(right @ (Right::Send(_) | Right::SendOnce(_))) => {
                Item::Port(SendRight::new(kernel, right))
            }
            Self::Right(right) => {
                kernel.ipc(|ipc| ipc.release(right));
                Item::Nothing
            }
        }
    }

    /// As messages have it.
    ///
    /// # Errors
    /// ResourceShortage: no memory.
    pub(super) fn pack(kernel: &Kernel, item: Item) -> Result<Self, KernReturn> {
        match item {
            Item::Nothing => Ok(Self::Right(Right::Null)),
            Item::Port(right) => Ok(Self::Right(right.take())),
            Item::Memory(bytes) => MemoryCopy::of(kernel, &bytes).map(Self::Memory),
        }
    }
}

/// Lets `object` serve `message`, whose destination has been consumed, and sends the answer.
pub(super) fn serve(kernel: &KernelRef, task: &Arc<Task>, object: &dyn KernelObject, mut message: Boxed) {
    let id = message.id;
    let items = core::mem::take(&mut message.items);
    let items = items.into_iter().map(|item| item.unpack(kernel)).collect();
    let request = Request { id, items, body: core::mem::take(&mut message.body) };
    let answer = object.message(kernel, task, request);
    let reply = core::mem::replace(&mut message.reply, Right::Null);
    // What was sent is gone; only the answer is left.
    drop(message);
    let packed = answer.map(|answer| {
        // Memory for which there is none comes as no right: the receiver sees that something is missing.
        let pack = |item| Carried::pack(kernel, item).unwrap_or(Carried::Right(Right::Null));
        let items: Vec<_> = answer.items.into_iter().map(pack).collect();
        (items, answer.body)
    });
    kernel.ipc(|ipc| match packed {
        None => ipc.release(reply),
        Some((items, body)) => {
            let answer = ipc.message(id.wrapping_add(abi::io::REPLY), reply, items, body);
            let is_full = match answer.destination {
                Right::Send(port) => ipc.port(port).is_some_and(|port| !port.has_room()),
                _ => false,
            };
            if is_full { ipc.kill_message(answer) } else { ipc.deliver(answer) }
        }
    });
}
