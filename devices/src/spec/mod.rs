//! Numbers from the standards, each with the section that it comes from; and those of the cards that have none.

pub mod daq;
pub mod edu;
pub mod pci;
pub mod pcie;
pub mod scsi;
pub mod usb;
pub mod virtio;
pub mod xhci;
