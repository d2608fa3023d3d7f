//! A connection's port.

use alloc::sync::Arc;

use abi::{io, message::word};
use mach::{
    KernelRef,
    ipc::{Answer, Item, KernelObject, Request, SendRight},
    task::Task,
};

use super::{
    method,
    result::{plain, refusal},
    table::Watcher,
};
use crate::{
    IoKit,
    ioreturn::{IOResult, IOReturn},
    user_client::{Connection, UserClient},
};

/// The object behind a connection's port.
pub(super) struct ConnectionPort {
    kit: IoKit,
    connection: Connection,
    watcher: Option<Arc<dyn Watcher>>,
}

impl ConnectionPort {
    pub(super) fn new(kit: &IoKit, connection: Connection, watcher: Option<Arc<dyn Watcher>>) -> Self {
        Self { kit: kit.clone(), connection, watcher }
    }

    /// Registry id of the user client.
    pub(super) fn client(&self) -> u32 {
        self.connection.id()
    }

    pub(super) fn is_dead(&self) -> bool {
        self.connection.is_dead()
    }

    fn call(&self, task: &Task, request: Request) -> Answer {
        let id = self.watcher.as_ref().map(|watcher| watcher.call_begins(self.client()));
        let (answer, result) = method::call(&self.connection, request);
        if let (Some(watcher), Some(id)) = (&self.watcher, id) {
            watcher.call_ended(self.client(), id, &result, task.is_terminating());
        }
        answer
    }

    /// Passes on what the task says of the data that it got; also when the device has gone meanwhile.
    fn book_wrong_data(&self, request: &Request) -> IOResult {
        if !(request.body.is_empty() && request.items.is_empty()) {
            return Err(IOReturn::BadArgument);
        }
        let watcher = self.watcher.as_ref().ok_or(IOReturn::Unsupported)?;
        watcher.data_was_wrong(self.client());
        Ok(())
    }

    /// Asks the user client for something beside its methods.
    fn ask<T>(&self, how: impl FnOnce(&dyn UserClient) -> IOResult<T>) -> IOResult<T> {
        if self.is_dead() {
            return Err(IOReturn::DeadPort);
        }
        let driver = self.connection.service().driver();
        driver.as_user_client().ok_or(IOReturn::Unsupported).and_then(how)
    }

    fn map(&self, kernel: &KernelRef, task: &Task, request: &Request) -> Answer {
        if request.body.len() != 4 {
            return refusal(IOReturn::BadArgument);
        }
        let me = self.connection.client();
        let memory = self.ask(|driver| driver.client_memory(me, word(&request.body, 0)));
        let mapped = memory.and_then(|memory| {
            let address = task.map().map_shared(kernel, &memory).map_err(|_| IOReturn::NoSpace)?;
            Ok((address, memory.bytes()))
        });
        match mapped {
            Err(why) => refusal(why),
            Ok((address, bytes)) => {
                let mut answer = plain(Ok(()));
                answer.body.extend([0; 4]);
                answer.body.extend(address.to_le_bytes());
                answer.body.extend(bytes.to_le_bytes());
                answer
            }
        }
    }

    fn tell(&self, mut request: Request) -> Answer {
        let right = taken_right(&mut request);
        let me = self.connection.client();
        plain(match right {
            Some(right) if request.body.len() == 4 => self
                .ask(|driver| driver.register_notification_port(me, word(&request.body, 0), Arc::new(right))),
            _ => Err(IOReturn::BadArgument),
        })
    }
}

/// The one right of a request that tasks can be told by. The kernel does not send to itself.
pub(super) fn taken_right(request: &mut Request) -> Option<SendRight> {
    match (request.items.pop(), request.items.is_empty()) {
        (Some(Item::Port(right)), true) if !right.is_kernels() => Some(right),
        _ => None,
    }
}

impl KernelObject for ConnectionPort {
    fn message(&self, kernel: &KernelRef, task: &Arc<Task>, request: Request) -> Option<Answer> {
        Some(match request.id {
            io::CONNECT_METHOD => self.call(task, request),
            io::CONNECT_CLOSE => {
                let closed = self.connection.close_once();
                self.kit.ports().forget_connection(kernel, self.client());
                plain(closed)
            }
            io::CONNECT_MAP_MEMORY => self.map(kernel, task, &request),
            io::CONNECT_SET_NOTIFICATION_PORT => self.tell(request),
            io::CONNECT_DATA_WRONG => plain(self.book_wrong_data(&request)),
            _ => refusal(IOReturn::BadArgument),
        })
    }

    /// The client is gone.
    fn no_senders(&self, kernel: &KernelRef, _: u32) {
        // DeadPort: it was closed, or its device went first.
        _ = self.connection.kill();
        self.kit.ports().forget_connection(kernel, self.client());
    }
}
