//! The FireWire family: one bus for each controller, and the nubs of nodes and of their units.
//!
//! ```text
//! controller's driver ◄─ IOFireWireDevice ◄─ IOFireWireUnit ◄─ driver
//! ```
//!
//! - [`standard`], [`rom`], [`topology`], [`transactions`], [`address_space`]: what stands in the standards, what nodes say, what is on its way; tested
//!   alone.
//! - [`controller`]: what a controller's driver does for the family.
//! - [`streams`], [`resources`]: isochronous streams, and what of the bus they take.
//! - [`bus`], `scan`: bus resets, and the thread that finds out who is there after each.
//! - [`device`], [`unit`](mod@unit): what drivers see.
//!
//! *Generations.* Each bus reset gives new IDs to the nodes and begins a new [`Generation`]. A request carries the one that its sender believes in;
//! one that is out of date is refused with [`crate::IOReturn::BusReset`], and is never sent. Only who has found the node again may try again:
//! [`Device::join`].
//!
//! *One gate.* Everything behind a controller shares its work loop, as with USB.

pub mod address_space;
pub mod bus;
pub mod controller;
pub mod device;
pub mod resources;
pub mod rom;
mod scan;
pub mod standard;
pub mod streams;
mod told;
pub mod topology;
pub mod transactions;
pub mod unit;

pub use bus::Bus;
pub use controller::{Link, Packet, StreamId};
pub use device::{Ask, Device, FireWireDevice, IO_FIREWIRE_DEVICE};
pub use resources::{Register, Share};
pub use streams::{Sink, StreamPacket};
pub use transactions::{Done, Sent, Tag};
pub use unit::{FireWireUnit, IO_FIREWIRE_UNIT};

use crate::class::{Class, IO_SERVICE};

/// The class that drivers of controllers derive from.
pub static IO_FIREWIRE_CONTROLLER: Class = Class::new("IOFireWireController", &IO_SERVICE);

/// From one bus reset to the next. Never used again on the same bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub(crate) u32);
