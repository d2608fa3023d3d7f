//! The driver of keyboards and mice with the boot protocol (HID 1.11, appendix B).

pub mod client;
mod driver;
mod parts;
pub mod report;

pub use driver::{UsbHid, UsbHidDriver};

use crate::IoKit;
use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::{CLASS, SUBCLASS};
use crate::family::usb::standard::CLASS_HID;
use crate::matching::Personality;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_HID_DRIVER: Class = Class::new("UsbHidDriver", &IO_SERVICE);
/// The class of its user clients.
pub static USB_HID_USER_CLIENT: Class = Class::new("UsbHidUserClient", &IO_USER_CLIENT);

/// Subclass: the boot protocol is spoken.
const BOOT: u64 = 1;

/// Adds the personality.
pub fn register(kit: &IoKit) {
    let personality =
        Personality::new("usb-hid", USB_HID_DRIVER.name, IO_USB_HOST_INTERFACE.name, |nub, _| {
            Some(Box::new(UsbHidDriver::new(nub.kernel(), UsbHid)))
        });
    kit.catalogue().add(kit, personality.wants(CLASS, u64::from(CLASS_HID)).wants(SUBCLASS, BOOT));
}
