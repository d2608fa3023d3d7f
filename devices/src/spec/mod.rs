//! Numbers from the standards, each with the section that it comes from.

pub mod edu;
pub mod pci;
pub mod pcie;
pub mod virtio;
