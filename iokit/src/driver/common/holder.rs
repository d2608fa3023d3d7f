//! The part of a driver's life that is the same for every card: parts come with `start` and go with `stop`.

use super::{Frame, card};
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

    /// `start`: opens the provider, makes the parts, lets them begin. What went wrong is on the console, and undone.
    pub fn start(
        &self,
        me: &ServiceRef,
        provider: &ServiceRef,
        make: impl FnOnce(&PciDevice) -> IOResult<P>,
    ) -> bool {
        self.start_on(me, provider, || make(card(provider)?))
    }

    /// [`Holder::start`] on a provider of any kind.
    pub fn start_on(
        &self,
        me: &ServiceRef,
        provider: &ServiceRef,
        make: impl FnOnce() -> IOResult<P>,
    ) -> bool {
        if !provider.open(me, Options::empty()) {
            return false;
        }
        let begun = make().and_then(|parts| {
            let parts = Arc::new(parts);
            *self.parts.lock(&self.kernel) = Some(parts.clone());
            parts.begin()
        });
        let Err(why) = begun else { return true };
        self.kernel.log(format_args!("{}: {}: {why}", me.class().name, me.device()));
        self.stop(provider);
        provider.close(me, Options::empty());
        false
    }

    /// `willTerminate`.
    pub fn will_terminate(&self) {
        if let Ok(parts) = self.get() {
            parts.go_offline();
        }
    }

    /// `didTerminate`: closes the provider, now or when the last call in flight has returned: what uses it must be over by then.
    pub fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: bool) {
        if self.get().is_ok_and(|parts| parts.frame().close_when_idle()) {
            provider.close(me, Options::empty());
        }
        me.default_did_terminate(provider, options, defer);
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
