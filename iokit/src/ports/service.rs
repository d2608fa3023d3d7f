//! A service's port.

use alloc::{sync::Arc, vec::Vec};

use abi::{io, message::word};
use mach::{
    KernelRef,
    ipc::{Answer, Item, KernelObject, Request},
    task::Task,
};

use super::{
    connection::ConnectionPort,
    result::{answer, refusal},
};
use crate::{ioreturn::IOReturn, service::ServiceRef};

/// The object behind a service's port.
pub(super) struct ServicePort {
    service: ServiceRef,
}

impl ServicePort {
    pub(super) fn new(service: &ServiceRef) -> Self {
        Self { service: service.clone() }
    }

    fn open(&self, task: &Arc<Task>, request: &Request) -> Answer {
        if request.body.len() != 4 {
            return refusal(IOReturn::BadArgument);
        }
        let kit = self.service.kit();
        match self.service.open_connection(word(&request.body, 0)) {
            Err(why) => refusal(why),
            Ok(connection) => {
                let watcher = kit.ports().watcher(kit.kernel(), task.id());
                let port = Arc::new(ConnectionPort::new(kit, connection, watcher));
                answer(Ok(()), Item::Port(kit.ports().connected(kit, port)))
            }
        }
    }

    fn info(&self) -> Answer {
        let service = &self.service;
        let mut body = Vec::new();
        for number in [0, service.slot(), service.id()] {
            body.extend(number.to_le_bytes());
        }
        body.extend(service.class().name.bytes().take(io::NAME_MAX));
        Answer { items: Vec::new(), body }
    }
}

impl KernelObject for ServicePort {
    fn message(&self, _: &KernelRef, task: &Arc<Task>, request: Request) -> Option<Answer> {
        Some(match request.id {
            io::SERVICE_OPEN => self.open(task, &request),
            io::SERVICE_INFO => self.info(),
            _ => refusal(IOReturn::BadArgument),
        })
    }

    /// The next lookup makes a new one.
    fn no_senders(&self, kernel: &KernelRef, _: u32) {
        self.service.kit().ports().service_is_unused(kernel, self.service.id());
    }
}
