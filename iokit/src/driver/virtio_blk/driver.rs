//! The driver: the common life, with these parts; and the disk that it offers.

use super::VIRTIO_BLK_DRIVER;
use super::parts::Parts;
use super::ring::Ask;
use crate::class::Class;
use crate::driver::common::{Holder, Kind, Life, card};
use crate::family::storage::{BlockDevice, BlockStorageDevice, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use alloc::sync::{Arc, Weak};

/// A virtio block device.
#[derive(Default)]
pub struct VirtioBlk {
    /// Known once the parts are made.
    geometry: spin::Once<Geometry>,
}

/// Its driver.
pub type VirtioBlkDriver = Life<VirtioBlk>;

impl Kind for VirtioBlk {
    type Parts = Parts;

    const OWN_LOOP: bool = true;

    fn class(&self) -> &'static Class {
        &VIRTIO_BLK_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        let parts = Parts::new(me, provider, card(provider)?)?;
        self.geometry.call_once(|| parts.geometry());
        Ok(parts)
    }

    fn started(&self, me: &ServiceRef, _parts: &Holder<Parts>) {
        if let Some(&geometry) = self.geometry.get() {
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
    fn submit(&self, ask: Ask<'_>, into: &mut [u8]) -> IOResult {
        let service = self.driver.upgrade().ok_or(IOReturn::Offline)?;
        VirtioBlkDriver::parts_of(&service)?.submit(&service, ask, into)
    }
}

impl BlockDevice for Disk {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&self, block: u64, into: &mut [u8]) -> IOResult {
        self.submit(Ask::Read(block, into.len() as u32), into)
    }

    fn write(&self, block: u64, from: &[u8]) -> IOResult {
        self.submit(Ask::Write(block, from), &mut [])
    }

    fn flush(&self) -> IOResult {
        self.submit(Ask::Flush, &mut [])
    }
}
