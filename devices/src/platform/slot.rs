//! A slot: the root port, the card that belongs to it, and the state between them.

use crate::device::{Device, Doorbell, News};
use crate::fault::plane::Faults;
use crate::pci::{PciFunction, RootPort};
use crate::spec::pci::COMMAND_MASTER;
use std::collections::VecDeque;

/// A storm in progress.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Machine ns between two interrupts.
    pub period: u64,
    /// Machine time of its end.
    pub end: u64,
}

/// One slot with its root port, and the one card of the plan that goes into it.
pub struct Slot {
    /// Physical slot number, 1–31.
    pub number: u32,
    /// The port.
    pub port: RootPort,
    /// The card's function; its state counts only while [`Slot::live`].
    pub function: PciFunction,
    /// The card's model; taken out while it runs.
    pub model: Option<Box<dyn Device>>,
    /// Writes to the model that only notify.
    pub doorbells: Vec<Doorbell>,
    /// A card is in the slot.
    pub occupied: bool,
    /// The card answers: in the slot, powered, link up.
    pub live: bool,
    /// Changes whenever the card goes, comes or is reset: what was begun before is void.
    pub epoch: u32,
    /// The model must be reset as soon as it stops running.
    pub reset_pending: bool,
    /// The attention button was pressed for an ejection that is not finished.
    pub ejecting: bool,
    /// The plan put the card back before the ejection was finished.
    pub replug_waiting: bool,
    /// A storm.
    pub storm: Option<Storm>,
    /// The link is down though the card is there.
    pub link_down: bool,
    /// What the model has not yet heard of the devices behind it.
    pub news: VecDeque<News>,
    /// The card's faults.
    pub faults: Faults,
}

impl Slot {
    /// An empty, unpowered slot for `model`.
    pub fn new(number: u32, model: Box<dyn Device>) -> Self {
        Self {
            number,
            port: RootPort::new(number),
            function: PciFunction::new(&model.identity()),
            doorbells: model.doorbells(),
            model: Some(model),
            occupied: false,
            live: false,
            epoch: 0,
            reset_pending: false,
            ejecting: false,
            replug_waiting: false,
            storm: None,
            link_down: false,
            news: VecDeque::new(),
            faults: Faults::default(),
        }
    }

    /// True if the card may send requests upstream: its own bus master bit and the bridge's (Bridge 1.2, 3.2.5.3).
    pub fn master(&self) -> bool {
        self.live
            && self.function.config().commanded(COMMAND_MASTER)
            && self.port.config().commanded(COMMAND_MASTER)
    }

    /// The card has lost the bus: everything begun before is void, and its line drops.
    pub fn disconnect(&mut self) {
        self.live = false;
        self.epoch = self.epoch.wrapping_add(1);
        self.function.assert_intx(false);
        self.faults = Faults::default();
    }

    /// Function and model go back to power-on; everything begun before is void.
    pub fn reset_card(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.function.reset();
        self.faults.reset();
        match &mut self.model {
            Some(model) => model.reset(),
            None => self.reset_pending = true,
        }
    }
}
