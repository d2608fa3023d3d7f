//! The platform: everything between the guest's accesses and the device models.
//!
//! A machine owns one [`Platform`], calls it with the guest's accesses and with itself as [`Host`], and asks after every call for
//! [`Platform::next_deadline`], at which it calls [`Platform::advance`].
//!
//! Bus 0 holds the host bridge (device 0) and one root port for each slot of the plan: slot N is the port 00:N.0 with secondary bus N as
//! firmware leaves it, and the card is N:00.0.

mod access;
mod behind;
pub(crate) mod bus;
pub(crate) mod core;
mod decode;
mod firmware;
mod freeze;
pub mod host;
mod interrupt;
mod inventory;
pub mod layout;
mod lent;
pub(crate) mod lines;
mod live;
pub(crate) mod slot;
pub(crate) mod timers;

pub use host::{Ask, Host};
pub use inventory::{Bar, Bridge, Function};
pub use lent::{Lent, Piece};
pub use live::TooLate;

use self::behind::Leaf;
use self::core::Core;
use self::slot::Slot;
use crate::catalogue::{self, ModelError};
use crate::fault::plan::{Plan, Plug};
use crate::fault::plane::{Plane, SITES, Site};
use crate::firewire::Cabled;
use crate::pci::host_bridge;
use crate::usb::Plugged;
use crate::virtio::store::BlockStore;
use thiserror::Error;
use trace::Event;

/// Why a platform cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlatformError {
    /// A device of the plan cannot be made.
    #[error("{name}: {error}")]
    Model {
        /// The plan's name of the device.
        name: String,
        /// What is wrong.
        error: ModelError,
    },
    /// A slot number outside 1–31, or one that is used twice.
    #[error("{name}: slot {slot} is not free; slots go from 1 to 31, one device each")]
    Slot {
        /// The plan's name of the device.
        name: String,
        /// The number.
        slot: u32,
    },
    /// A device on a controller or hub that does not exist.
    #[error("{name}: its `on=` leads to no controller")]
    Nowhere {
        /// The plan's name of the device.
        name: String,
    },
}

/// A register whose writes only notify, at the address at which it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedDoorbell {
    /// The slot of its device.
    pub slot: u32,
    /// Physical address.
    pub address: u64,
    /// Width of the access in bytes.
    pub width: u8,
    /// The value that notifies; `None` = any, and any may be replayed.
    pub value: Option<u64>,
}

/// The virtual hardware of one machine.
pub struct Platform {
    core: Core,
    config_address: u32,
}

/// Gives the storage of a device whose plan says `file=`; `Ok(None)` = the device's own memory.
pub type StoreMaker<'a> = dyn FnMut(&Plug) -> Result<Option<Box<dyn BlockStore>>, String> + 'a;

impl Platform {
    /// The hardware that `plan` describes, with memory-backed storage. Devices with `absent=yes` are not in their slots yet.
    ///
    /// # Errors
    /// A model, option or slot that does not exist, and `file=`, which needs [`Platform::with_stores`].
    pub fn new(plan: &Plan) -> Result<Self, PlatformError> {
        Self::with_stores(plan, &mut |_| {
            Err("`file=` needs `--machine kvm`: this machine keeps disks in memory only".into())
        })
    }

    /// The same, with storage that the machine provides.
    ///
    /// # Errors
    /// As [`Platform::new`], and what `stores` says.
    pub fn with_stores(plan: &Plan, stores: &mut StoreMaker<'_>) -> Result<Self, PlatformError> {
        let mut slots: Vec<Slot> = Vec::with_capacity(plan.plugs.len());
        for plug in plan.cards() {
            let taken = slots.iter().any(|slot| slot.number == plug.slot);
            if taken || !(1..=layout::MAX_SLOT).contains(&plug.slot) {
                return Err(PlatformError::Slot { name: plug.name.clone(), slot: plug.slot });
            }
            slots.push(make_slot(plan, plug, stores)?);
        }
        if let Some(plug) = plan.behind().find(|plug| plan.path(plug).is_none()) {
            return Err(PlatformError::Nowhere { name: plug.name.clone() });
        }
        let leaves = Leaf::all(plan);
        let core = Core {
            slots,
            leaves,
            bridge: host_bridge::config(),
            timers: Default::default(),
            lines: Default::default(),
            plane: Plane::new(plan),
            decoder: Default::default(),
            started: false,
            run_for: plan.run_for,
            end: u64::MAX,
            cpu: None,
            scarce_until: 0,
            generation: 0,
        };
        Ok(Self { core, config_address: 0 })
    }

    /// The run's seed: what the plan's probabilities and altered bytes are drawn from. Zero unless told.
    pub fn seed(&mut self, seed: u64) {
        self.core.plane.seed(seed);
    }

    /// Does what firmware does: bus numbers, bridge windows, BARs and interrupt lines; power for occupied slots.
    pub fn firmware(&mut self) {
        firmware::assign(&mut self.core);
    }

    /// The machine time at which [`Platform::advance`] is wanted; may lie in the past (= at once).
    pub fn next_deadline(&self) -> Option<u64> {
        self.core.timers.next()
    }

    /// Runs device ticks and plan rules that are due at the host's time. Work asked for meanwhile waits for the next call.
    pub fn advance(&mut self, host: &mut dyn Host) {
        self.core.advance(host);
    }

    /// Plan time 0 is machine time `zero`: the plan's `at` and `every` rules start to run. Only the first call
    /// counts.
    pub fn start_plan(&mut self, zero: u64) {
        self.core.start_plan(zero);
    }

    /// The guest recorded `event`: triggers on it act at once.
    pub fn guest_event(&mut self, event: &Event, host: &mut dyn Host) {
        self.core.guest_event(event, host);
    }

    /// How often each site of each device was passed since power-on: number of the slot, and counts in the order of
    /// [`Site::ALL`].
    pub fn site_counts(&self) -> Vec<(u32, [u64; SITES])> {
        let slots = self.core.slots.iter().map(|slot| slot.number);
        let numbers = slots.chain(self.core.leaves.iter().map(|leaf| leaf.number));
        numbers.zip(self.core.plane.seen()).collect()
    }

    /// The kinds of guest event that triggers wait for, for the bench page ([`trace::ring::ARMED`]).
    pub fn armed_kinds(&self) -> [u8; 32] {
        self.core.plane.armed_kinds()
    }

    /// Changes whenever [`Platform::doorbells`] may answer differently.
    pub fn doorbell_generation(&self) -> u64 {
        self.core.generation
    }

    /// Registers whose writes the machine may collect without an exit; it then replays each by [`Platform::mmio_write`]. A
    /// device whose register writes the plan counts has none: exactness first.
    pub fn doorbells(&mut self) -> Vec<MappedDoorbell> {
        let plane = &self.core.plane;
        let mut mapped = Vec::new();
        for (index, slot) in self.core.slots.iter().enumerate() {
            if plane.counts(index, Site::MmioWrite) || plane.counts(index, Site::Doorbell) {
                continue;
            }
            for range in self::core::ranges(index, slot) {
                mapped.extend(
                    slot.doorbells.iter().filter(|bell| bell.collect && bell.bar == range.bar).map(|bell| {
                        MappedDoorbell {
                            slot: slot.number,
                            address: range.start + bell.offset,
                            width: bell.width,
                            value: bell.value,
                        }
                    }),
                );
            }
        }
        mapped
    }
}

/// Builds the card of a `plug` statement and its slot, with what is behind the card.
fn make_slot(plan: &Plan, plug: &Plug, stores: &mut StoreMaker<'_>) -> Result<Slot, PlatformError> {
    let is_firewire = catalogue::model(&plug.model).is_some_and(|model| model.has_firewire());
    let model = if is_firewire {
        let cabled = make_cabled(plan, plug, stores)?;
        catalogue::build_firewire(plug, cabled)
    } else {
        let plugged = make_plugged(plan, plug, stores)?;
        let store = make_store(plug, stores)?;
        catalogue::build(plug, store, plugged)
    };
    let model = model.map_err(|error| fail(plug, error))?;
    let mut slot = Slot::new(plug.slot, model);
    if !plug.absent() {
        slot.occupied = true;
        slot.port.set_present(true, false);
    }
    Ok(slot)
}

fn fail(plug: &Plug, error: ModelError) -> PlatformError {
    PlatformError::Model { name: plug.name.clone(), error }
}

fn make_store(
    plug: &Plug,
    stores: &mut StoreMaker<'_>,
) -> Result<Option<Box<dyn BlockStore>>, PlatformError> {
    match plug.options.get("file") {
        Some(_) => stores(plug).map_err(|message| fail(plug, ModelError::Storage(message))),
        None => Ok(None),
    }
}

/// The devices behind a card, in the order of the plan.
fn behind_card<'a>(plan: &'a Plan, card: &Plug) -> Vec<&'a Plug> {
    let is_behind = |plug: &&Plug| plan.path(plug).is_some_and(|(slot, _)| slot == card.slot);
    plan.behind().filter(is_behind).collect()
}

/// Builds the FireWire nodes behind a controller.
fn make_cabled(plan: &Plan, card: &Plug, stores: &mut StoreMaker<'_>) -> Result<Vec<Cabled>, PlatformError> {
    let behind = behind_card(plan, card);
    let mut cabled = Vec::with_capacity(behind.len());
    for plug in &behind {
        let store = make_store(plug, stores)?;
        let node = catalogue::build_node(plug, store).map_err(|error| fail(plug, error))?;
        let parent = plug.on().and_then(|on| behind.iter().position(|other| other.name == on));
        cabled.push(Cabled { parent, port: plug.port(), attached: !plug.absent(), node });
    }
    Ok(cabled)
}

/// Builds the USB devices behind a card.
fn make_plugged(
    plan: &Plan,
    card: &Plug,
    stores: &mut StoreMaker<'_>,
) -> Result<Vec<Plugged>, PlatformError> {
    let behind = behind_card(plan, card);
    let mut plugged = Vec::with_capacity(behind.len());
    for plug in &behind {
        let store = make_store(plug, stores)?;
        let gadget = catalogue::build_usb(plug, store).map_err(|error| fail(plug, error))?;
        let hub = plug.on().and_then(|on| behind.iter().position(|other| other.name == on));
        plugged.push(Plugged { hub, port: plug.port(), attached: !plug.absent(), gadget });
    }
    Ok(plugged)
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod live_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod usb_tests;
