//! What the buses of all families have in common: a controller, its gate, and a thread that finds out who is there.

use super::worker::Worker;
use crate::ioreturn::IOResult;
use crate::service::{Service, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::KernelRef;

/// The part of a bus that is the same in every family.
pub struct Trunk {
    family: &'static str,
    /// The controller's slot.
    slot: u32,
    worker: Worker,
}

impl Trunk {
    /// That of a bus of `family`, behind the controller whose driver is `controller`.
    pub fn new(family: &'static str, controller: &ServiceRef) -> Self {
        Self { family, slot: controller.slot(), worker: Worker::new(controller.kernel()) }
    }

    /// What the plan calls the device that is behind these ports, and the number by which trace and ledger know it; of what the plan does not know,
    /// the controller's number.
    pub fn identity(&self, service: &Service, ports: &[u8]) -> (u32, String) {
        match service.kit().args().slots.iter().find(|slot| slot.is_at(self.slot, ports)) {
            Some(slot) => (slot.slot, slot.name.clone()),
            None => {
                let path: Vec<_> = ports.iter().map(|port| format!("{port}")).collect();
                (self.slot, format!("{}{}-{}", self.family, self.slot, path.join(".")))
            }
        }
    }
}

/// A bus behind one controller.
pub trait Bus: Send + Sync + 'static {
    /// What it has in common with others.
    fn trunk(&self) -> &Trunk;

    /// The work loop of the controller, which everything on the bus shares.
    fn work_loop(&self) -> &Arc<WorkLoop>;

    /// Finds out what is new, on the bus's thread.
    fn look_around(self: &Arc<Self>);

    /// The bus ends: forgets who was there. The thread is at its end.
    fn forget_all(&self);

    /// Starts the thread, which looks at once. `controller` is the controller's driver.
    ///
    /// # Errors
    /// No memory for the thread.
    fn start(self: &Arc<Self>, controller: &ServiceRef) -> IOResult {
        let own = self.clone();
        let name = format!("{} {}", self.trunk().family, controller.device());
        let body = move || {
            own.trunk().worker.run(|| {
                own.look_around();
                None
            });
        };
        Ok(self.trunk().worker.start(&name, body)?)
    }

    /// Ends the thread, waits for its end, and forgets who was there. Not with the gate held.
    fn stop(&self) {
        self.trunk().worker.stop();
        self.forget_all();
    }

    /// Lets the thread look.
    fn wake(&self) {
        self.trunk().worker.wake();
    }

    /// The controller is going, or this bus: the thread does nothing more.
    fn is_stopping(&self) -> bool {
        self.trunk().worker.is_stopping()
    }

    /// The kernel.
    fn kernel(&self) -> &KernelRef {
        self.trunk().worker.kernel()
    }

    /// The controller's slot.
    fn slot(&self) -> u32 {
        self.trunk().slot
    }

    /// Calls `action` in the gate.
    fn gated<R>(&self, action: impl FnOnce() -> R) -> R {
        self.work_loop().run_action(action)
    }
}
