//! The driver of virtio block devices on modern virtio-pci (virtio 1.2: 4.1, 2.7, 5.2).

mod driver;
mod layout;
mod parts;
pub mod regs;
mod ring;
mod table;
mod transport;

pub use driver::{VirtioBlk, VirtioBlkDriver};

use crate::class::{Class, IO_SERVICE};
use crate::driver::bundles;
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::{DEVICE_ID, VENDOR_ID};
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static VIRTIO_BLK_DRIVER: Class = Class::new("VirtioBlkDriver", &IO_SERVICE);

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.virtio-blk";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, VIRTIO_BLK_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        Some(Box::new(VirtioBlkDriver::new(nub.kernel(), VirtioBlk)))
    });
    let bundle = bundles::shipped(BUNDLE)
        .needs(bundles::PCI, bundles::VERSION)
        .needs(bundles::STORAGE, bundles::VERSION);
    bundle
        .class(&VIRTIO_BLK_DRIVER)
        .personality("virtio-blk", personality.wants(VENDOR_ID, regs::VENDOR).wants(DEVICE_ID, regs::DEVICE))
}
