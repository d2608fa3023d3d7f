//! The driver's life: start, removal, stop.

use super::OHCI_DRIVER;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::Holder;
use crate::family::firewire::Bus;
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::sync::Arc;
use mach::{KernelRef, SpinLock};

/// Drives a FireWire controller.
pub struct OhciDriver {
    kernel: KernelRef,
    parts: Holder<Parts>,
    /// From `start` to `stop`.
    bus: SpinLock<Option<Arc<Bus>>>,
}

impl OhciDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { kernel: kernel.clone(), parts: Holder::new(kernel), bus: SpinLock::new(None) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.get()
    }

    /// Makes the bus behind the controller, and the thread that looks who is there; then the link may begin.
    fn begin_bus(&self, me: &ServiceRef) -> IOResult {
        let parts = self.parts()?;
        let bus = Bus::new(me, parts.clone());
        parts.set_bus(&bus);
        *self.bus.lock(&self.kernel) = Some(bus.clone());
        bus.start(me)?;
        parts.enable()
    }
}

impl Driver for OhciDriver {
    fn class(&self) -> &'static Class {
        &OHCI_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        if !self.parts.start(me, provider, |device| Parts::new(me, provider, device)) {
            return false;
        }
        if let Err(why) = self.begin_bus(me) {
            self.kernel.log(format_args!("ohci {}: {why}", me.device()));
            self.parts.will_terminate();
            self.stop(me, provider);
            provider.close(me, Options::empty());
            return false;
        }
        me.register_service(Options::empty());
        true
    }

    /// The controller goes. Takes the driver's own gate, so it waits for an action that runs.
    fn will_terminate(&self, _me: &ServiceRef, _provider: &ServiceRef, _options: Options) {
        self.parts.will_terminate();
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        self.parts.did_terminate(me, provider, options, *defer);
    }

    /// Not in the gate of the work loop, but in that of the provider: the bus's thread can come to its end.
    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        let bus = self.bus.lock(&self.kernel).take();
        if let Some(bus) = bus {
            bus.stop();
        }
        self.parts.stop(provider);
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.parts.work_loop()
    }
}
