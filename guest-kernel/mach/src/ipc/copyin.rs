//! From names to rights.

use super::entry::Entry;
use super::foresight::Meaning;
use super::message::Right;
use super::table::{Ipc, SpaceId};
use abi::{Disposition, KernReturn};

impl Ipc {
    /// What `name` of `space` means now.
    ///
    /// # Errors
    /// Terminated: the space is gone. InvalidName.
    pub(super) fn look(&mut self, space: SpaceId, name: u32) -> Result<&mut Entry, KernReturn> {
        self.refresh(space, name);
        let names = self.spaces.get_mut(&space).ok_or(KernReturn::Terminated)?;
        names.get_mut(name).ok_or(KernReturn::InvalidName)
    }

    /// Takes, copies or makes the right that `name` and `disposition` say. Of a dead name comes a dead right.
    ///
    /// # Errors
    /// Terminated; InvalidName; InvalidRight: the name means another kind of right. Then nothing has changed.
    pub(crate) fn take_right(
        &mut self,
        space: SpaceId,
        name: u32,
        disposition: Disposition,
    ) -> Result<Right, KernReturn> {
        if name == abi::port::NULL {
            return Ok(Right::Null);
        }
        if name == abi::port::DEAD {
            return Ok(Right::Dead);
        }
        let entry = self.look(space, name)?;
        // Which rights can be taken of what is said there, so that it is the same when it is only looked at.
        Meaning::of(entry).without(disposition)?;
        match (&*entry, disposition) {
            (&Entry::Port { port, .. }, Disposition::MakeSend) => Ok(self.make_send(port)),
            (&Entry::Port { port, .. }, Disposition::MakeSendOnce) => Ok(self.make_send_once(port)),
            (&Entry::Port { port, .. }, Disposition::CopySend) => Ok(self.copy_send(port)),
            (&Entry::Port { port, .. }, Disposition::MoveSend) => {
                // A new one in hand first: this is not the moment when the last one goes.
                let right = self.copy_send(port);
                self.change_send(space, name, -1)?;
                Ok(right)
            }
            (&Entry::Port { port, .. }, Disposition::MoveReceive) => {
                self.leave_space(port);
                self.without_receive(space, name);
                Ok(Right::Receive(port))
            }
            (&Entry::SendOnce { port, .. }, Disposition::MoveSendOnce) => {
                let names = self.spaces.get_mut(&space).ok_or(KernReturn::Terminated)?;
                if let Some(mut entry) = names.remove(name) {
                    self.drop_request(&mut entry, space, name);
                }
                Ok(Right::SendOnce(port))
            }
            (Entry::Dead { .. }, Disposition::CopySend) => Ok(Right::Dead),
            (Entry::Dead { .. }, Disposition::MoveSend | Disposition::MoveSendOnce) => {
                self.change_dead(space, name, -1)?;
                Ok(Right::Dead)
            }
            _ => Err(KernReturn::InvalidRight),
        }
    }

    /// The name has lost its receive right; if that was all, it is gone.
    pub(super) fn without_receive(&mut self, space: SpaceId, name: u32) {
        let Some(names) = self.spaces.get_mut(&space) else { return };
        let Some(Entry::Port { receive, send, .. }) = names.get_mut(name) else { return };
        *receive = false;
        if *send == 0
            && let Some(mut entry) = names.remove(name)
        {
            self.drop_request(&mut entry, space, name);
        }
    }

    /// Changes the user references of a send right; with the last one it is given back.
    pub(super) fn change_send(
        &mut self,
        space: SpaceId,
        name: u32,
        difference: i64,
    ) -> Result<(), KernReturn> {
        let names = self.spaces.get_mut(&space).ok_or(KernReturn::Terminated)?;
        let Some(Entry::Port { port, receive, send, .. }) = names.get_mut(name) else {
            return Err(KernReturn::InvalidRight);
        };
        if *send == 0 {
            return Err(KernReturn::InvalidRight);
        }
        *send = changed(*send, difference)?;
        if *send > 0 {
            return Ok(());
        }
        let (port, receive) = (*port, *receive);
        if !receive && let Some(mut entry) = names.remove(name) {
            self.drop_request(&mut entry, space, name);
        }
        self.release(Right::Send(port));
        Ok(())
    }

    /// Changes the user references of a dead name; with the last one it is gone.
    pub(super) fn change_dead(
        &mut self,
        space: SpaceId,
        name: u32,
        difference: i64,
    ) -> Result<(), KernReturn> {
        let names = self.spaces.get_mut(&space).ok_or(KernReturn::Terminated)?;
        let Some(Entry::Dead { references }) = names.get_mut(name) else {
            return Err(KernReturn::InvalidRight);
        };
        *references = changed(*references, difference)?;
        if *references == 0 {
            names.remove(name);
        }
        Ok(())
    }
}

fn changed(references: u32, difference: i64) -> Result<u32, KernReturn> {
    let sum = i64::from(references).checked_add(difference).ok_or(KernReturn::InvalidValue)?;
    match u32::try_from(sum) {
        Err(_) if sum < 0 => Err(KernReturn::InvalidValue),
        Ok(sum) if sum <= abi::port::REFERENCES_MAX => Ok(sum),
        _ => Err(KernReturn::UrefsOverflow),
    }
}
