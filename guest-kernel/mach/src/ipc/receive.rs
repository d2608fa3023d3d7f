//! Receiving: a message is taken from a queue and given to a task.

use super::entry::Entry;
use super::message::{Boxed, Carried, Right};
use super::port::PortId;
use super::table::{Ipc, SpaceId};
use crate::kernel::{Kernel, KernelRef};
use crate::task::Task;
use crate::wait::{WaitMode, WaitResult};
use abi::message::{COMPLEX, DESCRIPTOR_BYTES, HEADER_BYTES, bits};
use abi::{Descriptor, Disposition, Header, KernReturn};
use alloc::vec::Vec;

/// What a task wants to receive.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// From where.
    pub name: u32,
    /// Where it goes.
    pub address: u64,
    /// Bytes there.
    pub room: u64,
    /// One that is too large stays.
    pub keeps_large: bool,
    /// Machine time at which the wait ends.
    pub deadline: Option<u64>,
}

/// What a look at a name gave.
enum Look {
    /// A message, and the name of the port that it came through.
    Message(Boxed, u32),
    /// One that is too large, of so many bytes.
    TooLarge(usize),
    /// Nothing; the thread waits from now on, at this port or (`None`) set.
    Nothing(Option<PortId>),
}

/// Receives a message of at most `wanted.room` bytes; how many it has.
///
/// # Errors
/// The `Receive…` codes, with the bytes of a message that is too large; Terminated.
pub(crate) fn receive(kernel: &KernelRef, task: &Task, wanted: Wanted) -> Result<u64, (KernReturn, u64)> {
    let mut waited = None;
    let mut last = None;
    loop {
        let look = kernel.ipc(|ipc| match last {
            None => ipc.look_for_message(kernel, task.id(), &wanted, true),
            Some(_) => ipc.look_for_message(kernel, task.id(), &wanted, false),
        });
        match look {
            Ok(Look::Message(message, local)) => return deliver(kernel, task, &wanted, message, local),
            Ok(Look::TooLarge(bytes)) => return Err((KernReturn::ReceiveTooLarge, bytes as u64)),
            Ok(Look::Nothing(port)) => waited = Some(port),
            Err(KernReturn::Terminated) => return Err((KernReturn::Terminated, 0)),
            Err(why) => return Err((why_changed(kernel, waited, why), 0)),
        }
        if let Some(why) = last {
            return Err((why, 0));
        }
        match kernel.block() {
            // A message may have come in the last moment.
            WaitResult::TimedOut => last = Some(KernReturn::ReceiveTimedOut),
            WaitResult::Interrupted => return Err((KernReturn::ReceiveInterrupted, 0)),
            _ => {}
        }
    }
}

/// Why a name cannot be received from any more at which a thread `waited`.
fn why_changed(kernel: &Kernel, waited: Option<Option<PortId>>, why: KernReturn) -> KernReturn {
    match waited {
        None => why,
        Some(None) => KernReturn::ReceivePortDied,
        Some(Some(port)) if kernel.ipc.lock(kernel).port(port).is_none() => KernReturn::ReceivePortDied,
        Some(Some(_)) => KernReturn::ReceivePortChanged,
    }
}

impl Ipc {
    fn look_for_message(
        &mut self,
        kernel: &Kernel,
        space: SpaceId,
        wanted: &Wanted,
        waits: bool,
    ) -> Result<Look, KernReturn> {
        let (source, event, name) = self.source(space, wanted.name)?;
        let Some(port) = source.filter(|&id| self.port(id).is_some_and(|port| !port.queue.is_empty())) else {
            if waits {
                kernel.assert_wait(event, WaitMode::Interruptible, wanted.deadline);
            }
            return Ok(Look::Nothing(source));
        };
        let bytes = self.port(port).and_then(|port| port.queue.front()).map_or(0, |message| message.bytes());
        let is_large = bytes as u64 > wanted.room;
        if is_large && wanted.keeps_large {
            return Ok(Look::TooLarge(bytes));
        }
        let Some(mut message) = self.dequeue(port) else { return Ok(Look::TooLarge(bytes)) };
        if is_large {
            let destination = core::mem::replace(&mut message.destination, Right::Null);
            self.consume(destination);
            self.kill_message(message);
            return Ok(Look::TooLarge(bytes));
        }
        Ok(Look::Message(message, name))
    }

    /// The port to receive from, what to wait for, and the port's name. Of a set: a member that has a message, if there is one.
    fn source(
        &mut self,
        space: SpaceId,
        name: u32,
    ) -> Result<(Option<PortId>, crate::wait::WaitEvent, u32), KernReturn> {
        let invalid = |why| match why {
            KernReturn::Terminated => why,
            _ => KernReturn::ReceiveInvalidName,
        };
        match self.look(space, name).map_err(invalid)? {
            &mut Entry::Port { port, receive: true, .. } => {
                let state = self.port(port).ok_or(KernReturn::ReceiveInvalidName)?;
                match state.set {
                    Some(_) => Err(KernReturn::ReceiveInSet),
                    None => Ok((Some(port), state.arrivals, name)),
                }
            }
            Entry::Set { arrivals, members } => {
                let (event, all) = (*arrivals, members.clone());
                let has = |id: &PortId| self.port(*id).is_some_and(|port| !port.queue.is_empty());
                let Some(found) = all.iter().copied().find(has) else { return Ok((None, event, name)) };
                let names = self.spaces.get_mut(&space).ok_or(KernReturn::Terminated)?;
                let local = names.name_of(found).unwrap_or(abi::port::NULL);
                if let Some(Entry::Set { members, .. }) = names.get_mut(name) {
                    members.retain(|&member| member != found);
                    members.push_back(found);
                }
                Ok((Some(found), event, local))
            }
            _ => Err(KernReturn::ReceiveInvalidName),
        }
    }
}

/// Something of a message, as the receiver has it.
enum Given {
    Memory { address: u64, size: u32 },
    Right(Right),
}

/// Gives a message that was taken from its queue to the task.
fn deliver(
    kernel: &KernelRef,
    task: &Task,
    wanted: &Wanted,
    mut message: Boxed,
    local: u32,
) -> Result<u64, (KernReturn, u64)> {
    let bytes = message.bytes() as u64;
    if task.map().check_writable(kernel, wanted.address, bytes).is_err() {
        kernel.ipc(|ipc| ipc.kill_message(message));
        return Err((KernReturn::ReceiveInvalidData, 0));
    }
    let mut missing = false;
    let items = core::mem::take(&mut message.items).into_iter().map(|item| match item {
        Carried::Right(right) => Given::Right(right),
        Carried::Memory(memory) => {
            let size = memory.size;
            match task.map().insert(kernel, memory) {
                Ok(address) => Given::Memory { address, size },
                Err(_) => {
                    missing = true;
                    Given::Memory { address: 0, size: 0 }
                }
            }
        }
    });
    let items: Vec<_> = items.collect();
    let mut header = Header {
        bits: 0,
        size: bytes as u32,
        remote: abi::port::NULL,
        local,
        id: message.id,
        descriptors: items.len() as u32,
        sequence: message.sequence,
    };
    let body = core::mem::take(&mut message.body);
    let described: Vec<_> = kernel.ipc(|ipc| {
        let destination = core::mem::replace(&mut message.destination, Right::Null);
        let came_by = kind(&destination).unwrap_or(Disposition::MoveSend);
        ipc.consume(destination);
        let reply = core::mem::replace(&mut message.reply, Right::Null);
        let replies_by = kind(&reply);
        header.remote = ipc.put_right(task.id(), reply).unwrap_or_else(|_| {
            missing = true;
            abi::port::NULL
        });
        header.bits = replies_by.map_or(0, |kind| kind as u32) | bits(came_by, None) << 8;
        let mut give = |given| match given {
            Given::Memory { address, size } => Descriptor::OutOfLine { address, size, deallocate: true },
            Given::Right(right) => {
                let disposition = kind(&right).unwrap_or(Disposition::MoveSend);
                let name = ipc.put_right(task.id(), right).unwrap_or_else(|_| {
                    missing = true;
                    abi::port::NULL
                });
                Descriptor::Port { name, disposition }
            }
        };
        items.into_iter().map(|given| give(given).encode()).collect()
    });
    // It carries nothing any more.
    drop(message);
    if !described.is_empty() {
        header.bits |= COMPLEX;
    }
    let mut whole = Vec::with_capacity(HEADER_BYTES + described.len() * DESCRIPTOR_BYTES + body.len());
    whole.extend_from_slice(&header.encode());
    whole.extend(described.iter().flatten());
    whole.extend_from_slice(&body);
    match task.map().write(kernel, wanted.address, &whole) {
        Ok(()) if missing => Err((KernReturn::ReceiveBodyError, bytes)),
        Ok(()) => Ok(bytes),
        // The memory went away since it was looked at; what came is in the task, which does not know it.
        Err(_) => Err((KernReturn::ReceiveInvalidData, 0)),
    }
}

/// What kind of right came.
fn kind(right: &Right) -> Option<Disposition> {
    match right {
        Right::Null | Right::Dead => None,
        Right::Send(_) => Some(Disposition::MoveSend),
        Right::SendOnce(_) => Some(Disposition::MoveSendOnce),
        Right::Receive(_) => Some(Disposition::MoveReceive),
    }
}
