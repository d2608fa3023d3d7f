//! The driver: the common life, and a SCSI disk.

use super::USB_STORAGE_DRIVER;
use super::transport::BulkOnly;
use crate::class::Class;
use crate::driver::common::{Kind, Life, ScsiDisk, UsbHabits, disk};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// A mass-storage interface.
pub struct UsbStorage(pub Arc<dyn UsbHabits>);

/// Its driver.
pub type UsbStorageDriver = Life<UsbStorage>;

impl Kind for UsbStorage {
    type Parts = ScsiDisk<BulkOnly>;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &USB_STORAGE_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self::Parts> {
        Ok(ScsiDisk::new(me, BulkOnly::new(me, provider, &self.0)?))
    }

    fn started(&self, me: &ServiceRef, parts: &Arc<Self::Parts>) -> IOResult {
        disk::publish::<Self>(me, parts)
    }
}
