//! How rights are given back, and what dies with them.

use super::entry::Entry;
use super::message::{Boxed, Carried, Right};
use super::port::{Port, PortId, Receiver};
use super::table::{Dead, Ipc, SpaceId};
use crate::kernel::Kernel;
use abi::notify;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Ipc {
    /// Gives a right back. The last send right tells of itself; a send-once right that was not used does; a receive right takes its port with
    /// it, or goes to whoever wants it.
    pub(crate) fn release(&mut self, right: Right) {
        match right {
            Right::Null | Right::Dead => {}
            Right::Send(id) => self.release_send(id),
            // The message takes the right with it.
            Right::SendOnce(_) => self.notify(right, notify::SEND_ONCE, None, Vec::new()),
            Right::Receive(id) => self.release_receive(id),
        }
    }

    /// Gives back the right by which a message went, which has been used or cannot be.
    pub(super) fn consume(&mut self, right: Right) {
        match right {
            Right::SendOnce(id) => {
                if let Some(port) = self.port_mut(id) {
                    port.send_once = port.send_once.saturating_sub(1);
                }
            }
            other => self.release(other),
        }
    }

    fn release_send(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        port.senders = port.senders.saturating_sub(1);
        if port.senders > 0 {
            return;
        }
        let made = port.made;
        if let Some(object) = port.object.clone() {
            self.orphan(id, object, made);
        } else if let Some(told) = port.no_senders.take() {
            self.notify(told, notify::NO_SENDERS, None, made.to_le_bytes().to_vec());
        }
    }

    fn release_receive(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        port.receiver = Receiver::Hand;
        match port.port_destroyed.take() {
            Some(told) => self.notify(told, notify::PORT_DESTROYED, Some(Right::Receive(id)), Vec::new()),
            None => {
                if let Some(port) = self.ports.remove(&id) {
                    self.dead.push_back(Dead::Port(id, port));
                }
            }
        }
    }

    /// Sends a notification to a send-once right.
    pub(super) fn notify(&mut self, told: Right, id: u32, right: Option<Right>, body: Vec<u8>) {
        let items = right.into_iter().map(Carried::Right).collect();
        let message = self.message(id, told, items, body);
        self.deliver(message);
    }

    /// A message that nobody will receive.
    pub(crate) fn kill_message(&mut self, message: Boxed) {
        self.dead.push_back(Dead::Message(message));
    }

    /// Takes `count` dead things apart.
    pub(super) fn bury(&mut self, count: usize) {
        for _ in 0..count {
            match self.dead.pop_front() {
                Some(Dead::Message(message)) => self.bury_message(message),
                Some(Dead::Port(id, port)) => self.bury_port(id, port),
                None => return,
            }
        }
    }

    fn bury_message(&mut self, mut message: Boxed) {
        let destination = core::mem::replace(&mut message.destination, Right::Null);
        self.consume(destination);
        let reply = core::mem::replace(&mut message.reply, Right::Null);
        self.release(reply);
        for item in core::mem::take(&mut message.items) {
            self.discard(item);
        }
        self.after.messages.push(message);
    }

    /// Gives back what a message carried.
    pub(super) fn discard(&mut self, item: Carried) {
        match item {
            Carried::Right(right) => self.release(right),
            Carried::Memory(memory) => self.after.memory.push(memory),
        }
    }

    fn bury_port(&mut self, id: PortId, mut port: Box<Port>) {
        self.after.wakes.extend([port.arrivals, port.room]);
        let queue = core::mem::take(&mut port.queue);
        self.dead.extend(queue.into_iter().map(Dead::Message));
        if let Some(told) = port.no_senders.take() {
            self.release(told);
        }
        for (space, name) in core::mem::take(&mut port.watchers) {
            let entry = self.spaces.get(&space).and_then(|names| names.get(name));
            if entry.and_then(Entry::port) == Some(id) {
                self.refresh(space, name);
            }
        }
        self.after.ports.push(port);
    }

    /// If `name` means a right whose port died, it is a dead name from now on, and who asked for that is told.
    pub(super) fn refresh(&mut self, space: SpaceId, name: u32) {
        let Some(names) = self.spaces.get_mut(&space) else { return };
        let Some(port) = names.get(name).and_then(Entry::port) else { return };
        if self.ports.contains_key(&port) {
            return;
        }
        let dead = Entry::Dead { references: 1 };
        let Some(mut before) = names.replace(name, dead) else { return };
        let told = before.request().and_then(Option::take);
        let kept = before.references(abi::port::Right::Send).max(1) + u32::from(told.is_some());
        if let Some(Entry::Dead { references }) = names.get_mut(name) {
            *references = kept.min(abi::port::REFERENCES_MAX);
        }
        if let Some(told) = told {
            self.notify(told, notify::DEAD_NAME, None, name.to_le_bytes().to_vec());
        }
    }

    /// Gives back all that `name` of `space` meant, which is `entry`.
    pub(super) fn release_entry(&mut self, space: SpaceId, name: u32, mut entry: Entry) {
        if let Some(told) = entry.request().and_then(Option::take) {
            self.unwatch(&entry, space, name);
            self.release(told);
        }
        match entry {
            Entry::Port { port, receive, send, .. } => {
                if receive {
                    self.leave_space(port);
                    self.release(Right::Receive(port));
                }
                if send > 0 {
                    self.release(Right::Send(port));
                }
            }
            Entry::SendOnce { port, .. } => self.release(Right::SendOnce(port)),
            Entry::Set { arrivals, members } => {
                for member in members {
                    if let Some(port) = self.port_mut(member) {
                        port.set = None;
                    }
                }
                self.after.wakes.push(arrivals);
            }
            Entry::Dead { .. } => {}
        }
    }

    fn unwatch(&mut self, entry: &Entry, space: SpaceId, name: u32) {
        if let Some(port) = entry.port().and_then(|id| self.port_mut(id)) {
            port.watchers.retain(|&watcher| watcher != (space, name));
        }
    }

    /// The request of `entry`, which is taken out of `name`, goes with it.
    pub(super) fn drop_request(&mut self, entry: &mut Entry, space: SpaceId, name: u32) {
        if let Some(told) = entry.request().and_then(Option::take) {
            self.unwatch(entry, space, name);
            self.release(told);
        }
    }

    /// The receive right of `id` leaves its name space: no set has it, and who waits for messages is told.
    pub(super) fn leave_space(&mut self, id: PortId) {
        self.leave_set(id);
        if let Some(port) = self.ports.get_mut(&id) {
            port.receiver = Receiver::Hand;
            self.after.wakes.push(port.arrivals);
        }
    }

    /// Takes a port out of its set; whether it was in one.
    pub(super) fn leave_set(&mut self, id: PortId) -> bool {
        let Some(port) = self.ports.get_mut(&id) else { return false };
        let (Some(set), Receiver::Space(space, _)) = (port.set.take(), port.receiver) else { return false };
        let names = self.spaces.get_mut(&space);
        if let Some(Entry::Set { members, .. }) = names.and_then(|names| names.get_mut(set)) {
            members.retain(|&member| member != id);
        }
        true
    }
}

impl Kernel {
    /// A task's names mean nothing any more; what it had is given back.
    pub(crate) fn destroy_space(&self, space: SpaceId) {
        let Some(mut names) = self.ipc(|ipc| ipc.spaces.remove(&space)) else { return };
        let mut from = 0;
        while names.next(from).is_some() {
            self.ipc(|ipc| {
                for _ in 0..super::BATCH {
                    let Some((at, name)) = names.next(from) else { return };
                    from = at + 1;
                    if let Some(entry) = names.remove(name) {
                        ipc.release_entry(space, name, entry);
                    }
                }
            });
        }
    }
}
