//! The driver of serial ports (CDC 1.2, abstract control model). It drives the control interface, and uses the pipes of the data interface.

pub mod client;
mod driver;
mod parts;

pub use driver::{UsbSerial, UsbSerialDriver};

use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::driver::bundles;
use crate::driver::zoo;
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::{CLASS, SUBCLASS};
use crate::family::usb::standard::CLASS_CDC;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_SERIAL_DRIVER: Class = Class::new("UsbSerialDriver", &IO_SERVICE);
/// The class of its user clients.
pub static USB_SERIAL_USER_CLIENT: Class = Class::new("UsbSerialUserClient", &IO_USER_CLIENT);

/// Subclass: abstract control model.
const ACM: u64 = 2;

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.usb-serial";

/// Its bundle.
pub fn bundle() -> Bundle {
    let make = |nub: &crate::ServiceRef, _: &Personality| {
        Some(Box::new(UsbSerialDriver::new(nub.kernel(), UsbSerial(zoo::usb::habits(nub))))
            as Box<dyn crate::Driver>)
    };
    let personality = Personality::new(BUNDLE, USB_SERIAL_DRIVER.name, IO_USB_HOST_INTERFACE.name, make);
    let bundle = bundles::shipped(BUNDLE).needs(bundles::USB, bundles::VERSION);
    bundle
        .class(&USB_SERIAL_DRIVER)
        .class(&USB_SERIAL_USER_CLIENT)
        .personality("usb-serial", personality.wants(CLASS, u64::from(CLASS_CDC)).wants(SUBCLASS, ACM))
}
