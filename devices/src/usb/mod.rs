//! USB devices, and the tree of hubs in which they hang.
//!
//! ```text
//! controller ─► Tree ─► way (root port, route string) ─► Function ─► Gadget
//!               hubs, ports, speeds                      chapter 9    what the device is for
//! ```
//!
//! A device is a [`Gadget`]: its descriptors, its class requests, and what its endpoints answer to tokens. What all devices have in common
//! (addresses, configurations, descriptors, halts, the stages of control transfers) is in [`Function`]; how they hang
//! together, in [`Tree`]. A controller drives the tree one packet at a time, as a bus does.

mod descriptor;
mod function;
mod gadget;
mod hid;
mod hub;
mod serial;
mod storage;
mod tree;

pub use descriptor::{Configuration, Descriptors};
pub use function::Function;
pub use gadget::{Gadget, Reply, Setup, Speed, Stalled};
pub use hid::{Hid, Kind as HidKind};
pub use hub::{Hub, Ports};
pub use serial::Serial;
pub use storage::Storage;
pub use tree::{Plugged, Tree};
