//! A controller with a bus behind it: the common life of a card, and the bus that begins when the card works and ends before it is taken apart.

use super::{Holder, Kind, Life, Parts, card};
use crate::class::Class;
use crate::family::bus::Bus;
use crate::family::pci::PciDevice;
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;
use mach::{KernelRef, SpinLock};

/// What a controller's driver has between `start` and `stop`.
pub trait Controller: Parts + Sized {
    /// The bus of its family.
    type Bus: Bus;

    /// The driver's class.
    fn class() -> &'static Class;

    /// Resets the controller and sets it up; nothing runs yet. Sleeps.
    fn new(me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Self>;

    /// Makes the bus, which hears from now on of what happens.
    fn make_bus(self: &Arc<Self>, me: &ServiceRef) -> Arc<Self::Bus>;

    /// The bus has begun: what may happen on it only now. Offline: the controller goes already.
    fn enable(&self) -> IOResult {
        Ok(())
    }
}

/// A controller.
pub struct Host<C: Controller> {
    kernel: KernelRef,
    /// From `start` to `stop`.
    bus: SpinLock<Option<Arc<C::Bus>>>,
}

/// Its driver.
pub type HostDriver<C> = Life<Host<C>>;

impl<C: Controller> HostDriver<C> {
    /// A controller's driver that has not started.
    pub fn of_controller(kernel: &KernelRef) -> Self {
        Self::new(kernel, Host { kernel: kernel.clone(), bus: SpinLock::new(None) })
    }
}

impl<C: Controller> Kind for Host<C> {
    type Parts = C;

    const OWN_LOOP: bool = true;

    fn class(&self) -> &'static Class {
        C::class()
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<C> {
        C::new(me, provider, card(provider)?)
    }

    fn started(&self, me: &ServiceRef, parts: &Arc<C>) -> IOResult {
        let bus = parts.make_bus(me);
        *self.bus.lock(&self.kernel) = Some(bus.clone());
        bus.start(me)?;
        parts.enable()
    }

    /// The bus's thread, which comes through the controller's gate, can come to its end: `stop` is not called in that.
    fn stopping(&self, _provider: &ServiceRef, _parts: &Holder<C>) {
        let bus = self.bus.lock(&self.kernel).take();
        if let Some(bus) = bus {
            bus.stop();
        }
    }
}
