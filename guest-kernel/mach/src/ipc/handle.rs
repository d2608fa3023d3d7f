//! Rights in the kernel's hands.

use super::message::{Boxed, Carried, Right};
use super::object::{Item, KernelObject};
use super::port::PortId;
use crate::kernel::{Kernel, KernelRef};
use crate::spin_lock::SpinLock;
use crate::wait::{WaitMode, WaitResult};
use abi::KernReturn;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// A right to send, or to send once. Dropping it gives it back, which needs the table of ports: not with a spin lock of the order after it held.
pub struct SendRight {
    kernel: KernelRef,
    /// A send-once right is there until it was used.
    right: SpinLock<Right>,
}

impl fmt::Debug for SendRight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendRight")
    }
}

impl SendRight {
    pub(crate) fn new(kernel: &KernelRef, right: Right) -> Self {
        Self { kernel: kernel.clone(), right: SpinLock::new(right) }
    }

    pub(super) fn take(&self) -> Right {
        core::mem::replace(&mut *self.right.lock(&self.kernel), Right::Dead)
    }

    /// The port, if this is not a send-once right that was used.
    pub(crate) fn port(&self) -> Option<PortId> {
        match *self.right.lock(&self.kernel) {
            Right::Send(id) | Right::SendOnce(id) | Right::Receive(id) => Some(id),
            Right::Null | Right::Dead => None,
        }
    }

    /// Whether nothing can be sent any more.
    pub fn is_dead(&self) -> bool {
        let port = self.port();
        port.is_none_or(|id| self.kernel.ipc.lock(&self.kernel).port(id).is_none())
    }

    /// Whether it is a right to send to one of the kernel's objects.
    pub fn is_kernels(&self) -> bool {
        let port = self.port();
        let ipc = self.kernel.ipc.lock(&self.kernel);
        port.and_then(|id| ipc.port(id)).is_some_and(|port| port.object.is_some())
    }

    /// Another right to send beside this one. `None` for a send-once right, or a dead one.
    pub fn duplicate(&self) -> Option<Self> {
        let Right::Send(id) = *self.right.lock(&self.kernel) else { return None };
        match self.kernel.ipc(|ipc| ipc.copy_send(id)) {
            right @ Right::Send(_) => Some(Self::new(&self.kernel, right)),
            _ => None,
        }
    }

    /// Sends a message, without waiting. A send-once right is used up by it.
    ///
    /// # Errors
    /// SendTimedOut: the queue is full. SendInvalidDest: the port is dead, or an object of the kernel. ResourceShortage.
    pub fn send(&self, id: u32, items: Vec<Item>, body: Vec<u8>) -> Result<(), KernReturn> {
        let kernel = &*self.kernel;
        let items: Result<Vec<_>, _> = items.into_iter().map(|item| Carried::pack(kernel, item)).collect();
        let items = items?;
        let Some(port) = self.port() else { return give_back(kernel, items, KernReturn::SendInvalidDest) };
        let once = matches!(*self.right.lock(kernel), Right::SendOnce(_));
        let right = if once { self.take() } else { kernel.ipc(|ipc| ipc.copy_send(port)) };
        kernel.ipc(|ipc| {
            let message = ipc.message(id, right, items, body);
            let why = match ipc.port(port) {
                Some(port) if port.object.is_some() => Some(KernReturn::SendInvalidDest),
                Some(port) if !once && !port.has_room() => Some(KernReturn::SendTimedOut),
                Some(_) => None,
                None => Some(KernReturn::SendInvalidDest),
            };
            match why {
                Some(why) => {
                    ipc.kill_message(message);
                    Err(why)
                }
                None => {
                    ipc.deliver(message);
                    Ok(())
                }
            }
        })
    }
}

impl SendRight {
    /// Sends a message with a descriptor for `item`, however long it takes until there is room, and waits for the answer: its id and bytes. A
    /// port that dies answers with [`abi::notify::SEND_ONCE`].
    ///
    /// # Errors
    /// SendInvalidDest, SendInterrupted, ReceiveInterrupted.
    pub(crate) fn call(&self, id: u32, item: SendRight, body: &[u8]) -> Result<(u32, Vec<u8>), KernReturn> {
        let kernel = &self.kernel;
        let port = self.port().ok_or(KernReturn::SendInvalidDest)?;
        let answers = KernelPort::receiving(kernel);
        let mut carried = Some(Carried::Right(item.take()));
        loop {
            let sent = kernel.ipc(|ipc| {
                let Some(state) = ipc.port(port) else { return Err(KernReturn::SendInvalidDest) };
                if !state.has_room() {
                    kernel.assert_wait(state.room, WaitMode::Interruptible, None);
                    return Ok(false);
                }
                let destination = ipc.copy_send(port);
                let mut message =
                    ipc.message(id, destination, carried.take().into_iter().collect(), body.to_vec());
                message.reply = ipc.make_send_once(answers.id);
                ipc.deliver(message);
                Ok(true)
            });
            let why = match sent {
                Ok(true) => return answers.receive(WaitMode::Interruptible, None),
                Ok(false) if kernel.block() != WaitResult::Interrupted => continue,
                Ok(false) => KernReturn::SendInterrupted,
                Err(why) => why,
            };
            kernel.ipc(|ipc| carried.take().into_iter().for_each(|item| ipc.discard(item)));
            return Err(why);
        }
    }
}

fn give_back(kernel: &Kernel, items: Vec<Carried>, why: KernReturn) -> Result<(), KernReturn> {
    kernel.ipc(|ipc| items.into_iter().for_each(|item| ipc.discard(item)));
    Err(why)
}

impl Drop for SendRight {
    fn drop(&mut self) {
        let right = self.take();
        self.kernel.ipc(|ipc| ipc.release(right));
    }
}

/// A port whose receive right the kernel has. Dropping it destroys the port.
pub struct KernelPort {
    kernel: KernelRef,
    id: PortId,
}

impl fmt::Debug for KernelPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KernelPort({})", self.id.0)
    }
}

impl KernelPort {
    /// A port that stands for `object`.
    pub fn of(kernel: &KernelRef, object: Arc<dyn KernelObject>) -> Self {
        Self::make(kernel, Some(object))
    }

    /// A port that the kernel receives from.
    pub fn receiving(kernel: &KernelRef) -> Self {
        Self::make(kernel, None)
    }

    fn make(kernel: &KernelRef, object: Option<Arc<dyn KernelObject>>) -> Self {
        let id = kernel.ipc(|ipc| {
            let (id, port) = ipc.create(kernel);
            port.object = object;
            id
        });
        Self { kernel: kernel.clone(), id }
    }

    pub(crate) fn id(&self) -> PortId {
        self.id
    }

    /// A new right to send to it.
    pub fn make_send(&self) -> SendRight {
        SendRight::new(&self.kernel, self.kernel.ipc(|ipc| ipc.make_send(self.id)))
    }

    /// A new right to send to it once.
    pub fn make_send_once(&self) -> SendRight {
        SendRight::new(&self.kernel, self.kernel.ipc(|ipc| ipc.make_send_once(self.id)))
    }

    /// How many rights to send to it there are.
    pub fn senders(&self) -> u32 {
        self.kernel.ipc.lock(&self.kernel).port(self.id).map_or(0, |port| port.senders)
    }

    /// The port is dead from now on: rights become dead names, and who asked for it is told.
    pub fn destroy(&self) {
        self.kernel.ipc(|ipc| ipc.release(Right::Receive(self.id)));
    }

    /// Waits for a message: its id and bytes. What else it carries is given back.
    ///
    /// # Errors
    /// ReceiveTimedOut at machine time `deadline`, ReceiveInterrupted, ReceivePortDied.
    pub fn receive(&self, mode: WaitMode, deadline: Option<u64>) -> Result<(u32, Vec<u8>), KernReturn> {
        let kernel = &*self.kernel;
        loop {
            let found = kernel.ipc(|ipc| match ipc.dequeue(self.id) {
                Some(message) => Ok(Some(message)),
                None => {
                    let port = ipc.port(self.id).ok_or(KernReturn::ReceivePortDied)?;
                    kernel.assert_wait(port.arrivals, mode, deadline);
                    Ok(None)
                }
            })?;
            if let Some(message) = found {
                return Ok(self.opened(message));
            }
            match kernel.block() {
                WaitResult::TimedOut => return Err(KernReturn::ReceiveTimedOut),
                WaitResult::Interrupted => return Err(KernReturn::ReceiveInterrupted),
                _ => {}
            }
        }
    }

    fn opened(&self, mut message: Boxed) -> (u32, Vec<u8>) {
        let contents = (message.id, core::mem::take(&mut message.body));
        self.kernel.ipc(|ipc| ipc.kill_message(message));
        contents
    }
}

impl Drop for KernelPort {
    fn drop(&mut self) {
        self.destroy();
    }
}
