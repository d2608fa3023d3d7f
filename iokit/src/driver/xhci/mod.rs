//! The driver of extensible host controllers (xHCI 1.2).
//!
//! - [`regs`], [`trb`], [`context`], [`ring`]: what stands where; tested alone.
//! - `hardware`: the registers.
//! - [`flight`]: one transfer: its memory and its blocks.
//! - [`channel`]: one endpoint: what is in flight on it, and how it recovers.
//! - `engine`: everything that the gate protects.
//! - `parts`: event sources, and what the family asks for.

pub mod channel;
pub mod context;
mod engine;
pub mod flight;
mod hardware;
mod parts;
pub mod regs;
pub mod ring;
pub mod trb;

use crate::class::Class;
use crate::driver::bundles;
use crate::driver::common::HostDriver;
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::CLASS_CODE;
use crate::family::usb::IO_USB_HOST_CONTROLLER;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver.
pub type XhciDriver = HostDriver<parts::Parts>;

/// The driver's class.
pub static XHCI_DRIVER: Class = Class::new("XhciDriver", &IO_USB_HOST_CONTROLLER);

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.xhci";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, XHCI_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        Some(Box::new(XhciDriver::of_controller(nub.kernel())))
    });
    let bundle =
        bundles::shipped(BUNDLE).needs(bundles::PCI, bundles::VERSION).needs(bundles::USB, bundles::VERSION);
    bundle.class(&XHCI_DRIVER).personality("xhci", personality.wants(CLASS_CODE, regs::CLASS))
}
