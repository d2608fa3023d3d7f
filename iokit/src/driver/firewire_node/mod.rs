//! The driver of plain FireWire nodes: memory that is read, written and locked, and nothing else. The shortest example of a driver of a unit.

pub mod client;
mod driver;
mod parts;

pub use driver::{FireWireNode, FireWireNodeDriver};

use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::driver::bundles;
use crate::family::firewire::IO_FIREWIRE_UNIT;
use crate::family::firewire::unit::{SPECIFIER, VERSION};
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static FIREWIRE_NODE_DRIVER: Class = Class::new("FireWireNodeDriver", &IO_SERVICE);
/// The class of its user clients.
pub static FIREWIRE_NODE_USER_CLIENT: Class = Class::new("FireWireNodeUserClient", &IO_USER_CLIENT);

/// Specifier of the unit: the vendor ID that the project uses for itself.
pub(crate) const WORKGATE: u64 = 0x02_5747;
/// Version of the unit.
const NODE: u64 = 1;

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.firewire-node";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, FIREWIRE_NODE_DRIVER.name, IO_FIREWIRE_UNIT.name, |nub, _| {
        Some(Box::new(FireWireNodeDriver::new(nub.kernel(), FireWireNode)))
    });
    let bundle = bundles::shipped(BUNDLE).needs(bundles::FIREWIRE, bundles::VERSION);
    bundle
        .class(&FIREWIRE_NODE_DRIVER)
        .class(&FIREWIRE_NODE_USER_CLIENT)
        .personality("firewire-node", personality.wants(SPECIFIER, WORKGATE).wants(VERSION, NODE))
}
