//! The driver of disks by SBP-2 (ANSI NCITS 325-1998): SCSI commands that the disk fetches from memory. Its disk is one of the storage family's.

mod driver;
mod transport;
pub mod wire;

pub use driver::{Sbp2, Sbp2Driver};

use crate::class::{Class, IO_SERVICE};
use crate::driver::bundles;
use crate::family::firewire::IO_FIREWIRE_UNIT;
use crate::family::firewire::unit::{SPECIFIER, VERSION};
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The driver's class.
pub static SBP2_DRIVER: Class = Class::new("Sbp2Driver", &IO_SERVICE);

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.sbp2";

/// Its bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, SBP2_DRIVER.name, IO_FIREWIRE_UNIT.name, |nub, _| {
        Some(Box::new(Sbp2Driver::new(nub.kernel(), Sbp2)))
    });
    let personality = personality.wants(SPECIFIER, u64::from(wire::SPECIFIER));
    let bundle = bundles::shipped(BUNDLE)
        .needs(bundles::FIREWIRE, bundles::VERSION)
        .needs(bundles::STORAGE, bundles::VERSION);
    bundle.class(&SBP2_DRIVER).personality("sbp2", personality.wants(VERSION, u64::from(wire::VERSION)))
}
