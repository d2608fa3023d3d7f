//! What is to happen on a bus, in order of time.

use super::packet::Packet;
use super::phy::Reset;
use std::collections::BTreeMap;

/// Something that is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A bus reset begins; `by` tells who began it.
    Reset {
        /// How.
        kind: Reset,
        /// Nodes that began it.
        by: Vec<usize>,
    },
    /// The bus knows its tree again.
    SelfId,
    /// A packet reaches its receiver.
    Send {
        /// The sender.
        from: usize,
        /// The packet.
        packet: Packet,
        /// How often it was sent before.
        tries: u8,
    },
    /// A node asked for it.
    Timer {
        /// The node.
        node: usize,
        /// Its token.
        token: u64,
    },
    /// A response is too late.
    Timeout {
        /// Who waits.
        node: usize,
        /// The label.
        label: u8,
        /// The number of the request.
        serial: u64,
    },
    /// A cable has been in for long enough to count.
    Connect {
        /// The node whose cable to the controller it is.
        node: usize,
        /// A later pull or plug has another number.
        serial: u64,
    },
}

/// Things that can be waiting; more are dropped, which senders see as a lost packet.
const CAPACITY: usize = 8192;

/// What is to happen, earliest first; of one instant, in the order in which it was said.
#[derive(Default)]
pub struct Queue {
    entries: BTreeMap<(u64, u64), Happening>,
    serial: u64,
}

impl Queue {
    /// Adds something.
    pub fn push(&mut self, time: u64, happening: Happening) {
        if self.entries.len() < CAPACITY {
            self.serial += 1;
            self.entries.insert((time, self.serial), happening);
        }
    }

    /// When the next is due.
    pub fn next(&self) -> Option<u64> {
        self.entries.first_key_value().map(|((time, _), _)| *time)
    }

    /// Takes the next, if it is due.
    pub fn pop(&mut self, now: u64) -> Option<Happening> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop_first().map(|(_, happening)| happening)
    }

    /// Keeps what `keep` says.
    pub fn retain(&mut self, keep: impl Fn(&Happening) -> bool) {
        self.entries.retain(|_, happening| keep(happening));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
