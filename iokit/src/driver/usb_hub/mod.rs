//! The driver of external hubs (USB 2.0, chapter 11): it makes the hub's ports known to the bus, whose thread does the rest.

mod driver;
mod parts;
mod ports;
pub mod wire;

pub use driver::{UsbHub, UsbHubDriver};

use crate::IoKit;
use crate::class::{Class, IO_SERVICE};
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::CLASS;
use crate::family::usb::standard::CLASS_HUB;
use crate::matching::Personality;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_HUB_DRIVER: Class = Class::new("UsbHubDriver", &IO_SERVICE);

/// Adds the personality.
pub fn register(kit: &IoKit) {
    let personality =
        Personality::new("usb-hub", USB_HUB_DRIVER.name, IO_USB_HOST_INTERFACE.name, |nub, _| {
            Some(Box::new(UsbHubDriver::new(nub.kernel(), UsbHub)))
        });
    kit.catalogue().add(kit, personality.wants(CLASS, u64::from(CLASS_HUB)));
}
