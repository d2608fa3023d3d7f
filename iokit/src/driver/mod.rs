//! Drivers.

mod common;
pub mod daq;
pub mod edu;
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
    edu::register(kit);
    virtio_blk::register(kit);
    daq::register(kit);
    raid::register(kit);
    xhci::register(kit);
    ohci::register(kit);
    sbp2::register(kit);
    usb_hub::register(kit);
    usb_hid::register(kit);
    usb_serial::register(kit);
    usb_storage::register(kit);
    zoo::register(kit);
    crate::family::storage::register(kit);
}
