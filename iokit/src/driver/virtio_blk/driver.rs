//! The driver's life: start, removal, stop; and the disk that it offers.

use super::VIRTIO_BLK_DRIVER;
use super::parts::Parts;
use super::ring::Ask;
use crate::class::Class;
use crate::driver::common::Holder;
use crate::family::storage::{BlockDevice, BlockStorageDevice, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, Service, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::sync::{Arc, Weak};
use mach::KernelRef;

/// Drives a virtio block device.
pub struct VirtioBlkDriver {
    parts: Holder<Parts>,
}

impl VirtioBlkDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { parts: Holder::new(kernel) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.get()
    }
}

impl Driver for VirtioBlkDriver {
    fn class(&self) -> &'static Class {
        &VIRTIO_BLK_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let mut geometry = None;
        let started = self.parts.start(me, provider, |device| {
            let parts = Parts::new(me, provider, device)?;
            geometry = Some(parts.geometry());
            Ok(parts)
        });
        let Some(geometry) = geometry.filter(|_| started) else { return false };
        let disk = Disk { driver: Arc::downgrade(me), geometry };
        BlockStorageDevice::publish(me, Arc::new(disk));
        me.register_service(Options::empty());
        true
    }

    /// The device goes. Takes the driver's own gate, so it waits for an action that runs.
    fn will_terminate(&self, _me: &ServiceRef, _provider: &ServiceRef, _options: Options) {
        self.parts.will_terminate();
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        self.parts.did_terminate(me, provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.parts.stop(provider);
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.parts.work_loop()
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
        let driver = service.driver_as::<VirtioBlkDriver>().ok_or(IOReturn::Offline)?;
        driver.parts()?.submit(&service, ask, into)
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
