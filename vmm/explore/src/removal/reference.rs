//! The reference run of an exhaustive removal.

use super::injection::When;
use crate::coverage::Coverage;
use crate::phase::Phase;
use std::collections::BTreeMap;
use trace::Event;

/// An event of the reference run.
pub(super) struct Moment {
    pub(super) slot: u32,
    pub(super) kind: trace::Kind,
    pub(super) count: u64,
    pub(super) when: When,
    pub(super) phase: Phase,
    pub(super) state: (u64, Phase),
}

/// The reference run's events at which a card could go.
#[derive(Default)]
pub(super) struct Reference {
    coverage: Coverage,
    zero: u64,
    counts: BTreeMap<(u32, u16), u64>,
    history: BTreeMap<u32, u64>,
    pub(super) moments: Vec<Moment>,
}

/// Bits of history that an event leaves: 16 for each of the four last.
const HISTORY: u32 = 16;

impl Reference {
    /// Looks at the next event.
    pub(super) fn event(&mut self, event: &Event) {
        if event.kind == trace::Kind::Ready {
            self.zero = event.time;
        }
        let phase = self.coverage.phases().of(event.slot);
        self.coverage.event(event);
        if event.slot == 0 {
            return;
        }
        let count = self.counts.entry((event.slot, event.kind as u16)).or_default();
        *count += 1;
        let history = self.history.entry(event.slot).or_default();
        *history = *history << HISTORY | u64::from(event.kind as u16);
        self.moments.push(Moment {
            slot: event.slot,
            kind: event.kind,
            count: *count,
            when: When { plan: event.time.saturating_sub(self.zero), machine: event.time, cpu: event.cpu },
            phase,
            state: (*history, phase),
        });
    }
}
