//! What a task does with its names.

use super::entry::Entry;
use super::message::Right;
use super::port::PortId;
use super::quota::Quota;
use super::table::{Ipc, SpaceId};
use crate::kernel::Kernel;
use abi::KernReturn;
use abi::port::{QUEUE_LIMIT_MAX, Right as Kind};
use alloc::collections::VecDeque;
use alloc::sync::Arc;

impl Ipc {
    /// A new right of `kind`; its name.
    ///
    /// # Errors
    /// InvalidArgument: such a right is not made so. ResourceShortage, NoSpace, Terminated.
    pub(crate) fn allocate(
        &mut self,
        kernel: &Kernel,
        (space, quota): (SpaceId, &Arc<Quota>),
        kind: Kind,
    ) -> Result<u32, KernReturn> {
        match kind {
            Kind::Receive => {
                let share = quota.port()?;
                let (id, port) = self.create(kernel);
                port.share = Some(share);
                self.put_right(space, Right::Receive(id))
            }
            Kind::PortSet => {
                let set = Entry::Set { arrivals: kernel.new_event(), members: VecDeque::new() };
                self.add(space, set)
            }
            Kind::DeadName => self.add(space, Entry::Dead { references: 1 }),
            Kind::Send | Kind::SendOnce => Err(KernReturn::InvalidArgument),
        }
    }

    fn add(&mut self, space: SpaceId, entry: Entry) -> Result<u32, KernReturn> {
        let names = self.spaces.get_mut(&space).ok_or(KernReturn::Terminated)?;
        names.insert(entry).map_err(|(why, _)| why)
    }

    /// A new name space.
    pub(crate) fn add_space(&mut self, space: SpaceId) {
        self.spaces.entry(space).or_default();
    }

    /// The kinds of right that `name` means, as bits.
    pub(crate) fn kinds(&mut self, space: SpaceId, name: u32) -> Result<u64, KernReturn> {
        let entry = self.look(space, name)?;
        let kinds = Kind::ALL.into_iter().filter(|&kind| entry.references(kind) > 0);
        Ok(kinds.map(Kind::bit).sum())
    }

    /// User references of `name` for `kind`.
    pub(crate) fn references(&mut self, space: SpaceId, name: u32, kind: Kind) -> Result<u32, KernReturn> {
        Ok(self.look(space, name)?.references(kind))
    }

    /// Gives up all that `name` means.
    pub(crate) fn destroy(&mut self, space: SpaceId, name: u32) -> Result<(), KernReturn> {
        self.look(space, name)?;
        let entry = self.spaces.get_mut(&space).and_then(|names| names.remove(name));
        if let Some(entry) = entry {
            self.release_entry(space, name, entry);
        }
        Ok(())
    }

    /// Gives back one user reference.
    pub(crate) fn deallocate(&mut self, space: SpaceId, name: u32) -> Result<(), KernReturn> {
        match self.look(space, name)? {
            Entry::Port { send: 1.., .. } => self.change_send(space, name, -1),
            Entry::SendOnce { .. } => self.destroy(space, name),
            Entry::Dead { .. } => self.change_dead(space, name, -1),
            Entry::Port { .. } | Entry::Set { .. } => Err(KernReturn::InvalidRight),
        }
    }

    /// Changes user references.
    pub(crate) fn mod_references(
        &mut self,
        space: SpaceId,
        name: u32,
        kind: Kind,
        difference: i64,
    ) -> Result<(), KernReturn> {
        if self.look(space, name)?.references(kind) == 0 {
            return Err(KernReturn::InvalidRight);
        }
        match (kind, difference) {
            (_, 0) => Ok(()),
            (Kind::Send, _) => self.change_send(space, name, difference),
            (Kind::DeadName, _) => self.change_dead(space, name, difference),
            (Kind::Receive, -1) => self.destroy_receive(space, name),
            (Kind::SendOnce | Kind::PortSet, -1) => self.destroy(space, name),
            _ => Err(KernReturn::InvalidValue),
        }
    }

    fn destroy_receive(&mut self, space: SpaceId, name: u32) -> Result<(), KernReturn> {
        let (id, _) = self.receive_right(space, name)?;
        self.leave_space(id);
        self.without_receive(space, name);
        self.release(Right::Receive(id));
        Ok(())
    }

    /// The port that `name` may receive from.
    pub(super) fn receive_right(
        &mut self,
        space: SpaceId,
        name: u32,
    ) -> Result<(PortId, &mut super::port::Port), KernReturn> {
        let Entry::Port { port, receive: true, .. } = *self.look(space, name)? else {
            return Err(KernReturn::InvalidRight);
        };
        Ok((port, self.port_mut(port).ok_or(KernReturn::InvalidRight)?))
    }

    /// Makes a send right of a receive right, under the same name.
    pub(crate) fn make_send_here(&mut self, space: SpaceId, name: u32) -> Result<(), KernReturn> {
        let (id, _) = self.receive_right(space, name)?;
        let right = self.make_send(id);
        self.put_right(space, right).map(drop)
    }

    /// Puts a receive right into a set, or takes it out of the one where it is (0).
    pub(crate) fn move_member(&mut self, space: SpaceId, name: u32, set: u32) -> Result<(), KernReturn> {
        let (id, port) = self.receive_right(space, name)?;
        let arrivals = port.arrivals;
        if set == abi::port::NULL {
            let was = self.leave_set(id);
            return if was { Ok(()) } else { Err(KernReturn::NotInSet) };
        }
        if !matches!(self.look(space, set)?, Entry::Set { .. }) {
            return Err(KernReturn::InvalidRight);
        }
        self.leave_set(id);
        if let Entry::Set { members, .. } = self.look(space, set)? {
            members.push_back(id);
        }
        if let Some(port) = self.port_mut(id) {
            port.set = Some(set);
        }
        // Who waits at the port finds it in a set; who waits at the set may find a message.
        self.after.wakes.push(arrivals);
        self.wake_receivers(id);
        Ok(())
    }

    /// Sets how many messages may be queued.
    pub(crate) fn set_limit(&mut self, space: SpaceId, name: u32, limit: u64) -> Result<(), KernReturn> {
        let (_, port) = self.receive_right(space, name)?;
        let limit = u32::try_from(limit).ok().filter(|&limit| limit <= QUEUE_LIMIT_MAX);
        port.limit = limit.ok_or(KernReturn::InvalidValue)?;
        let room = port.room;
        self.after.wakes.push(room);
        Ok(())
    }

    /// Messages queued, and the limit << 32.
    pub(crate) fn status(&mut self, space: SpaceId, name: u32) -> Result<u64, KernReturn> {
        let (_, port) = self.receive_right(space, name)?;
        Ok(port.queue.len() as u64 | u64::from(port.limit) << 32)
    }
}
