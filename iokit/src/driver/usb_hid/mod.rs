//! The driver of keyboards and mice with the boot protocol (HID 1.11, appendix B).

pub mod client;
mod driver;
mod parts;
pub mod report;

pub use driver::{UsbHid, UsbHidDriver};

use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::driver::bundles;
use crate::driver::zoo;
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::{CLASS, SUBCLASS};
use crate::family::usb::standard::CLASS_HID;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_HID_DRIVER: Class = Class::new("UsbHidDriver", &IO_SERVICE);
/// The class of its user clients.
pub static USB_HID_USER_CLIENT: Class = Class::new("UsbHidUserClient", &IO_USER_CLIENT);

/// Subclass: the boot protocol is spoken.
const BOOT: u64 = 1;

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.usb-hid";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, USB_HID_DRIVER.name, IO_USB_HOST_INTERFACE.name, |nub, _| {
        Some(Box::new(UsbHidDriver::new(nub.kernel(), UsbHid(zoo::usb::habits(nub)))))
    });
    let bundle = bundles::shipped(BUNDLE).needs(bundles::USB, bundles::VERSION);
    bundle
        .class(&USB_HID_DRIVER)
        .class(&USB_HID_USER_CLIENT)
        .personality("usb-hid", personality.wants(CLASS, u64::from(CLASS_HID)).wants(SUBCLASS, BOOT))
}
