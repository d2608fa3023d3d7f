//! The driver of virtio block devices on modern virtio-pci (virtio 1.2: 4.1, 2.7, 5.2).

mod driver;
mod layout;
mod parts;
pub mod regs;
mod ring;
mod table;
mod transport;

pub use driver::{VirtioBlk, VirtioBlkDriver};

use crate::IoKit;
use crate::class::{Class, IO_SERVICE};
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::{DEVICE_ID, VENDOR_ID};
use crate::matching::Personality;
use alloc::boxed::Box;

/// The driver's class.
pub static VIRTIO_BLK_DRIVER: Class = Class::new("VirtioBlkDriver", &IO_SERVICE);

/// Adds the personality.
pub fn register(kit: &IoKit) {
    let personality = Personality::new("virtio-blk", VIRTIO_BLK_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        Some(Box::new(VirtioBlkDriver::new(nub.kernel(), VirtioBlk)))
    });
    kit.catalogue().add(kit, personality.wants(VENDOR_ID, regs::VENDOR).wants(DEVICE_ID, regs::DEVICE));
}
