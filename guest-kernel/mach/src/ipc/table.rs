//! The table of all ports and name spaces, and what is done when its lock is free again.

use super::BATCH;
use super::message::{Boxed, Carried, Message, Right};
use super::names::Names;
use super::object::KernelObject;
use super::port::{Port, PortId, Receiver};
use super::quota::Share;
use crate::counts::{Counts, Resource};
use crate::kernel::{Kernel, KernelRef};
use crate::vm::MemoryCopy;
use crate::wait::{WaitEvent, WaitMode};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A task's name space: the task's number.
pub(crate) type SpaceId = u32;

/// Something that died and has not been taken apart.
pub(super) enum Dead {
    Port(PortId, Box<Port>),
    Message(Boxed),
}

/// What must be done when the lock is free.
#[derive(Default)]
pub(crate) struct After {
    pub wakes: Vec<WaitEvent>,
    /// Dropped there.
    pub memory: Vec<MemoryCopy>,
    pub messages: Vec<Boxed>,
    pub ports: Vec<Box<Port>>,
}

impl After {
    fn carry_out(self, kernel: &Kernel) {
        for event in self.wakes {
            kernel.wakeup(event);
        }
    }
}

/// All ports and name spaces.
pub(crate) struct Ipc {
    pub(super) counts: Arc<Counts>,
    pub(super) ports: BTreeMap<PortId, Box<Port>>,
    pub(super) spaces: BTreeMap<SpaceId, Names>,
    last: u64,
    pub(super) dead: VecDeque<Dead>,
    pub(super) after: After,
    /// Objects that nobody can send to any more, with the make-send count of their ports.
    pub(super) orphans: VecDeque<(PortId, Arc<dyn KernelObject>, u32)>,
    /// What the reaper waits for.
    orphaned: WaitEvent,
}

impl Kernel {
    /// Does something with the table, and then what came of it: dead things are taken apart, waiters woken.
    pub(crate) fn ipc<R>(&self, f: impl FnOnce(&mut Ipc) -> R) -> R {
        let mut ipc = self.ipc.lock(self);
        let result = f(&mut ipc);
        loop {
            ipc.bury(BATCH);
            let done = ipc.dead.is_empty();
            let after = core::mem::take(&mut ipc.after);
            drop(ipc);
            after.carry_out(self);
            if done {
                return result;
            }
            ipc = self.ipc.lock(self);
        }
    }

    /// The reaper's loop: tells objects that nobody can send to them any more. It has a thread of its own, because that may block for long, and the
    /// last right may be given back by anybody, a thread that is being killed included.
    pub(crate) fn reap_ports(self: &KernelRef) {
        while !self.is_stopped() {
            let orphan = {
                let mut ipc = self.ipc.lock(self);
                let orphan = ipc.orphans.pop_front();
                if orphan.is_none() {
                    self.assert_wait(ipc.orphaned, WaitMode::Uninterruptible, None);
                }
                orphan
            };
            let Some((port, object, made)) = orphan else {
                self.block();
                continue;
            };
            // A sender may have been made again meanwhile.
            let is_alone = |ipc: &mut Ipc| ipc.port(port).is_some_and(|port| port.senders == 0);
            if self.ipc(is_alone) {
                object.no_senders(self, made);
            }
        }
    }
}

impl Ipc {
    /// An empty table, whose messages are counted in `counts`, and whose reaper waits for `orphaned`.
    pub(crate) fn new(counts: Arc<Counts>, orphaned: WaitEvent) -> Self {
        Self {
            counts,
            ports: BTreeMap::new(),
            spaces: BTreeMap::new(),
            last: 0,
            dead: VecDeque::new(),
            after: After::default(),
            orphans: VecDeque::new(),
            orphaned,
        }
    }

    /// A message of the kernel's own to `destination`.
    pub(crate) fn message(&self, id: u32, destination: Right, items: Vec<Carried>, body: Vec<u8>) -> Boxed {
        Box::new(Message {
            id,
            destination,
            reply: Right::Null,
            items,
            body,
            sequence: 0,
            share: None,
            _live: self.counts.one(Resource::Message),
        })
    }

    /// Adds a port, whose receive right is in the caller's hands.
    pub(crate) fn create(&mut self, kernel: &Kernel) -> (PortId, &mut Port) {
        self.last += 1;
        let id = PortId(self.last);
        let events = [kernel.new_event(), kernel.new_event()];
        let port = Box::new(Port::new(events, kernel.counts.one(Resource::Port)));
        (id, self.ports.entry(id).or_insert(port))
    }

    /// A port that lives.
    pub(crate) fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(&id).map(|port| &**port)
    }

    /// A port that lives, to be changed.
    pub(crate) fn port_mut(&mut self, id: PortId) -> Option<&mut Port> {
        self.ports.get_mut(&id).map(|port| &mut **port)
    }

    /// A new send right to a port that lives; else a dead one.
    pub(crate) fn make_send(&mut self, id: PortId) -> Right {
        let Some(port) = self.port_mut(id) else { return Right::Dead };
        port.senders += 1;
        port.made = port.made.wrapping_add(1);
        Right::Send(id)
    }

    /// One more send right beside one that there is.
    pub(crate) fn copy_send(&mut self, id: PortId) -> Right {
        let Some(port) = self.port_mut(id) else { return Right::Dead };
        port.senders += 1;
        Right::Send(id)
    }

    /// A new send-once right to a port that lives; else a dead one.
    pub(crate) fn make_send_once(&mut self, id: PortId) -> Right {
        let Some(port) = self.port_mut(id) else { return Right::Dead };
        port.send_once += 1;
        Right::SendOnce(id)
    }

    /// An object has lost its last sender: the reaper tells it.
    pub(super) fn orphan(&mut self, id: PortId, object: Arc<dyn KernelObject>, made: u32) {
        self.orphans.push_back((id, object, made));
        self.after.wakes.push(self.orphaned);
    }

    /// Waiters for messages of `id` look again: those of its set, if it is a member of one.
    pub(super) fn wake_receivers(&mut self, id: PortId) {
        let Some(port) = self.ports.get(&id) else { return };
        self.after.wakes.push(port.arrivals);
        if let (Some(set), Receiver::Space(space, _)) = (port.set, port.receiver)
            && let Some(super::entry::Entry::Set { arrivals, .. }) =
                self.spaces.get(&space).and_then(|names| names.get(set))
        {
            self.after.wakes.push(*arrivals);
        }
    }

    /// Queues a message at the port of its destination, whatever the limit says; wakes receivers. One that nobody could receive dies.
    pub(crate) fn deliver(&mut self, mut message: Boxed) {
        let (Right::Send(id) | Right::SendOnce(id)) = message.destination else {
            return self.dead.push_back(Dead::Message(message));
        };
        let port = self.ports.get(&id).filter(|port| port.object.is_none());
        // The kernel's own messages are on the account of who made the port: he asked for them.
        let quota = port.and_then(|port| port.share.as_ref()).map(Share::quota);
        let is_paid = match quota.filter(|_| message.share.is_none()) {
            None => true,
            Some(quota) => {
                message.share = quota.message(message.body.len()).ok();
                message.share.is_some()
            }
        };
        if port.is_none() || !is_paid || self.is_circular(&message, id) {
            return self.dead.push_back(Dead::Message(message));
        }
        for moved in message.received_ports() {
            if let Some(port) = self.ports.get_mut(&moved) {
                port.receiver = Receiver::Queued(id);
            }
        }
        if let Some(port) = self.ports.get_mut(&id) {
            message.sequence = port.sequence;
            port.sequence += 1;
            port.queue.push_back(message);
        }
        self.wake_receivers(id);
    }

    /// Takes the first message of a port; wakes senders.
    pub(super) fn dequeue(&mut self, id: PortId) -> Option<Boxed> {
        let port = self.ports.get_mut(&id)?;
        let had_room = port.has_room();
        let message = port.queue.pop_front()?;
        let (has_room, room) = (port.has_room(), port.room);
        if has_room && !had_room {
            self.after.wakes.push(room);
        }
        for moved in message.received_ports() {
            if let Some(port) = self.ports.get_mut(&moved) {
                port.receiver = Receiver::Hand;
            }
        }
        Some(message)
    }

    /// Whether a message to port `to` carries a receive right of that port, or of one at which that is queued, directly or by way of others.
    fn is_circular(&self, message: &Message, to: PortId) -> bool {
        message.received_ports().any(|moved| {
            let mut at = to;
            // Ends: what is queued in a circle was never let in.
            loop {
                if at == moved {
                    return true;
                }
                match self.ports.get(&at).map(|port| port.receiver) {
                    Some(Receiver::Queued(next)) => at = next,
                    _ => return false,
                }
            }
        })
    }
}

impl Message {
    /// Ports whose receive rights it carries.
    fn received_ports(&self) -> impl Iterator<Item = PortId> {
        self.items.iter().filter_map(|item| match item {
            Carried::Right(Right::Receive(id)) => Some(*id),
            _ => None,
        })
    }
}
