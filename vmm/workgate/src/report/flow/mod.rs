//! From a fault to what it led to: the interrupt, the threads that were woken, the client that got its answer.
//!
//! Each link is proven by the trace, or marked as nothing but what came next on the same device:
//!
//! - *fault → interrupt*: see [`Chain::filter`] for a device that the plan lets interrupt; of a card that comes or goes, the interrupt because of which the
//!   kernel noticed that (`register`, `gone`). For all other faults it is not known;
//! - *interrupt → thread → thread*: [`origin`];
//! - *thread → client*: the client issued the request, was then woken in this way, and returned that request before it waited again.

mod chain;
mod origin;
#[cfg(test)]
mod tests;

pub use chain::Point;
pub use origin::Place;

use chain::Chain;
use origin::Origins;
use std::collections::BTreeMap;
use trace::{Event, Kind};

/// Chains kept at the most.
const MAX_FLOWS: usize = 512;
/// Devices whose vectors are known, at the most.
const MAX_SLOTS: usize = 256;

/// Follows what the plan does to each device. One pass over the trace, in bounded space.
#[derive(Default)]
pub struct Flows {
    /// Number of the event that is looked at.
    number: u64,
    done: Vec<Chain>,
    /// The last fault of each slot.
    open: BTreeMap<u32, Chain>,
    origins: Origins,
    /// The vector by which the device in each slot interrupts its driver; `None`: by several.
    vectors: BTreeMap<u32, Option<u64>>,
}

impl Flows {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        self.number += 1;
        self.origins.event(event, self.number);
        match event.kind {
            Kind::Fault => self.fault(event),
            Kind::Filter => self.filter(event),
            Kind::SourceRemoved => _ = self.vectors.remove(&event.slot),
            Kind::ActionStart => self.action(event),
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => self.answer(event),
            Kind::Gone | Kind::Register => self.notice(event),
            _ => {}
        }
    }

    /// The chains that lead somewhere, in order of the faults.
    pub fn finish(mut self) -> Vec<Vec<Point>> {
        self.done.extend(self.open.into_values());
        self.done.sort_by_key(Chain::time);
        self.done.into_iter().map(Chain::points).filter(|points| points.len() > 1).collect()
    }

    fn fault(&mut self, event: &Event) {
        if self.done.len() + self.open.len() < MAX_FLOWS
            && let Some(before) = self.open.insert(event.slot, Chain::new(event, self.number))
        {
            self.done.push(before);
        }
    }

    fn filter(&mut self, event: &Event) {
        let Some(interrupt) = self.origins.serving(event.cpu) else { return };
        let known = self.vectors.get(&event.slot) == Some(&Some(interrupt.vector));
        if let Some(chain) = self.open.get_mut(&event.slot) {
            chain.filter(event, interrupt, known);
        }
        if self.vectors.len() < MAX_SLOTS || self.vectors.contains_key(&event.slot) {
            let vector = self.vectors.entry(event.slot).or_insert(Some(interrupt.vector));
            *vector = vector.filter(|vector| *vector == interrupt.vector);
        }
    }

    fn action(&mut self, event: &Event) {
        if let Some(chain) = self.open.get_mut(&event.slot) {
            chain.action(event, self.origins.way(event));
        }
    }

    fn answer(&mut self, event: &Event) {
        if let Some(chain) = self.open.get_mut(&event.slot) {
            chain.answer(event, self.origins.answer(event));
        }
    }

    fn notice(&mut self, event: &Event) {
        if let (Some(chain), Some(way)) = (self.open.get_mut(&event.slot), self.origins.way(event)) {
            chain.noticed(event, way);
        }
    }
}
