//! The driver: the common life, with these parts; and the disk that it offers.

use super::USB_STORAGE_DRIVER;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Holder, Kind, Life};
use crate::family::storage::{BlockDevice, BlockStorageDevice, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use alloc::sync::{Arc, Weak};

/// A mass-storage interface.
pub struct UsbStorage;

/// Its driver.
pub type UsbStorageDriver = Life<UsbStorage>;

impl Kind for UsbStorage {
    type Parts = Parts;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &USB_STORAGE_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider)
    }

    fn started(&self, me: &ServiceRef, parts: &Holder<Parts>) {
        let geometry = parts.get().ok().and_then(|parts| parts.geometry());
        if let Some(geometry) = geometry {
            let disk = Disk { driver: Arc::downgrade(me), geometry };
            BlockStorageDevice::publish(me, Arc::new(disk));
        }
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
        let parts = UsbStorageDriver::parts_of(&service)?;
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
