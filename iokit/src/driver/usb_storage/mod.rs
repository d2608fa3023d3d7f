//! The driver of mass storage on USB: SCSI commands over the bulk-only transport. Its disk is one of the storage family's.

mod driver;
mod transport;
pub mod wire;

pub use driver::{UsbStorage, UsbStorageDriver};

use crate::IoKit;
use crate::class::{Class, IO_SERVICE};
use crate::driver::zoo;
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::{CLASS, PROTOCOL, SUBCLASS};
use crate::family::usb::standard::CLASS_STORAGE;
use crate::matching::Personality;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_STORAGE_DRIVER: Class = Class::new("UsbStorageDriver", &IO_SERVICE);

/// Subclass: SCSI, all of it.
const SCSI: u64 = 6;
/// Protocol: bulk only.
const BULK_ONLY: u64 = 0x50;

/// Adds the personality.
pub fn register(kit: &IoKit) {
    let make = |nub: &crate::ServiceRef, _: &Personality| {
        Some(Box::new(UsbStorageDriver::new(nub.kernel(), UsbStorage(zoo::usb::habits(nub))))
            as Box<dyn crate::Driver>)
    };
    let personality =
        Personality::new("usb-storage", USB_STORAGE_DRIVER.name, IO_USB_HOST_INTERFACE.name, make);
    let personality = personality.wants(CLASS, u64::from(CLASS_STORAGE)).wants(SUBCLASS, SCSI);
    kit.catalogue().add(kit, personality.wants(PROTOCOL, BULK_ONLY));
}
