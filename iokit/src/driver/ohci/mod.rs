//! The driver of FireWire controllers (1394 Open Host Controller Interface 1.1): the link layer below [`crate::family::firewire`].
//!
//! - [`regs`], [`wire`]: what stands where; tested alone.
//! - `hardware`: the registers.
//! - `transmit`, `receive`: the rings of the asynchronous contexts.
//! - `stream`: those of streams that are received.
//! - `engine`: what the gate protects, bus resets.
//! - `parts`: event sources, and what the family asks for.

mod engine;
mod hardware;
mod parts;
mod receive;
pub mod regs;
mod stream;
mod transmit;
pub mod wire;

use crate::class::Class;
use crate::driver::bundles;
use crate::driver::common::HostDriver;
use crate::family::firewire::IO_FIREWIRE_CONTROLLER;
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::CLASS_CODE;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver.
pub type OhciDriver = HostDriver<parts::Parts>;

/// The driver's class.
pub static OHCI_DRIVER: Class = Class::new("OhciDriver", &IO_FIREWIRE_CONTROLLER);

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.ohci";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, OHCI_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        Some(Box::new(OhciDriver::of_controller(nub.kernel())))
    });
    let bundle = bundles::shipped(BUNDLE)
        .needs(bundles::PCI, bundles::VERSION)
        .needs(bundles::FIREWIRE, bundles::VERSION);
    bundle.class(&OHCI_DRIVER).personality("ohci", personality.wants(CLASS_CODE, regs::CLASS))
}
