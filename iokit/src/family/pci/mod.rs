//! The PCI family: host bridge, root ports with native hot plug, and the nubs of functions.
//!
//! ```text
//! platform ◄─ HostBridge ◄─ RootPort (one for each slot) ◄─ IOPCIDevice (nub) ◄─ driver
//! ```
//!
//! - [`config`], [`bars`], [`window`], [`bridge`], [`message`]: registers, without state; tested alone.
//! - [`hot_plug`]: what to do about which slot event; tested alone.
//! - [`hub`], [`card`], [`slot`]: the thread that does it.
//! - [`device`], [`access`], [`registers`], [`interrupts`]: what drivers see.

pub mod access;
pub mod bars;
pub mod bridge;
pub mod card;
pub mod config;
pub mod device;
#[cfg(test)]
mod fake;
pub mod function;
pub mod host;
pub mod hot_plug;
pub mod hub;
pub mod interrupts;
pub mod message;
pub mod port;
pub mod registers;
pub mod regs;
pub mod slot;
pub mod window;

pub use device::{BELOW_4G, BusMaster, DmaSpace, IO_PCI_DEVICE, PciDevice};
pub use registers::Registers;
