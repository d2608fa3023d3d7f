//! The driver's life: start, removal, stop; and the disk that it offers.

use super::VIRTIO_BLK_DRIVER;
use super::parts::Parts;
use super::ring::Ask;
use crate::class::Class;
use crate::family::pci::PciDevice;
use crate::family::storage::{BlockDevice, BlockStorageDevice, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, Service, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::sync::{Arc, Weak};
use mach::{KernelRef, SpinLock};

/// Drives a virtio block device.
pub struct VirtioBlkDriver {
    kernel: KernelRef,
    /// From `start` to `stop`.
    parts: SpinLock<Option<Arc<Parts>>>,
}

impl VirtioBlkDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { kernel: kernel.clone(), parts: SpinLock::new(None) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.lock(&self.kernel).clone().ok_or(IOReturn::Offline)
    }

    /// Takes everything apart. The device must not reach memory that is freed here.
    fn end(&self, provider: &ServiceRef) {
        let parts = self.parts.lock(&self.kernel).take();
        if let Some(device) = PciDevice::of(provider) {
            device.set_bus_master(false);
        }
        if let Some(parts) = parts {
            parts.end();
        }
    }

    fn begin(&self, me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Geometry> {
        let parts = Parts::new(me, provider, device)?;
        *self.parts.lock(&self.kernel) = Some(parts.clone());
        parts.begin()?;
        Ok(parts.geometry())
    }
}

impl Driver for VirtioBlkDriver {
    fn class(&self) -> &'static Class {
        &VIRTIO_BLK_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let Some(device) = PciDevice::of(provider) else { return false };
        if !provider.open(me, Options::empty()) {
            return false;
        }
        device.set_bus_master(true);
        match self.begin(me, provider, device) {
            Ok(geometry) => {
                let disk = Disk { driver: Arc::downgrade(me), geometry };
                BlockStorageDevice::publish(me, Arc::new(disk));
                me.register_service(Options::empty());
                true
            }
            Err(why) => {
                self.kernel.log(format_args!("VirtioBlkDriver: {}: {why}", me.device()));
                self.end(provider);
                provider.close(me, Options::empty());
                false
            }
        }
    }

    /// The device goes. Takes the driver's own gate, so it waits for an action that runs.
    fn will_terminate(&self, _me: &ServiceRef, _provider: &ServiceRef, _options: Options) {
        if let Ok(parts) = self.parts() {
            parts.go_offline();
        }
    }

    /// Closes the provider, now or when the last call in flight has returned: what uses it must be over by then.
    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        if self.parts().is_ok_and(|parts| parts.close_when_idle()) {
            provider.close(me, Options::empty());
        }
        me.default_did_terminate(provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.end(provider);
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.parts().ok().map(|parts| parts.work_loop().clone())
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
