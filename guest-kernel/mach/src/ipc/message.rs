//! Messages in the kernel.

use super::port::PortId;
use super::quota::Share;
use crate::counts::Live;
use crate::vm::MemoryCopy;
use abi::message::{DESCRIPTOR_BYTES, HEADER_BYTES};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A right that is in no name space: in a message, or in the kernel's hands. Counted at its port; to be given back with
/// [`Ipc::release`](super::Ipc::release) by whoever does not pass it on.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a right that is forgotten is a leak"]
pub(crate) enum Right {
    /// None.
    Null,
    /// One whose port died.
    Dead,
    Send(PortId),
    SendOnce(PortId),
    Receive(PortId),
}

/// What a message carries beside bytes.
#[must_use = "what a message carries must be kept or given back"]
pub(crate) enum Carried {
    Right(Right),
    Memory(MemoryCopy),
}

/// A message.
pub(crate) struct Message {
    pub id: u32,
    /// The right by which it goes. It counts as a sender as long as the message is queued.
    pub destination: Right,
    pub reply: Right,
    pub items: Vec<Carried>,
    pub body: Vec<u8>,
    pub sequence: u64,
    /// Of the sender's; `None`: the kernel's.
    pub share: Option<Share>,
    pub _live: Live,
}

impl Message {
    /// Bytes that a receiver needs for it.
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES + self.items.len() * DESCRIPTOR_BYTES + self.body.len()
    }
}

/// A message on the heap, as queues have them.
pub(crate) type Boxed = Box<Message>;
