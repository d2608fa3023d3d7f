//! A hub, as the bus sees it: ports, and who is at each. The root hub and external hubs differ in [`Ports`] only.

use super::Handle;
use super::controller::{HostController, PortStatus};
use super::device::Device;
use crate::ioreturn::IOResult;
use crate::service::{Service, ServiceRef};
use crate::work_loop::{Gated, WorkLoop};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::KernelRef;

/// Ports of a hub that are looked at, at the most: what a hub says is not believed beyond. (A route has four bits for each.)
pub const PORTS_MAX: u8 = 31;

/// The ports of a hub, from 1. All methods are called in the gate, and may sleep in it.
pub trait Ports: Send + Sync {
    /// How many.
    fn count(&self) -> u8;
    /// What a port says.
    fn status(&self, port: u8) -> IOResult<PortStatus>;
    /// Begins to reset a port.
    fn reset(&self, port: u8) -> IOResult;
    /// The changes of a port have been seen.
    fn acknowledge(&self, port: u8) -> IOResult;
    /// The hub asked for attention for itself ([`Hub::call_attention`] with port 0).
    fn tend(&self) {}
}

/// The ports of a controller.
pub(super) struct RootPorts(Arc<dyn HostController>);

impl RootPorts {
    pub(super) fn new(host: &Arc<dyn HostController>) -> Self {
        Self(host.clone())
    }
}

impl Ports for RootPorts {
    fn count(&self) -> u8 {
        self.0.ports().min(PORTS_MAX)
    }

    fn status(&self, port: u8) -> IOResult<PortStatus> {
        self.0.port_status(port)
    }

    fn reset(&self, port: u8) -> IOResult {
        self.0.reset_port(port)
    }

    fn acknowledge(&self, port: u8) -> IOResult {
        self.0.acknowledge_port(port)
    }
}

/// Who is at a port.
#[derive(Clone)]
pub(super) enum Port {
    /// Nobody.
    Empty,
    /// Somebody who could not be made to work.
    Failed,
    /// Somebody whom the bus's thread is just getting to know; `lost`: he is gone already.
    Busy { handle: Option<Handle>, lost: bool },
    /// A device with a nub, until that is stopped.
    Present(Arc<Device>),
}

struct State {
    gone: bool,
    ports: Vec<Port>,
    /// Bit n: port n was looked at before.
    looked: u32,
}

/// One hub.
pub struct Hub {
    kernel: KernelRef,
    ports: Box<dyn Ports>,
    /// Whom the nubs of its devices attach to.
    service: Weak<Service>,
    /// The device that it is; `None`: the root hub.
    of: Option<Arc<Device>>,
    state: Gated<State>,
    /// Bit n: the thread shall look at port n; bit 0: at the hub itself.
    attention: AtomicU32,
}

impl Hub {
    pub(super) fn new(
        service: &ServiceRef,
        of: Option<Arc<Device>>,
        work_loop: &Arc<WorkLoop>,
        ports: Box<dyn Ports>,
    ) -> Arc<Self> {
        let count = ports.count().min(PORTS_MAX);
        let all = (1..=count).fold(0, |bits, port| bits | 1 << port);
        let state = State { gone: false, ports: (0..count).map(|_| Port::Empty).collect(), looked: 0 };
        Arc::new(Self {
            kernel: service.kernel().clone(),
            ports,
            service: Arc::downgrade(service),
            of,
            state: Gated::new(work_loop, state),
            attention: AtomicU32::new(all),
        })
    }

    /// Its ports.
    pub fn ports(&self) -> &dyn Ports {
        &*self.ports
    }

    /// The device that it is; `None`: the root hub.
    pub fn of(&self) -> Option<&Arc<Device>> {
        self.of.as_ref()
    }

    /// Its driver, while that is there.
    pub(super) fn service(&self) -> Option<ServiceRef> {
        self.service.upgrade()
    }

    pub(super) fn kernel(&self) -> &KernelRef {
        &self.kernel
    }

    /// The bus's thread shall look at port `port`, or with 0 at the hub itself. Follow with [`wake`](crate::family::bus::Bus::wake).
    pub fn call_attention(&self, port: u8) {
        if port <= PORTS_MAX {
            self.attention.fetch_or(1 << port, Ordering::AcqRel);
        }
    }

    pub(super) fn take_attention(&self) -> impl Iterator<Item = u8> + use<> {
        let bits = self.attention.swap(0, Ordering::AcqRel);
        (0..=PORTS_MAX).filter(move |port| bits >> port & 1 != 0)
    }

    /// Whether it is gone. Gated.
    pub fn is_gone(&self) -> bool {
        self.state.with(|s| s.gone)
    }

    /// It is gone: nobody asks it for anything any more. Gated.
    pub fn set_gone(&self) {
        self.state.with(|s| s.gone = true);
    }

    fn port<R>(&self, port: u8, look: impl FnOnce(&mut Port) -> R) -> Option<R> {
        self.state.with(|s| s.ports.get_mut(usize::from(port).checked_sub(1)?).map(look))
    }

    /// Whether a port was looked at before. Gated.
    pub(super) fn was_looked_at(&self, port: u8) -> bool {
        self.state.with(|s| s.looked >> port & 1 != 0)
    }

    /// A port was looked at. Gated.
    pub(super) fn looked(&self, port: u8) {
        self.state.with(|s| s.looked |= 1 << port);
    }

    /// The device at a port, if there is one with a nub. Gated.
    pub(super) fn device(&self, port: u8) -> Option<Arc<Device>> {
        self.port(port, |port| match port {
            Port::Present(device) => Some(device.clone()),
            _ => None,
        })?
    }

    /// Whether somebody is there who could not be made to work. Gated.
    pub(super) fn has_failed(&self, port: u8) -> bool {
        self.port(port, |port| matches!(port, Port::Failed)).unwrap_or(true)
    }

    /// Who is at a port from now on. Gated.
    pub(super) fn set(&self, port: u8, who: Port) {
        let before = self.port(port, |place| core::mem::replace(place, who));
        drop(before);
    }

    /// Whoever is at a port is lost: his handle while he is being made known, or the device. Gated.
    pub(super) fn lose(&self, port: u8) -> (Option<Handle>, Option<Arc<Device>>) {
        let lost = self.port(port, |port| match port {
            Port::Busy { handle, lost } => {
                *lost = true;
                (*handle, None)
            }
            Port::Present(device) => (None, Some(device.clone())),
            Port::Empty | Port::Failed => (None, None),
        });
        lost.unwrap_or((None, None))
    }

    /// Whether who is being made known at a port is lost already; `handle` is his, if he has one by now. Gated.
    pub(super) fn is_lost(&self, port: u8, known: Option<Handle>) -> bool {
        let gone = self.is_gone();
        let lost = self.port(port, |port| match port {
            Port::Busy { handle, lost } => {
                *handle = known;
                *lost
            }
            _ => true,
        });
        gone || lost.unwrap_or(true)
    }

    /// The nub of `device` is stopped: its port is empty. Gated.
    pub(super) fn vacate(&self, device: &Arc<Device>) {
        let before = self.port(device.port(), |port| match port {
            Port::Present(there) if Arc::ptr_eq(there, device) => Some(core::mem::replace(port, Port::Empty)),
            _ => None,
        });
        drop(before);
    }

    /// Forgets who is at its ports; what it held. Gated.
    pub(super) fn forget(&self) -> Vec<Arc<Device>> {
        let ports = self.state.with(|s| {
            s.gone = true;
            s.ports.iter_mut().map(|port| core::mem::replace(port, Port::Empty)).collect::<Vec<_>>()
        });
        ports
            .into_iter()
            .filter_map(|port| match port {
                Port::Present(device) => Some(device),
                _ => None,
            })
            .collect()
    }
}
