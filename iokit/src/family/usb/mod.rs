//! The USB family: one bus for each host controller, its hubs, and the nubs of devices and interfaces.
//!
//! ```text
//! controller's driver ◄─ IOUSBHostDevice ◄─ IOUSBHostInterface ◄─ driver
//!                                               ▲
//!                                     hub driver ◄─ IOUSBHostDevice ◄─ IOUSBHostInterface ◄─ …
//! ```
//!
//! - [`standard`], [`descriptor`]: what stands in the standard, what a device says; tested alone.
//! - [`controller`]: what a controller's driver does for the family.
//! - [`bus`], [`hub`], `enumerate`: which device is at which port, and the thread that finds out.
//! - [`device`], [`interface`], [`pipe`], [`mod@exchange`]: what drivers see.
//!
//! *One gate.* Everything behind a controller shares its work loop. Threads that wait for a device sleep in its gate, with the gate open.

pub mod bus;
pub mod controller;
pub mod descriptor;
pub mod device;
mod enumerate;
pub mod exchange;
pub mod hub;
pub mod interface;
pub mod pipe;
pub mod standard;

pub use bus::Bus;
pub use controller::{Chain, Data, Done, Handle, HostController, HubFacts, Place, PortStatus, Transfer};
pub use descriptor::{Endpoint, EndpointKind};
pub use device::{Device, IO_USB_HOST_DEVICE, UsbDevice};
pub use exchange::{Outcome, Stage, exchange};
pub use hub::{Hub, Ports};
pub use interface::{IO_USB_HOST_INTERFACE, UsbInterface};
pub use pipe::Pipe;
pub use standard::{Setup, Speed};

use crate::class::{Class, IO_SERVICE};

/// The class that drivers of host controllers derive from.
pub static IO_USB_HOST_CONTROLLER: Class = Class::new("IOUSBHostController", &IO_SERVICE);
