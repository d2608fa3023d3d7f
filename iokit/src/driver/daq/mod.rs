//! The driver of the data-acquisition card: a stream, several readers, and commandSleep as it should be done.

mod card;
pub mod client;
mod driver;
mod feed;
mod parts;
pub mod regs;
pub mod sample;

pub use driver::{Daq, DaqDriver};

use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::driver::bundles;
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::{DEVICE_ID, VENDOR_ID};
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static DAQ_DRIVER: Class = Class::new("DaqDriver", &IO_SERVICE);
/// Its user client's class.
pub static DAQ_USER_CLIENT: Class = Class::new("DaqUserClient", &IO_USER_CLIENT);

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.daq";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, DAQ_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        Some(Box::new(DaqDriver::new(nub.kernel(), Daq)))
    });
    let bundle = bundles::shipped(BUNDLE).needs(bundles::PCI, bundles::VERSION);
    bundle
        .class(&DAQ_DRIVER)
        .class(&DAQ_USER_CLIENT)
        .personality("daq", personality.wants(VENDOR_ID, regs::VENDOR).wants(DEVICE_ID, regs::DEVICE))
}
