//! What runs have reached: which events, in which states of their stack, behind which events.

use crate::phase::{Phase, Phases};
use std::collections::{BTreeMap, HashSet};
use trace::{Event, Kind};

/// States kept; more are counted no longer.
const MAX_STATES: usize = 1 << 20;

/// Follows one run, and tells the states that were new.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    states: HashSet<u64>,
    phases: Phases,
    last: BTreeMap<u32, Kind>,
    fresh: Vec<u64>,
    removed_in: Option<Phase>,
}

impl Coverage {
    /// A new run begins.
    pub fn begin(&mut self) {
        self.phases = Phases::default();
        self.last.clear();
        self.removed_in = None;
    }

    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        if !counts(event.kind) {
            return;
        }
        let phase = self.phases.of(event.slot);
        if event.kind == Kind::Fault && matches!(event.text_str(), "unplug" | "eject") {
            self.removed_in.get_or_insert(phase);
        }
        self.phases.event(event);
        let before = self.last.insert(event.slot.min(255), event.kind);
        let state = pack(event, phase, before, self.phases.in_flight(event.slot));
        if self.states.len() < MAX_STATES && self.states.insert(state) {
            self.fresh.push(state);
        }
    }

    /// The states that no run before had reached, since the last call.
    pub fn take_fresh(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.fresh)
    }

    /// What the stack did when the run's first removal hit it.
    pub fn removed_in(&self) -> Option<Phase> {
        self.removed_in
    }

    /// What the stacks do now.
    pub fn phases(&self) -> &Phases {
        &self.phases
    }
}

/// The scheduler's own events would make every schedule a state of its own.
fn counts(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Dispatch
            | Kind::Wake
            | Kind::Name
            | Kind::Class
            | Kind::ClassCount
            | Kind::Census
            | Kind::CensusEnd
            | Kind::ThreadStart
            | Kind::ThreadEnd
            | Kind::Interrupt
            | Kind::InterruptEnd
    )
}

/// Event, state of the stack, the event before in the same slot, and how much is in flight, in one word.
fn pack(event: &Event, phase: Phase, before: Option<Kind>, in_flight: u64) -> u64 {
    let load = match in_flight {
        0 => 0,
        1 => 1,
        _ => 2,
    };
    u64::from(event.kind as u16)
        | (phase as u64) << 16
        | u64::from(before.map_or(0, |kind| kind as u16)) << 24
        | load << 40
        | u64::from(event.slot.min(255)) << 48
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_run_brings_nothing_new() {
        let mut coverage = Coverage::default();
        let run = |coverage: &mut Coverage, kinds: &[Kind]| {
            coverage.begin();
            kinds.iter().for_each(|&kind| coverage.event(&Event::new(kind).slot(1).object(1)));
            coverage.take_fresh().len()
        };
        assert_eq!(run(&mut coverage, &[Kind::Attach, Kind::Wake, Kind::Start]), 2);
        assert_eq!(run(&mut coverage, &[Kind::Attach, Kind::Start]), 0);
        assert_eq!(run(&mut coverage, &[Kind::Start, Kind::Attach]), 2, "another order is another state");
    }
}
