//! Requests for notifications.

use super::entry::Entry;
use super::message::Right;
use super::table::{Ipc, SpaceId};
use abi::{Disposition, KernReturn, notify};

/// What a task asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// About which name.
    pub name: u32,
    /// See [`abi::notify`].
    pub id: u32,
    /// For no-senders: told at once if there are none and so many were made.
    pub sync: u32,
    /// Who is to be told; 0 = nobody any more.
    pub told: u32,
    pub disposition: Disposition,
}

impl Ipc {
    /// Asks for a notification; a name for what was asked for before, 0 if nothing was.
    ///
    /// # Errors
    /// InvalidArgument, InvalidName, InvalidRight; NoSpace for the name of what was asked for before, which is told then that it died.
    pub(crate) fn request(&mut self, space: SpaceId, wanted: Wanted) -> Result<u32, KernReturn> {
        let makes_once = matches!(wanted.disposition, Disposition::MakeSendOnce | Disposition::MoveSendOnce);
        if wanted.told != abi::port::NULL && !makes_once {
            return Err(KernReturn::InvalidArgument);
        }
        match wanted.id {
            notify::NO_SENDERS | notify::PORT_DESTROYED => _ = self.receive_right(space, wanted.name)?,
            // A send-once right cannot be told of its own death: it would be moved away.
            _ if wanted.told == wanted.name && wanted.disposition == Disposition::MoveSendOnce => {
                return Err(KernReturn::InvalidArgument);
            }
            // Before anything is taken: who is to be told would be lost.
            _ if matches!(self.look(space, wanted.name)?, Entry::Set { .. }) => {
                return Err(KernReturn::InvalidRight);
            }
            _ => {}
        }
        let told = self.take_right(space, wanted.told, wanted.disposition)?;
        let told = match told {
            Right::SendOnce(_) => Some(told),
            _ => None,
        };
        let before = match wanted.id {
            notify::NO_SENDERS => self.request_no_senders(space, wanted, told),
            notify::PORT_DESTROYED => self.request_port_destroyed(space, wanted, told),
            _ => self.request_dead_name(space, wanted, told),
        };
        match before? {
            Some(right) => self.put_right(space, right),
            None => Ok(abi::port::NULL),
        }
    }

    fn request_no_senders(
        &mut self,
        space: SpaceId,
        wanted: Wanted,
        told: Option<Right>,
    ) -> Result<Option<Right>, KernReturn> {
        let (_, port) = match self.receive_right(space, wanted.name) {
            Ok(found) => found,
            Err(why) => return self.refuse(told, why),
        };
        let before = core::mem::replace(&mut port.no_senders, told);
        if port.senders == 0
            && wanted.sync <= port.made
            && let Some(told) = port.no_senders.take()
        {
            let made = port.made;
            self.notify(told, notify::NO_SENDERS, None, made.to_le_bytes().to_vec());
        }
        Ok(before)
    }

    fn request_port_destroyed(
        &mut self,
        space: SpaceId,
        wanted: Wanted,
        told: Option<Right>,
    ) -> Result<Option<Right>, KernReturn> {
        match self.receive_right(space, wanted.name) {
            Ok((_, port)) => Ok(core::mem::replace(&mut port.port_destroyed, told)),
            Err(why) => self.refuse(told, why),
        }
    }

    fn request_dead_name(
        &mut self,
        space: SpaceId,
        wanted: Wanted,
        told: Option<Right>,
    ) -> Result<Option<Right>, KernReturn> {
        let entry = match self.look(space, wanted.name) {
            Ok(entry) => entry,
            Err(why) => return self.refuse(told, why),
        };
        if let Entry::Dead { references } = entry {
            // It has happened already.
            let Some(told) = told else { return Err(KernReturn::InvalidArgument) };
            *references = (*references + 1).min(abi::port::REFERENCES_MAX);
            self.notify(told, notify::DEAD_NAME, None, wanted.name.to_le_bytes().to_vec());
            return Ok(None);
        }
        let port = entry.port();
        let Some(place) = entry.request() else { return self.refuse(told, KernReturn::InvalidRight) };
        let watches = told.is_some();
        let before = core::mem::replace(place, told);
        if let Some(port) = port.and_then(|id| self.port_mut(id)) {
            port.watchers.retain(|&watcher| watcher != (space, wanted.name));
            if watches {
                port.watchers.push((space, wanted.name));
            }
        }
        Ok(before)
    }

    fn refuse<T>(&mut self, told: Option<Right>, why: KernReturn) -> Result<T, KernReturn> {
        if let Some(told) = told {
            self.release(told);
        }
        Err(why)
    }
}
