//! The table of IOKit's ports.

use alloc::{collections::BTreeMap, sync::Arc};
use core::sync::atomic::{AtomicBool, Ordering};

use mach::{
    Kernel, SpinLock,
    ipc::{KernelObject, KernelPort, SendRight},
    task::TaskId,
};

use super::{connection::ConnectionPort, host::HostPort, service::ServicePort};
use crate::{IoKit, ioreturn::IOResult, service::ServiceRef};

/// Who wants to know of the calls that a task makes: a workload.
pub trait Watcher: Send + Sync {
    /// A call to user client `client` begins; what the watcher knows it by.
    fn call_begins(&self, client: u32) -> u64;
    /// It ended. `dying`: the task was terminated meanwhile.
    fn call_ended(&self, client: u32, id: u64, result: &IOResult, dying: bool);
    /// The task says that the data were wrong which this thread's last call to `client` gave it, or which it found in memory that it shares with the driver.
    fn data_was_wrong(&self, client: u32);
}

/// All ports.
#[derive(Default)]
struct Table {
    host: Option<KernelPort>,
    /// By registry id.
    services: BTreeMap<u32, KernelPort>,
    /// By registry id of the user client.
    connections: BTreeMap<u32, KernelPort>,
    watchers: BTreeMap<TaskId, Arc<dyn Watcher>>,
}

/// The ports of one IOKit.
#[derive(Default)]
pub(crate) struct Ports {
    open: AtomicBool,
    table: SpinLock<Table>,
}

impl Ports {
    /// Whether tasks may come.
    pub(crate) fn are_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// A right to send to `service`'s port; `None` if it is inactive.
    pub(super) fn service(&self, service: &ServiceRef) -> Option<SendRight> {
        let kernel = service.kernel();
        let id = service.id();
        if let Some(port) = self.table.lock(kernel).services.get(&id) {
            return Some(port.make_send());
        }
        let port = KernelPort::of(kernel, Arc::new(ServicePort::new(service)));
        let right = {
            let mut table = self.table.lock(kernel);
            match table.services.get(&id) {
                // Somebody was quicker.
                Some(other) => return Some(other.make_send()),
                None => table.services.entry(id).or_insert(port).make_send(),
            }
        };
        // Phase 1 may have been here before the port was.
        if service.is_inactive() {
            self.forget_service(kernel, id);
            return None;
        }
        Some(right)
    }

    /// The port of service `id` dies.
    fn forget_service(&self, kernel: &Kernel, id: u32) {
        let port = self.table.lock(kernel).services.remove(&id);
        drop(port);
    }

    /// The port of service `id` dies if nobody can send to it.
    pub(super) fn service_is_unused(&self, kernel: &Kernel, id: u32) {
        let port = {
            let mut table = self.table.lock(kernel);
            let is_unused = table.services.get(&id).is_some_and(|port| port.senders() == 0);
            if is_unused { table.services.remove(&id) } else { None }
        };
        drop(port);
    }

    /// Makes the port of a connection; a right to send to it.
    pub(super) fn connected(&self, kit: &IoKit, connection: Arc<ConnectionPort>) -> SendRight {
        let kernel = kit.kernel();
        let id = connection.client();
        let port = KernelPort::of(kernel, connection.clone());
        let right = port.make_send();
        let before = self.table.lock(kernel).connections.insert(id, port);
        drop(before);
        // Phase 1 may have been here before the port was.
        if connection.is_dead() {
            self.forget_connection(kernel, id);
        }
        right
    }

    /// The port of user client `id` dies.
    pub(super) fn forget_connection(&self, kernel: &Kernel, id: u32) {
        let port = self.table.lock(kernel).connections.remove(&id);
        drop(port);
    }

    /// `service` became inactive: its ports die.
    pub(crate) fn inactive(&self, service: &ServiceRef) {
        if self.are_open() {
            let (kernel, id) = (service.kernel(), service.id());
            self.forget_service(kernel, id);
            self.forget_connection(kernel, id);
        }
    }

    /// Who watches `task`.
    pub(super) fn watcher(&self, kernel: &Kernel, task: TaskId) -> Option<Arc<dyn Watcher>> {
        self.table.lock(kernel).watchers.get(&task).cloned()
    }
}

impl IoKit {
    /// Lets user tasks in: from now on [`abi::Trap::HostSelf`] gives a right to the host port.
    pub fn open_to_tasks(&self) {
        let (ports, kernel) = (self.ports(), self.kernel());
        if ports.open.swap(true, Ordering::AcqRel) {
            return;
        }
        let host: Arc<dyn KernelObject> = Arc::new(HostPort::new(self));
        let port = KernelPort::of(kernel, host);
        kernel.set_host_port(port.make_send());
        let before = ports.table.lock(kernel).host.replace(port);
        drop(before);
    }

    /// All of IOKit's ports die, and no new ones are made by lookups through them.
    pub fn close_to_tasks(&self) {
        let table = core::mem::take(&mut *self.ports().table.lock(self.kernel()));
        drop(table);
    }

    /// `watcher` is told of the calls that `task` makes through connections that it opens from now on; `None` = nobody.
    pub fn watch_task(&self, task: TaskId, watcher: Option<Arc<dyn Watcher>>) {
        let before = {
            let mut table = self.ports().table.lock(self.kernel());
            match watcher {
                Some(watcher) => table.watchers.insert(task, watcher),
                None => table.watchers.remove(&task),
            }
        };
        drop(before);
    }
}
