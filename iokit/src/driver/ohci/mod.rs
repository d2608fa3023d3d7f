//! The driver of FireWire controllers (1394 Open Host Controller Interface 1.1): the link layer below [`crate::family::firewire`].
//!
//! - [`regs`], [`wire`]: what stands where; tested alone.
//! - `hardware`: the registers.
//! - `transmit`, `receive`: the rings of the asynchronous contexts.
//! - `engine`: what the gate protects, bus resets.
//! - `parts`: event sources, and what the family asks for.

mod engine;
mod hardware;
mod parts;
mod receive;
pub mod regs;
mod transmit;
pub mod wire;

use crate::IoKit;
use crate::class::Class;
use crate::driver::common::HostDriver;
use crate::family::firewire::IO_FIREWIRE_CONTROLLER;
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::CLASS_CODE;
use crate::matching::Personality;
use alloc::boxed::Box;

/// The driver.
pub type OhciDriver = HostDriver<parts::Parts>;

/// The driver's class.
pub static OHCI_DRIVER: Class = Class::new("OhciDriver", &IO_FIREWIRE_CONTROLLER);

/// Adds the personality.
pub fn register(kit: &IoKit) {
    let personality = Personality::new("ohci", OHCI_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        Some(Box::new(OhciDriver::of_controller(nub.kernel())))
    });
    kit.catalogue().add(kit, personality.wants(CLASS_CODE, regs::CLASS));
}
