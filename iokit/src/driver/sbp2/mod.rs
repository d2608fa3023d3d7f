//! The driver of disks by SBP-2 (ANSI NCITS 325-1998): SCSI commands that the disk fetches from memory. Its disk is one of the storage family's.

mod driver;
mod transport;
pub mod wire;

pub use driver::{Sbp2, Sbp2Driver};

use crate::IoKit;
use crate::class::{Class, IO_SERVICE};
use crate::family::firewire::IO_FIREWIRE_UNIT;
use crate::family::firewire::unit::{SPECIFIER, VERSION};
use crate::matching::Personality;
use alloc::boxed::Box;

/// The driver's class.
pub static SBP2_DRIVER: Class = Class::new("Sbp2Driver", &IO_SERVICE);

/// Adds the personality.
pub fn register(kit: &IoKit) {
    let personality = Personality::new("sbp2", SBP2_DRIVER.name, IO_FIREWIRE_UNIT.name, |nub, _| {
        Some(Box::new(Sbp2Driver::new(nub.kernel(), Sbp2)))
    });
    let personality = personality.wants(SPECIFIER, u64::from(wire::SPECIFIER));
    kit.catalogue().add(kit, personality.wants(VERSION, u64::from(wire::VERSION)));
}
