//! The zoo: drivers of the edu card that are broken as real drivers are, each beside its fixed twin.
//!
//! Those of the edu card are one small driver, with a few places at which it can behave otherwise (`Habits`). A bug is a
//! handful of lines in a file of its own below `bugs`, and so is its fix: two implementations of the same places, to be read side by side.
//! A plan chooses one by name: `plug edu0 edu slot=1 driver=zoo-lost-wakeup`, or `driver=zoo-lost-wakeup-fixed`.
//!
//! ```text
//! client ─► submit ─► gate: enqueue ─► pump: start the card ─► commandSleep ───────┐
//! interrupt ─► filter ─► work loop ─► gate: settle: look at the card ─► complete ──┘
//! ```
//!
//! Those of USB devices and FireWire nodes are the bench's own drivers, which have such places too (`UsbHabits`, `FireHabits`): see [`usb`], [`fire`].

mod bugs;
mod card;
mod client;
mod driver;
pub mod fire;
mod habits;
mod parts;
mod request;
pub mod usb;

pub use bugs::{SPECIMENS, Specimen};
pub use driver::{ZooCard, ZooDriver};

use crate::class::{Class, IO_USER_CLIENT};
use crate::driver::common::{FireHabits, UsbHabits};
use crate::driver::edu::{EDU_DRIVER, regs};
use crate::driver::{bundles, edu};
use crate::family::pci::IO_PCI_DEVICE;
use crate::family::pci::device::{DEVICE_ID, VENDOR_ID};
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;
use alloc::sync::Arc;
use bugs::Breed;
use habits::Habits;

/// The driver's class: to the workload it is an edu driver.
pub static ZOO_DRIVER: Class = Class::new("ZooDriver", &EDU_DRIVER);
/// Its user client's class.
pub static ZOO_USER_CLIENT: Class = Class::new("ZooUserClient", &IO_USER_CLIENT);
/// What a request is to a driver that counts references by hand (O1).
pub static ZOO_REQUEST: Class = Class::new("ZooRequest", &crate::class::IO_SERVICE);

/// What tells the zoo's words from other variants of the edu driver.
const PREFIX: &str = "zoo-";
/// What tells a twin from its bug.
const FIXED: &str = "-fixed";

/// The habits of a specimen, by what it drives.
enum Habit {
    /// The edu card.
    Edu(Box<dyn Habits>),
    /// A USB interface.
    Usb(Arc<dyn UsbHabits>),
    /// A FireWire unit.
    Fire(Arc<dyn FireHabits>),
}

/// The habits that `word` of a plan's `driver=` names; `None` = it names nothing in the zoo.
fn habit(word: &str) -> Option<Habit> {
    let name = word.strip_prefix(PREFIX)?;
    let (name, fixed) = match name.strip_suffix(FIXED) {
        Some(name) => (name, true),
        None => (name, false),
    };
    let specimen = SPECIMENS.iter().find(|s| s.name == name)?;
    Some(match (specimen.breed, fixed) {
        (Breed::Edu(broken, _), false) => Habit::Edu(broken()),
        (Breed::Edu(_, right), true) => Habit::Edu(right()),
        (Breed::Usb(broken, _), false) => Habit::Usb(broken()),
        (Breed::Usb(_, right), true) => Habit::Usb(right()),
        (Breed::Fire(broken, _), false) => Habit::Fire(broken()),
        (Breed::Fire(_, right), true) => Habit::Fire(right()),
    })
}

/// The identifier of its bundle.
pub const BUNDLE: &str = "org.workgate.driver.zoo";

/// Its bundle. The personality comes before the edu driver's, and makes nothing unless the plan asks for it.
pub fn bundle() -> Bundle {
    let personality = Personality::new(BUNDLE, ZOO_DRIVER.name, IO_PCI_DEVICE.name, |nub, _| {
        let word = nub.kit().args().slot(nub.slot())?.driver.as_deref()?;
        let Habit::Edu(habits) = habit(word)? else { return None };
        Some(Box::new(ZooDriver::new(nub.kernel(), ZooCard(habits.into()))))
    });
    let edu = personality.wants(VENDOR_ID, regs::VENDOR).wants(DEVICE_ID, regs::DEVICE);
    let bundle =
        bundles::shipped(BUNDLE).needs(bundles::PCI, bundles::VERSION).needs(edu::BUNDLE, bundles::VERSION);
    bundle.class(&ZOO_DRIVER).class(&ZOO_USER_CLIENT).class(&ZOO_REQUEST).personality("zoo", edu.score(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_specimen_has_a_twin_and_other_words_name_nothing() {
        for specimen in SPECIMENS {
            assert!(habit(&alloc::format!("zoo-{}", specimen.name)).is_some());
            assert!(habit(&alloc::format!("zoo-{}-fixed", specimen.name)).is_some());
        }
        for word in ["", "zoo-", "zoo", "close-early", "zoo--fixed", "zoo-unicorn"] {
            assert!(habit(word).is_none(), "{word}");
        }
    }
}
