//! The driver of QEMU's educational device: small, and complete in what a driver must do when its device goes.

mod card;
pub mod client;
mod driver;
mod parts;
pub mod regs;
mod requests;

pub use driver::{Edu, EduDriver, Variant};

use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::driver::bundles;
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::{DEVICE_ID, VENDOR_ID};
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static EDU_DRIVER: Class = Class::new("EduDriver", &IO_SERVICE);
/// Its user client's class.
pub static EDU_USER_CLIENT: Class = Class::new("EduUserClient", &IO_USER_CLIENT);

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.edu";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, EDU_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        let word = nub.kit().args().slot(nub.slot()).and_then(|s| s.driver.as_deref());
        Some(Box::new(EduDriver::new(nub.kernel(), Edu(Variant::from_word(word)))))
    });
    let bundle = bundles::shipped(BUNDLE).needs(bundles::PCI, bundles::VERSION);
    bundle
        .class(&EDU_DRIVER)
        .class(&EDU_USER_CLIENT)
        .personality("edu", personality.wants(VENDOR_ID, regs::VENDOR).wants(DEVICE_ID, regs::DEVICE))
}
