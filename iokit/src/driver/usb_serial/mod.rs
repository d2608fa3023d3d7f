//! The driver of serial ports (CDC 1.2, abstract control model). It drives the control interface, and uses the pipes of the data interface.

pub mod client;
mod driver;
mod parts;

pub use driver::{UsbSerial, UsbSerialDriver};

use crate::IoKit;
use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::family::usb::IO_USB_HOST_INTERFACE;
use crate::family::usb::interface::{CLASS, SUBCLASS};
use crate::family::usb::standard::CLASS_CDC;
use crate::matching::Personality;
use alloc::boxed::Box;

/// The driver's class.
pub static USB_SERIAL_DRIVER: Class = Class::new("UsbSerialDriver", &IO_SERVICE);
/// The class of its user clients.
pub static USB_SERIAL_USER_CLIENT: Class = Class::new("UsbSerialUserClient", &IO_USER_CLIENT);

/// Subclass: abstract control model.
const ACM: u64 = 2;

/// Adds the personality.
pub fn register(kit: &IoKit) {
    let make = |nub: &crate::ServiceRef, _: &Personality| {
        Some(Box::new(UsbSerialDriver::new(nub.kernel(), UsbSerial)) as Box<dyn crate::Driver>)
    };
    let personality =
        Personality::new("usb-serial", USB_SERIAL_DRIVER.name, IO_USB_HOST_INTERFACE.name, make);
    kit.catalogue().add(kit, personality.wants(CLASS, u64::from(CLASS_CDC)).wants(SUBCLASS, ACM));
}
