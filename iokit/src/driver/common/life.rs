//! A driver whose life is the common one, written once: what makes a driver of it is its [`Kind`].

use super::{Holder, Parts};
use crate::class::Class;
use crate::family::pci::PciDevice;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::sync::Arc;
use mach::KernelRef;

/// What tells one driver from another.
pub trait Kind: Send + Sync + 'static {
    /// What it has between `start` and `stop`.
    type Parts: Parts;

    /// Whether its work loop is its own; otherwise it is its provider's.
    const OWN_LOOP: bool;

    /// Its class.
    fn class(&self) -> &'static Class;

    /// Makes the parts; nothing runs yet. The provider is open.
    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self::Parts>;

    /// It has started, and nobody knows yet: publishes what it offers.
    fn started(&self, _me: &ServiceRef, _parts: &Holder<Self::Parts>) {}

    /// The device goes: before anything else of `willTerminate`.
    fn leaving(&self, _me: &ServiceRef, _provider: &ServiceRef, _parts: &Holder<Self::Parts>) {}

    /// It stops: before it is taken apart.
    fn stopping(&self, _parts: &Holder<Self::Parts>) {}

    /// A connection for a client; Unsupported if there is none.
    fn user_client(&self, _me: &ServiceRef) -> IOResult<ServiceRef> {
        Err(IOReturn::Unsupported)
    }
}

/// A driver: start, removal, stop.
pub struct Life<K: Kind> {
    kind: K,
    parts: Holder<K::Parts>,
}

impl<K: Kind> Life<K> {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef, kind: K) -> Self {
        Self { kind, parts: Holder::new(kernel) }
    }

    /// What the driver that `service` is has between `start` and `stop`; Offline otherwise, and if it is none of these.
    pub fn parts_of(service: &ServiceRef) -> IOResult<Arc<K::Parts>> {
        service.driver_as::<Self>().ok_or(IOReturn::Offline)?.parts.get()
    }
}

impl<K: Kind> Driver for Life<K> {
    fn class(&self) -> &'static Class {
        self.kind.class()
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let started = self.parts.start_on(me, provider, || self.kind.make(me, provider));
        if started {
            self.kind.started(me, &self.parts);
            me.register_service(Options::empty());
        }
        started
    }

    /// The device goes. Takes the work loop's gate, so it waits for an action that runs.
    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _options: Options) {
        self.kind.leaving(me, provider, &self.parts);
        self.parts.will_terminate();
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        self.parts.did_terminate(me, provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.kind.stopping(&self.parts);
        self.parts.stop(provider);
    }

    fn new_user_client(&self, me: &ServiceRef, _kind: u32) -> IOResult<ServiceRef> {
        self.kind.user_client(me)
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        K::OWN_LOOP.then(|| self.parts.work_loop())?
    }
}

/// The card that `provider` is, which may reach memory from now on; [`Holder::stop`] takes that away again. BadArgument: it is no card.
pub fn card(provider: &ServiceRef) -> IOResult<&PciDevice> {
    let device = PciDevice::of(provider).ok_or(IOReturn::BadArgument)?;
    device.set_bus_master(true);
    Ok(device)
}
