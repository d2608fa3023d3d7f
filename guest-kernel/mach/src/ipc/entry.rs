//! What a name means.

use super::message::Right;
use super::port::PortId;
use crate::wait::WaitEvent;
use abi::port::Right as Kind;
use alloc::collections::VecDeque;

/// The meaning of a name.
pub(crate) enum Entry {
    /// Rights to a port that share a name: to receive, and `send` user references of a right to send.
    Port {
        port: PortId,
        receive: bool,
        send: u32,
        /// Send-once right that is told when the port dies.
        request: Option<Right>,
    },
    /// The right to send once. Each has a name of its own.
    SendOnce { port: PortId, request: Option<Right> },
    /// A set; its members know it by its name. The one that was received from goes to the end.
    Set { arrivals: WaitEvent, members: VecDeque<PortId> },
    /// What is left of a right whose port died.
    Dead { references: u32 },
}

impl Entry {
    /// Its port.
    pub(crate) fn port(&self) -> Option<PortId> {
        match self {
            Self::Port { port, .. } | Self::SendOnce { port, .. } => Some(*port),
            Self::Set { .. } | Self::Dead { .. } => None,
        }
    }

    /// User references of `kind`.
    pub(crate) fn references(&self, kind: Kind) -> u32 {
        match (self, kind) {
            (Self::Port { send, .. }, Kind::Send) => *send,
            (Self::Port { receive, .. }, Kind::Receive) => u32::from(*receive),
            (Self::SendOnce { .. }, Kind::SendOnce) | (Self::Set { .. }, Kind::PortSet) => 1,
            (Self::Dead { references }, Kind::DeadName) => *references,
            _ => 0,
        }
    }

    /// The place of the request for a notification of the port's death.
    pub(crate) fn request(&mut self) -> Option<&mut Option<Right>> {
        match self {
            Self::Port { request, .. } | Self::SendOnce { request, .. } => Some(request),
            Self::Set { .. } | Self::Dead { .. } => None,
        }
    }
}
