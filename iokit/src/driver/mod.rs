//! Drivers.

pub mod bundles;
mod common;
pub mod daq;
pub mod edu;
pub mod firewire_camera;
pub mod firewire_node;
pub mod ohci;
pub mod raid;
pub mod sbp2;
pub mod usb_hid;
pub mod usb_hub;
pub mod usb_serial;
pub mod usb_storage;
pub mod virtio_blk;
pub mod xhci;
pub mod zoo;

use crate::IoKit;

/// Adds the personalities of all drivers to the catalogue.
pub fn register(kit: &IoKit) {
    for bundle in bundles::all() {
        bundle.personalities.into_iter().for_each(|(_, personality)| kit.catalogue().add(kit, personality));
    }
}
