//! From rights to names.

use super::entry::Entry;
use super::message::Right;
use super::port::{PortId, Receiver};
use super::table::{Ipc, SpaceId};
use abi::KernReturn;
use abi::port::{DEAD, NULL, REFERENCES_MAX};

impl Ipc {
    /// Gives a right to a task: its name there.
    ///
    /// # Errors
    /// NoSpace: there are too many names. Terminated. The right is given back then.
    pub(crate) fn put_right(&mut self, space: SpaceId, right: Right) -> Result<u32, KernReturn> {
        match right {
            Right::Null => Ok(NULL),
            Right::Dead => Ok(DEAD),
            Right::Send(id) | Right::SendOnce(id) | Right::Receive(id) if !self.ports.contains_key(&id) => {
                Ok(DEAD)
            }
            Right::Send(id) => self.put_send(space, id),
            Right::SendOnce(port) => {
                self.put_entry(space, Entry::SendOnce { port, request: None }, Right::SendOnce(port))
            }
            Right::Receive(id) => self.put_receive(space, id),
        }
    }

    fn put_entry(&mut self, space: SpaceId, entry: Entry, right: Right) -> Result<u32, KernReturn> {
        let answer = match self.spaces.get_mut(&space) {
            None => Err(KernReturn::Terminated),
            Some(names) => names.insert(entry).map_err(|(why, _)| why),
        };
        if answer.is_err() {
            self.release(right);
        }
        answer
    }

    /// The entry that may stand for several rights to `port`, and its name.
    fn shared_entry(&mut self, space: SpaceId, port: PortId) -> Option<(u32, &mut Entry)> {
        let names = self.spaces.get_mut(&space)?;
        let name = names.name_of(port)?;
        Some((name, names.get_mut(name)?))
    }

    fn put_send(&mut self, space: SpaceId, port: PortId) -> Result<u32, KernReturn> {
        if let Some((name, Entry::Port { send, .. })) = self.shared_entry(space, port) {
            let had_one = *send > 0;
            // At the limit it stays: no more can be counted.
            *send = (*send + 1).min(REFERENCES_MAX);
            if had_one {
                self.release(Right::Send(port));
            }
            return Ok(name);
        }
        let entry = Entry::Port { port, receive: false, send: 1, request: None };
        self.put_entry(space, entry, Right::Send(port))
    }

    fn put_receive(&mut self, space: SpaceId, port: PortId) -> Result<u32, KernReturn> {
        let name = match self.shared_entry(space, port) {
            Some((name, Entry::Port { receive, .. })) => {
                *receive = true;
                name
            }
            _ => {
                let entry = Entry::Port { port, receive: true, send: 0, request: None };
                self.put_entry(space, entry, Right::Receive(port))?
            }
        };
        if let Some(port) = self.port_mut(port) {
            port.receiver = Receiver::Space(space, name);
            port.set = None;
        }
        Ok(name)
    }
}
