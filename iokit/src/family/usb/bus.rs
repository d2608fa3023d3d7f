//! One bus: the hubs behind one controller, and the thread that looks at their ports.
//!
//! One thread for all ports of a bus: so at any time at most one device has no address yet (USB 2.0, 9.1.2), and nothing that takes time happens on the work loop's thread.
//!
//! ```text
//! root port's event ─► gate: who was there is lost at once ─┐
//! hub's status pipe ─► which ports ─────────────────────────┼─► wake ─► this thread: status, acknowledge ─► enumerate, terminate
//! nub stopped ───────► its port is empty ───────────────────┘
//! ```

use super::Handle;
use super::controller::{Chain, Data, HostController, PortStatus, Transfer};
use super::device::Device;
use super::hub::{Hub, Port, Ports, RootPorts};
use super::standard::Setup;
use crate::family;
use crate::family::bus::{Bus as _, Trunk};
use crate::family::ticket::Ticket;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::{Gated, WorkLoop};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// How long a request to endpoint 0 may take, machine ns. (The standard allows five seconds, 9.2.6.4; what hangs for a second hangs.)
pub const CONTROL_NS: u64 = 1_000_000_000;

/// The bus behind one controller.
pub struct Bus {
    host: Arc<dyn HostController>,
    /// The root hub first.
    hubs: Gated<Vec<Arc<Hub>>>,
    /// How long a new connection must be stable, machine ns.
    pub(super) debounce: u64,
    trunk: Trunk,
}

impl Bus {
    /// The bus of the controller whose driver is `controller`. Nobody looks at it yet.
    pub fn new(controller: &ServiceRef, host: Arc<dyn HostController>) -> Arc<Self> {
        let ports = Box::new(RootPorts::new(&host));
        let root = Hub::new(controller, None, host.work_loop(), ports);
        let hubs = Gated::new(host.work_loop(), vec![root]);
        let trunk = Trunk::new("usb", controller);
        Arc::new(Self { host, hubs, debounce: controller.kit().args().debounce, trunk })
    }

    /// The controller.
    pub fn host(&self) -> &Arc<dyn HostController> {
        &self.host
    }

    /// Looks at a port and does what is to be done; port 0: at the hub itself.
    fn look(self: &Arc<Self>, hub: &Arc<Hub>, port: u8) {
        if port == 0 {
            self.gated(|| hub.ports().tend());
            return;
        }
        let Ok(status) = self.gated(|| self.see(hub, port)) else { return };
        match self.gated(|| hub.device(port)) {
            Some(device) => {
                if !status.connected || status.changed || self.gated(|| device.is_gone()) {
                    self.gated(|| self.lose(hub, port));
                    device.terminate();
                }
            }
            None if status.connected && (status.changed || !self.gated(|| hub.has_failed(port))) => {
                self.enumerate(hub, port);
            }
            None => self.gated(|| hub.set(port, Port::Empty)),
        }
        self.gated(|| hub.looked(port));
    }

    /// What a port says; changes are acknowledged, so that the next one tells again. Gated; sleeps.
    fn see(&self, hub: &Arc<Hub>, port: u8) -> IOResult<PortStatus> {
        if hub.is_gone() {
            return Err(IOReturn::Offline);
        }
        let status = hub.ports().status(port)?;
        // Before the change is ended: whoever asks the port after that finds nothing to be wrong.
        if !status.connected || status.changed {
            self.lose(hub, port);
        }
        hub.ports().acknowledge(port)?;
        Ok(status)
    }

    /// Root port `port` has news. Gated, on the work loop's thread: whoever was there is lost at once, because nothing else brings back what
    /// waits for him.
    pub fn root_port_changed(&self, port: u8, status: &PortStatus) {
        let Some(root) = self.hubs.with(|hubs| hubs.first().cloned()) else { return };
        if !status.connected || status.changed {
            self.lose(&root, port);
        }
        root.call_attention(port);
        self.wake();
    }

    /// Whoever is at a port is gone, with all that is behind him: what is in flight to them comes back as Offline. Gated; does not sleep.
    pub(super) fn lose(&self, hub: &Hub, port: u8) {
        match hub.lose(port) {
            (Some(handle), None) => self.host.disconnect(handle),
            (_, Some(device)) => self.lose_device(&device),
            _ => {}
        }
    }

    /// The same, of a device. A tree of hubs is no deeper than seven (USB 2.0, 4.1.1).
    pub(super) fn lose_device(&self, device: &Device) {
        let Some(hub) = device.set_gone() else { return };
        if let Some(hub) = hub {
            hub.set_gone();
            (1..=hub.ports().count()).for_each(|port| self.lose(&hub, port));
        }
        self.host.disconnect(device.handle());
    }

    /// The nub of `device` was stopped: its port is empty for the next.
    pub(super) fn nub_stopped(&self, device: &Arc<Device>) {
        self.gated(|| {
            self.lose_device(device);
            if let Some(hub) = device.hub() {
                hub.vacate(device);
                hub.call_attention(device.port());
            }
        });
        self.wake();
    }

    /// A hub that `device` is, and whose driver is `service`: the thread looks at its ports from now on.
    /// Offline if the device is gone.
    pub fn add_hub(
        self: &Arc<Self>,
        service: &ServiceRef,
        device: &Arc<Device>,
        ports: Box<dyn Ports>,
    ) -> IOResult<Arc<Hub>> {
        let hub = Hub::new(service, Some(device.clone()), self.host.work_loop(), ports);
        self.gated(|| {
            device.set_hub(&hub)?;
            self.hubs.with(|hubs| hubs.push(hub.clone()));
            Ok::<(), IOReturn>(())
        })?;
        self.wake();
        Ok(hub)
    }

    /// A hub has no driver any more.
    pub fn remove_hub(&self, hub: &Arc<Hub>) {
        let gone = self.gated(|| {
            hub.set_gone();
            if let Some(device) = hub.of() {
                device.clear_hub();
            }
            self.hubs.with(|hubs| hubs.retain(|other| !Arc::ptr_eq(other, hub)));
            hub.forget()
        });
        drop(gone);
    }

    /// A request to endpoint 0 of a device, with its data in `data`; bytes of the data. Gated; sleeps.
    pub fn control(&self, device: Handle, setup: Setup, data: Option<Data>) -> IOResult<u32> {
        let ticket = Ticket::new(self.kernel(), self.host.work_loop());
        let done = Box::new(ticket.done());
        let transfer = Transfer { setup: Some(setup), data, timeout: Some(CONTROL_NS), quiet: false, done };
        self.host.submit(device, vec![Chain { endpoint: 0, transfers: vec![transfer] }])?;
        ticket.wait()
    }
}

impl family::bus::Bus for Bus {
    fn trunk(&self) -> &Trunk {
        &self.trunk
    }

    fn work_loop(&self) -> &Arc<WorkLoop> {
        self.host.work_loop()
    }

    fn look_around(self: &Arc<Self>) {
        let hubs = self.gated(|| self.hubs.with(|hubs| hubs.clone()));
        for hub in &hubs {
            for port in hub.take_attention() {
                if self.is_stopping() {
                    return;
                }
                self.look(hub, port);
            }
        }
    }

    fn forget_all(&self) {
        let hubs = self.gated(|| self.hubs.with(core::mem::take));
        hubs.iter().for_each(|hub| drop(self.gated(|| hub.forget())));
    }
}
