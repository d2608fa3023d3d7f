//! Families: what drivers of one kind of device have in common.

pub mod bus;
pub mod firewire;
pub mod nub;
pub mod pci;
pub mod storage;
pub mod ticket;
pub mod usb;
pub mod worker;

use crate::{IoKit, ServiceRef};

/// Publishes what the families find: host bridges below `platform`, and so on down.
pub fn start(kit: &IoKit, platform: &ServiceRef) {
    pci::host::HostBridge::publish(kit, platform);
}
