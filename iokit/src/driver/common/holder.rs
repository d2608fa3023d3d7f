//! The part of a driver's life that is the same for every card: parts come with `start` and go with `stop`.

use super::Frame;
use crate::family::pci::PciDevice;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Options, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::sync::Arc;
use mach::{KernelRef, SpinLock};

/// What a driver has between `start` and `stop`.
pub trait Parts: Send + Sync + 'static {
    /// Work loop, event sources, calls in flight.
    fn frame(&self) -> &Frame;

    /// Lets everything begin: event sources first, then the device.
    fn begin(&self) -> IOResult {
        self.frame().begin()
    }

    /// The device goes: [`Frame::go_offline`] with what this driver has in flight.
    fn go_offline(&self);
}

/// Where a driver keeps its parts.
pub struct Holder<P> {
    kernel: KernelRef,
    parts: SpinLock<Option<Arc<P>>>,
}

impl<P: Parts> Holder<P> {
    /// Holds nothing.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { kernel: kernel.clone(), parts: SpinLock::new(None) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub fn get(&self) -> IOResult<Arc<P>> {
        self.parts.lock(&self.kernel).clone().ok_or(IOReturn::Offline)
    }

    /// `start`, with the provider open: makes the parts and lets them begin. After an error they are still here, for [`Holder::stop`].
    pub fn begin(&self, make: impl FnOnce() -> IOResult<P>) -> IOResult<Arc<P>> {
        let parts = Arc::new(make()?);
        *self.parts.lock(&self.kernel) = Some(parts.clone());
        parts.begin()?;
        Ok(parts)
    }

    /// `willTerminate`.
    pub fn will_terminate(&self) {
        if let Ok(parts) = self.get() {
            parts.go_offline();
        }
    }

    /// `didTerminate`: driver `me` closes its provider, now or when the last call in flight has returned: what uses it must be over by then.
    pub fn close_when_idle(&self, me: &ServiceRef, provider: &ServiceRef) {
        if self.get().is_ok_and(|parts| parts.frame().close_when_idle()) {
            provider.close(me, Options::empty());
        }
    }

    /// `stop`: takes everything apart. The device must not reach memory that is freed here.
    pub fn stop(&self, provider: &ServiceRef) {
        let parts = self.parts.lock(&self.kernel).take();
        if let Some(device) = PciDevice::of(provider) {
            device.set_bus_master(false);
        }
        if let Some(parts) = parts {
            parts.frame().end();
        }
    }

    /// The work loop of a started driver.
    pub fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.get().ok().map(|parts| parts.frame().work_loop().clone())
    }
}
