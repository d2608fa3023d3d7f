//! The driver of external hubs (USB 2.0, chapter 11): it makes the hub's ports known to the bus, whose thread does the rest.

mod driver;
mod parts;
mod ports;
pub mod wire;

pub use driver::{UsbHub, UsbHubDriver};

use crate::class::{Class, IO_SERVICE};
use crate::driver::bundles;
use crate::driver::zoo;
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::CLASS;
use crate::family::usb::standard::CLASS_HUB;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_HUB_DRIVER: Class = Class::new("UsbHubDriver", &IO_SERVICE);

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.usb-hub";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, USB_HUB_DRIVER.name, IO_USB_HOST_INTERFACE.name, |nub, _| {
        Some(Box::new(UsbHubDriver::new(nub.kernel(), UsbHub(zoo::usb::habits(nub)))))
    });
    let bundle = bundles::shipped(BUNDLE).needs(bundles::USB, bundles::VERSION);
    bundle.class(&USB_HUB_DRIVER).personality("usb-hub", personality.wants(CLASS, u64::from(CLASS_HUB)))
}
