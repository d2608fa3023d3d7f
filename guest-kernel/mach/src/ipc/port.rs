//! Ports.

use super::message::{Boxed, Right};
use super::object::KernelObject;
use super::quota::Share;
use super::table::SpaceId;
use crate::counts::Live;
use crate::wait::WaitEvent;
use abi::port::QUEUE_LIMIT_DEFAULT;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A port's number: never 0, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PortId(pub u64);

/// Who has the receive right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// A name space, under this name.
    Space(SpaceId, u32),
    /// A message that is queued at this port.
    Queued(PortId),
    /// Whoever holds a message in his hands, or the kernel.
    Hand,
}

/// A port. While it is in the table, somebody can receive from it, or will.
pub(crate) struct Port {
    pub receiver: Receiver,
    /// What it stands for, if it is the kernel's.
    pub object: Option<Arc<dyn KernelObject>>,
    pub queue: VecDeque<Boxed>,
    pub limit: u32,
    pub sequence: u64,
    /// Send rights: one for each name space that has any, and those in messages and hands.
    pub senders: u32,
    /// How many were ever made from the receive right.
    pub made: u32,
    pub send_once: u32,
    /// The set that it is a member of, by its name in the receiver's space.
    pub set: Option<u32>,
    /// Waiters for messages.
    pub arrivals: WaitEvent,
    /// Waiters for room.
    pub room: WaitEvent,
    /// Send-once right that is told when no send right is left.
    pub no_senders: Option<Right>,
    /// Send-once right that gets the receive right when that dies.
    pub port_destroyed: Option<Right>,
    /// Who wants to know of the port's death: names with a request.
    pub watchers: Vec<(SpaceId, u32)>,
    pub share: Option<Share>,
    pub _live: Live,
}

impl Port {
    /// A port without rights; its receive right is in somebody's hands.
    pub(crate) fn new(events: [WaitEvent; 2], live: Live) -> Self {
        let [arrivals, room] = events;
        Self {
            receiver: Receiver::Hand,
            object: None,
            queue: VecDeque::new(),
            limit: QUEUE_LIMIT_DEFAULT,
            sequence: 0,
            senders: 0,
            made: 0,
            send_once: 0,
            set: None,
            arrivals,
            room,
            no_senders: None,
            port_destroyed: None,
            watchers: Vec::new(),
            share: None,
            _live: live,
        }
    }

    /// Whether there is room for a message that has to wait for it.
    pub(crate) fn has_room(&self) -> bool {
        self.queue.len() < self.limit as usize
    }
}
