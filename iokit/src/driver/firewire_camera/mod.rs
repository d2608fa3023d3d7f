//! The driver of camera-like sources: it takes a channel and bandwidth, lets the source send, and gives each client every packet.

pub mod client;
mod driver;
pub mod feed;
mod parts;

pub use driver::{FireWireCamera, FireWireCameraDriver};

use crate::class::{Class, IO_SERVICE, IO_USER_CLIENT};
use crate::driver::bundles;
use crate::driver::firewire_node::WORKGATE;
use crate::family::firewire::IO_FIREWIRE_UNIT;
use crate::family::firewire::unit::{SPECIFIER, VERSION};
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static FIREWIRE_CAMERA_DRIVER: Class = Class::new("FireWireCameraDriver", &IO_SERVICE);
/// The class of its user clients.
pub static FIREWIRE_CAMERA_USER_CLIENT: Class = Class::new("FireWireCameraUserClient", &IO_USER_CLIENT);

/// Version of the unit.
const CAMERA: u64 = 2;

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.firewire-camera";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality =
        Personality::new(BUNDLE, FIREWIRE_CAMERA_DRIVER.name, IO_FIREWIRE_UNIT.name, |nub, _| {
            Some(Box::new(FireWireCameraDriver::new(nub.kernel(), FireWireCamera)))
        });
    let bundle = bundles::shipped(BUNDLE).needs(bundles::FIREWIRE, bundles::VERSION);
    bundle
        .class(&FIREWIRE_CAMERA_DRIVER)
        .class(&FIREWIRE_CAMERA_USER_CLIENT)
        .personality("firewire-camera", personality.wants(SPECIFIER, WORKGATE).wants(VERSION, CAMERA))
}
