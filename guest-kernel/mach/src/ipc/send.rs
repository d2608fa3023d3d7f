//! Sending: a task's message is copied in, checked, and queued.

use super::foresight::{Foresight, Meaning};
use super::message::{Boxed, Carried, Message, Right};
use super::object::{self, KernelObject};
use super::quota::Share;
use super::table::{Ipc, SpaceId};
use crate::counts::Resource;
use crate::kernel::KernelRef;
use crate::task::Task;
use crate::vm::MemoryCopy;
use crate::wait::{WaitEvent, WaitMode, WaitResult};
use abi::message::{COMPLEX, DESCRIPTOR_BYTES, DESCRIPTORS_MAX, HEADER_BYTES, MESSAGE_MAX, OUT_OF_LINE_MAX};
use abi::{Descriptor, Disposition, Header, KernReturn};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A right that a message is to carry, by name, or memory, which was copied already.
enum Part {
    Right(u32, Disposition),
    Memory(MemoryCopy),
}

/// A message whose rights are still names.
struct Draft {
    header: Header,
    destination: Disposition,
    reply: Option<Disposition>,
    parts: Vec<Part>,
    body: Vec<u8>,
    share: Share,
    /// Address and bytes of memory that goes away from the sender, if the message goes.
    leaving: Vec<(u64, u32)>,
}

/// What became of an attempt to send.
enum Step {
    Queued,
    /// It goes to an object of the kernel.
    Object(Arc<dyn KernelObject>, Boxed),
    /// There is no room; the thread waits for it from now on.
    Full(Draft),
}

/// Sends the `size` bytes at `address` in the memory of `task`; if the queue is full, waits for room until machine time `deadline`.
///
/// A message that fails takes nothing: the sender has its rights and its memory as before.
///
/// # Errors
/// The `Send…` codes; Terminated.
pub(crate) fn send(
    kernel: &KernelRef,
    task: &Arc<Task>,
    (address, size): (u64, u64),
    deadline: Option<u64>,
) -> Result<(), KernReturn> {
    let mut draft = copy_in(kernel, task, address, size)?;
    let leaving = core::mem::take(&mut draft.leaving);
    let leave = || {
        for (address, size) in leaving {
            // Another thread may have cut its regions to pieces meanwhile: then it stays.
            _ = task.map().deallocate(kernel, address, size.into());
        }
    };
    loop {
        match kernel.ipc(|ipc| ipc.try_send(kernel, task.id(), draft, deadline))? {
            Step::Queued => {
                leave();
                return Ok(());
            }
            Step::Object(object, message) => {
                leave();
                object::serve(kernel, task, &*object, message);
                return Ok(());
            }
            Step::Full(rest) => {
                let result = kernel.block();
                draft = rest;
                match result {
                    WaitResult::TimedOut => return Err(KernReturn::SendTimedOut),
                    WaitResult::Interrupted => return Err(KernReturn::SendInterrupted),
                    _ => {}
                }
            }
        }
    }
}

fn disposition(bits: u32) -> Result<Option<Disposition>, KernReturn> {
    match bits & 0xff {
        0 => Ok(None),
        number => Disposition::from_number(number).map(Some).ok_or(KernReturn::SendInvalidHeader),
    }
}

/// Checks that the header makes sense, and how many descriptors there are.
fn descriptors(header: &Header, size: usize) -> Result<usize, KernReturn> {
    let count = header.descriptors as usize;
    let is_complex = header.bits & COMPLEX != 0;
    if header.bits & !(COMPLEX | 0xffff) != 0 || (!is_complex && count != 0) {
        return Err(KernReturn::SendInvalidHeader);
    }
    if count > DESCRIPTORS_MAX {
        return Err(KernReturn::SendTooLarge);
    }
    if size < HEADER_BYTES + count * DESCRIPTOR_BYTES {
        return Err(KernReturn::SendMessageTooSmall);
    }
    Ok(count)
}

fn copy_in(kernel: &KernelRef, task: &Task, address: u64, size: u64) -> Result<Draft, KernReturn> {
    let size = usize::try_from(size).ok().filter(|&size| size <= MESSAGE_MAX);
    let size = size.ok_or(KernReturn::SendTooLarge)?;
    if size < HEADER_BYTES {
        return Err(KernReturn::SendMessageTooSmall);
    }
    let mut bytes = alloc::vec![0; size];
    task.map().read(kernel, address, &mut bytes).map_err(|_| KernReturn::SendInvalidData)?;
    let (head, rest) = bytes.split_first_chunk().ok_or(KernReturn::SendMessageTooSmall)?;
    let header = Header::decode(head);
    let count = descriptors(&header, size)?;
    let destination = disposition(header.bits)?.ok_or(KernReturn::SendInvalidHeader)?;
    let reply = disposition(header.bits >> 8)?;
    if destination == Disposition::MoveReceive || reply == Some(Disposition::MoveReceive) {
        return Err(KernReturn::SendInvalidHeader);
    }
    let (described, body) = rest.split_at(count * DESCRIPTOR_BYTES);
    let list = described.chunks_exact(DESCRIPTOR_BYTES).map(|bytes| {
        let bytes = bytes.try_into().map_err(|_| KernReturn::SendMessageTooSmall)?;
        Descriptor::decode(bytes).ok_or(KernReturn::SendInvalidType)
    });
    let list: Result<Vec<_>, KernReturn> = list.collect();
    let list = list?;
    let out_of_line = out_of_line(&list)?;
    kernel.allocate("message").map_err(|_| KernReturn::SendNoBuffer)?;
    let share = task.quota().message(size + out_of_line)?;
    let parts = list.iter().map(|descriptor| match *descriptor {
        Descriptor::Port { name, disposition } => Ok(Part::Right(name, disposition)),
        Descriptor::OutOfLine { address, size, .. } => {
            task.map().snapshot(kernel, address, size).map(Part::Memory)
        }
    });
    let parts: Result<Vec<_>, _> = parts.collect();
    let leaving = list.iter().filter_map(|descriptor| match *descriptor {
        Descriptor::OutOfLine { address, size: size @ 1.., deallocate: true } => Some((address, size)),
        _ => None,
    });
    let leaving = leaving.collect();
    Ok(Draft { header, destination, reply, parts: parts?, body: body.to_vec(), share, leaving })
}

/// Bytes of out-of-line memory.
fn out_of_line(list: &[Descriptor]) -> Result<usize, KernReturn> {
    let sizes = list.iter().map(|descriptor| match descriptor {
        Descriptor::OutOfLine { size, .. } => u64::from(*size),
        Descriptor::Port { .. } => 0,
    });
    let sum: u64 = sizes.sum();
    usize::try_from(sum).ok().filter(|_| sum <= OUT_OF_LINE_MAX).ok_or(KernReturn::SendTooLarge)
}

impl Ipc {
    fn try_send(
        &mut self,
        kernel: &KernelRef,
        space: SpaceId,
        draft: Draft,
        deadline: Option<u64>,
    ) -> Result<Step, KernReturn> {
        match self.full(space, &draft) {
            Ok(None) => {}
            Ok(Some(room)) => {
                kernel.assert_wait(room, WaitMode::Interruptible, deadline);
                return Ok(Step::Full(draft));
            }
            Err(why) => {
                self.abandon(draft);
                return Err(why);
            }
        }
        if let Err(why) = self.foresee(space, &draft) {
            self.abandon(draft);
            return Err(why);
        }
        let mut message = self.take_rights(space, draft)?;
        let port = match &message.destination {
            Right::Send(id) | Right::SendOnce(id) => self.port(*id),
            _ => None,
        };
        let Some(object) = port.and_then(|port| port.object.clone()) else {
            self.deliver(message);
            return Ok(Step::Queued);
        };
        // A call in flight is no sender: a task that dies inside of one is known to be gone at once.
        let right = core::mem::replace(&mut message.destination, Right::Null);
        self.consume(right);
        Ok(Step::Object(object, message))
    }

    /// Looks at the destination before anything is taken: what to wait for, if there is no room.
    fn full(&mut self, space: SpaceId, draft: &Draft) -> Result<Option<WaitEvent>, KernReturn> {
        if matches!(draft.destination, Disposition::MoveSendOnce | Disposition::MakeSendOnce) {
            return Ok(None);
        }
        let entry = self.look(space, draft.header.remote).map_err(to_destination)?;
        let port = entry.port().and_then(|id| self.port(id)).ok_or(KernReturn::SendInvalidDest)?;
        Ok((port.object.is_none() && !port.has_room()).then_some(port.room))
    }

    /// Looks at all that the draft names before anything is taken.
    fn foresee(&mut self, space: SpaceId, draft: &Draft) -> Result<(), KernReturn> {
        let mut foresight = Foresight::new();
        let Header { remote, local, .. } = draft.header;
        let target = foresight.take(self, space, remote, draft.destination).map_err(to_destination)?;
        if !matches!(target, Meaning::Port { .. } | Meaning::SendOnce) {
            return Err(KernReturn::SendInvalidDest);
        }
        match draft.reply {
            Some(reply) => _ = foresight.take(self, space, local, reply).map_err(to_reply)?,
            None if local != abi::port::NULL => return Err(KernReturn::SendInvalidReply),
            None => {}
        }
        draft.parts.iter().try_for_each(|part| match *part {
            Part::Memory(_) => Ok(()),
            Part::Right(name, how) => foresight.take(self, space, name, how).map(drop).map_err(to_carried),
        })
    }

    /// What a draft has copied is dropped when the lock is free.
    fn abandon(&mut self, draft: Draft) {
        self.after.memory.extend(draft.parts.into_iter().filter_map(|part| match part {
            Part::Memory(memory) => Some(memory),
            Part::Right(..) => None,
        }));
    }

    /// Makes rights of a draft's names, which were [foreseen](Self::foresee).
    fn take_rights(&mut self, space: SpaceId, draft: Draft) -> Result<Boxed, KernReturn> {
        let Draft { header, destination, reply, parts, body, share, .. } = draft;
        let mut message = Box::new(Message {
            id: header.id,
            destination: Right::Null,
            reply: Right::Null,
            items: Vec::with_capacity(parts.len()),
            body,
            sequence: 0,
            share: Some(share),
            _live: self.counts.one(Resource::Message),
        });
        let parts = parts.into_iter();
        match self.fill(space, &mut message, &header, (destination, reply), parts) {
            Ok(()) => Ok(message),
            Err(why) => {
                self.kill_message(message);
                Err(why)
            }
        }
    }

    fn fill(
        &mut self,
        space: SpaceId,
        message: &mut Message,
        header: &Header,
        (destination, reply): (Disposition, Option<Disposition>),
        parts: impl Iterator<Item = Part>,
    ) -> Result<(), KernReturn> {
        message.destination = self.take_right(space, header.remote, destination).map_err(to_destination)?;
        if let Some(reply) = reply {
            message.reply = self.take_right(space, header.local, reply).map_err(to_reply)?;
        }
        let mut why = Ok(());
        for part in parts {
            match part {
                Part::Memory(memory) if why.is_ok() => message.items.push(Carried::Memory(memory)),
                Part::Memory(memory) => self.after.memory.push(memory),
                Part::Right(..) if why.is_err() => {}
                Part::Right(name, disposition) => match self.take_right(space, name, disposition) {
                    Ok(right) => message.items.push(Carried::Right(right)),
                    Err(other) => why = Err(to_carried(other)),
                },
            }
        }
        why
    }
}

fn to_destination(why: KernReturn) -> KernReturn {
    match why {
        KernReturn::Terminated => why,
        _ => KernReturn::SendInvalidDest,
    }
}

fn to_reply(why: KernReturn) -> KernReturn {
    match why {
        KernReturn::Terminated => why,
        _ => KernReturn::SendInvalidReply,
    }
}

fn to_carried(why: KernReturn) -> KernReturn {
    match why {
        KernReturn::Terminated => why,
        _ => KernReturn::SendInvalidRight,
    }
}
