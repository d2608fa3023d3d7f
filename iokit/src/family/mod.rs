//! Families: what drivers of one kind of device have in common.
//!
//! And what families have in common: [`bus`], what is behind a controller; [`nub`], how a device on it is published and terminated; [`ticket`], a request that
//! a thread waits for; [`worker`], a thread that looks at what has news.

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
