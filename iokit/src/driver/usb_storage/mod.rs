//! The driver of mass storage on USB: SCSI commands over the bulk-only transport. Its disk is one of the storage family's.

mod driver;
mod transport;
pub mod wire;

pub use driver::{UsbStorage, UsbStorageDriver};

use crate::class::{Class, IO_SERVICE};
use crate::driver::bundles;
use crate::driver::zoo;
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::{CLASS, PROTOCOL, SUBCLASS};
use crate::family::usb::standard::CLASS_STORAGE;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_STORAGE_DRIVER: Class = Class::new("UsbStorageDriver", &IO_SERVICE);

/// Subclass: SCSI, all of it.
const SCSI: u64 = 6;
/// Protocol: bulk only.
const BULK_ONLY: u64 = 0x50;

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.usb-storage";

/// Its bundle.
pub fn bundle() -> Bundle {
    let make = |nub: &crate::ServiceRef, _: &Personality| {
        Some(Box::new(UsbStorageDriver::new(nub.kernel(), UsbStorage(zoo::usb::habits(nub))))
            as Box<dyn crate::Driver>)
    };
    let personality = Personality::new(BUNDLE, USB_STORAGE_DRIVER.name, IO_USB_HOST_INTERFACE.name, make);
    let personality = personality.wants(CLASS, u64::from(CLASS_STORAGE)).wants(SUBCLASS, SCSI);
    let bundle = bundles::shipped(BUNDLE)
        .needs(bundles::USB, bundles::VERSION)
        .needs(bundles::STORAGE, bundles::VERSION);
    bundle.class(&USB_STORAGE_DRIVER).personality("usb-storage", personality.wants(PROTOCOL, BULK_ONLY))
}
