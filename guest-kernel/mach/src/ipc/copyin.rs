//! From names to rights.

use super::entry::Entry;
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
        match self.look(space, name)? {
            &mut Entry::Port { port, receive, send, .. } => match disposition {
                Disposition::MakeSend if receive => Ok(self.make_send(port)),
                Disposition::MakeSendOnce if receive => Ok(self.make_send_once(port)),
                Disposition::CopySend if send > 0 => Ok(self.copy_send(port)),
                Disposition::MoveSend if send > 0 => {
                    // A new one in hand first: this is not the moment when the last one goes.
                    let right = self.copy_send(port);
                    self.change_send(space, name, -1)?;
                    Ok(right)
                }
                Disposition::MoveReceive if receive => {
                    self.leave_space(port);
                    self.without_receive(space, name);
                    Ok(Right::Receive(port))
                }
                _ => Err(KernReturn::InvalidRight),
            },
            &mut Entry::SendOnce { port, .. } if disposition == Disposition::MoveSendOnce => {
                let names = self.spaces.get_mut(&space).ok_or(KernReturn::Terminated)?;
                if let Some(mut entry) = names.remove(name) {
                    self.drop_request(&mut entry, space, name);
                }
                Ok(Right::SendOnce(port))
            }
            Entry::Dead { .. } if matches!(disposition, Disposition::CopySend) => Ok(Right::Dead),
            Entry::Dead { .. }
                if matches!(disposition, Disposition::MoveSend | Disposition::MoveSendOnce) =>
            {
                self.change_dead(space, name, -1)?;
                Ok(Right::Dead)
            }
            Entry::SendOnce { .. } | Entry::Set { .. } | Entry::Dead { .. } => Err(KernReturn::InvalidRight),
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
