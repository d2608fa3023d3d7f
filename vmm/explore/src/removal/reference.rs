//! The reference run of an exhaustive removal.

use super::injection::When;
use crate::coverage::Coverage;
use crate::phase::Phase;
use devices::catalogue;
use devices::fault::plane::guest_word;
use std::collections::{BTreeMap, HashSet};
use trace::{Event, Kind};

/// Moments kept.
pub(super) const MOST_MOMENTS: usize = 1 << 22;

/// An event of the reference run.
pub(super) struct Moment {
    pub(super) slot: u32,
    pub(super) kind: Kind,
    pub(super) count: u64,
    pub(super) when: When,
    pub(super) phase: Phase,
}

/// What makes moments alike: the slot, the last events there, and the state of the stack.
type Likeness = (u32, u64, Phase);

/// The reference run's events at which a card could go.
pub(super) struct Reference {
    coverage: Coverage,
    zero: u64,
    counts: BTreeMap<(u32, u16), u64>,
    history: BTreeMap<u32, u64>,
    /// Kinds at which rules can wait.
    usable: HashSet<Kind>,
    /// Those that were taken; `None` = all are.
    alike: Option<HashSet<Likeness>>,
    full: bool,
    /// What is to be tried.
    pub(super) moments: Vec<Moment>,
}

/// Bits of history that an event leaves: 16 for each of the four last.
const HISTORY: u32 = 16;

impl Reference {
    /// Of moments that are alike the first is kept, or, with `every`, all are.
    pub(super) fn new(every: bool) -> Self {
        let words: HashSet<&str> = catalogue::guest_sites().collect();
        Self {
            coverage: Coverage::default(),
            zero: 0,
            counts: BTreeMap::new(),
            history: BTreeMap::new(),
            usable: Kind::ALL.iter().copied().filter(|kind| words.contains(guest_word(*kind))).collect(),
            alike: (!every).then(HashSet::new),
            full: false,
            moments: Vec::new(),
        }
    }

    /// Looks at the next event.
    pub(super) fn event(&mut self, event: &Event) {
        if event.kind == Kind::Ready {
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
        let likeness = (event.slot, *history, phase);
        let mut taken = || self.alike.as_mut().is_none_or(|alike| alike.insert(likeness));
        if !self.usable.contains(&event.kind) || !taken() {
            return;
        }
        if self.moments.len() >= MOST_MOMENTS {
            self.full = true;
            return;
        }
        let when = When { plan: event.time.saturating_sub(self.zero), machine: event.time, cpu: event.cpu };
        self.moments.push(Moment { slot: event.slot, kind: event.kind, count: *count, when, phase });
    }

    /// There were more moments than are kept.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Events of the device with this number at which it could go.
    pub(super) fn events(&self, slot: u32) -> u64 {
        let of_slot = self.counts.range((slot, 0)..=(slot, u16::MAX));
        of_slot
            .filter(|((_, number), _)| self.usable.iter().any(|kind| *kind as u16 == *number))
            .map(|(_, count)| count)
            .sum()
    }
}
