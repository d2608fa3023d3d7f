//! The driver's life: start, removal, stop; and the disk that it offers.

use super::SBP2_DRIVER;
use super::parts::{Parts, parts_of};
use crate::class::Class;
use crate::driver::common::Holder;
use crate::family::storage::{BlockDevice, BlockStorageDevice, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, Service, ServiceRef};
use alloc::sync::{Arc, Weak};
use mach::KernelRef;

/// Drives a disk by SBP-2.
pub struct Sbp2Driver {
    parts: Holder<Parts>,
}

impl Sbp2Driver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { parts: Holder::new(kernel) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.get()
    }
}

impl Driver for Sbp2Driver {
    fn class(&self) -> &'static Class {
        &SBP2_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        if !self.parts.start_on(me, provider, || Parts::new(me, provider)) {
            return false;
        }
        let geometry = self.parts().ok().and_then(|parts| parts.geometry());
        if let Some(geometry) = geometry {
            let disk = Disk { driver: Arc::downgrade(me), geometry };
            BlockStorageDevice::publish(me, Arc::new(disk));
        }
        me.register_service(Options::empty());
        true
    }

    /// The device goes. Takes the bus's gate, so it waits for an action that runs.
    fn will_terminate(&self, _me: &ServiceRef, _provider: &ServiceRef, _options: Options) {
        self.parts.will_terminate();
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        self.parts.did_terminate(me, provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.parts.stop(provider);
    }
}

/// What the storage family sees of the driver.
struct Disk {
    driver: Weak<Service>,
    geometry: Geometry,
}

impl Disk {
    fn with<R>(&self, action: impl FnOnce(&ServiceRef, &Parts) -> IOResult<R>) -> IOResult<R> {
        let service = self.driver.upgrade().ok_or(IOReturn::Offline)?;
        let parts = parts_of(&service)?;
        action(&service, &parts)
    }
}

impl BlockDevice for Disk {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&self, block: u64, into: &mut [u8]) -> IOResult {
        self.with(|service, parts| parts.read(service, block, into))
    }

    fn write(&self, block: u64, from: &[u8]) -> IOResult {
        self.with(|service, parts| parts.write(service, block, from))
    }

    fn flush(&self) -> IOResult {
        self.with(|service, parts| parts.flush(service))
    }
}
