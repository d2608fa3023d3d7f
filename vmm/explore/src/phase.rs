//! What the stack of a slot is doing, as the trace tells it: the rows of the coverage matrix.

use std::collections::{BTreeMap, BTreeSet};
use trace::{Event, Kind};

/// States of a slot's stack, the later ones in a life behind the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// No nub.
    Absent,
    /// A nub, and no driver yet.
    Published,
    /// A driver is attached and being probed.
    Matching,
    /// A driver's start runs.
    Starting,
    /// Started, no request in flight.
    Idle,
    /// Requests in flight.
    InFlight,
    /// Somebody holds the gate.
    Gate,
    /// A filter has run, and its action has not begun.
    Filtered,
    /// An action runs.
    Action,
    /// Phase 1 of a termination.
    Phase1,
    /// Phase 2: wills and dids.
    Phase2,
    /// Phase 3: finalize, stop, detach.
    Phase3,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 12] = [
        Phase::Absent,
        Phase::Published,
        Phase::Matching,
        Phase::Starting,
        Phase::Idle,
        Phase::InFlight,
        Phase::Gate,
        Phase::Filtered,
        Phase::Action,
        Phase::Phase1,
        Phase::Phase2,
        Phase::Phase3,
    ];

    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Phase::Absent => "absent",
            Phase::Published => "published",
            Phase::Matching => "matching",
            Phase::Starting => "starting",
            Phase::Idle => "idle",
            Phase::InFlight => "in flight",
            Phase::Gate => "gate held",
            Phase::Filtered => "filtered",
            Phase::Action => "in action",
            Phase::Phase1 => "phase 1",
            Phase::Phase2 => "phase 2",
            Phase::Phase3 => "phase 3",
        }
    }
}

/// One slot's stack.
#[derive(Clone, Debug, Default)]
struct Stack {
    attached: BTreeSet<u32>,
    starting: u32,
    started: u32,
    teardown: Option<Phase>,
    in_flight: u64,
    gates: u32,
    filtered: bool,
    actions: u32,
}

/// Follows the stacks of all slots.
#[derive(Clone, Debug, Default)]
pub struct Phases(BTreeMap<u32, Stack>);

impl Phases {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        if event.slot != 0 && event.slot < 256 {
            self.0.entry(event.slot).or_default().event(event);
        }
    }

    /// What the stack of `slot` does now.
    pub fn of(&self, slot: u32) -> Phase {
        self.0.get(&slot).map_or(Phase::Absent, Stack::phase)
    }

    /// Requests of `slot` in flight.
    pub fn in_flight(&self, slot: u32) -> u64 {
        self.0.get(&slot).map_or(0, |stack| stack.in_flight)
    }
}

impl Stack {
    fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Attach => _ = self.attached.insert(event.object),
            Kind::Detach => self.detached(event.object),
            Kind::Start => self.starting += 1,
            Kind::Started => {
                self.starting = self.starting.saturating_sub(1);
                self.started += u32::from(event.arg == 1);
            }
            Kind::Terminate | Kind::Inactive | Kind::RequestTerminate | Kind::TermNotify => {
                self.teardown = Some(Phase::Phase1);
            }
            Kind::WillNotify | Kind::WillTerminate | Kind::DidTerminate => {
                self.teardown = Some(Phase::Phase2)
            }
            Kind::Finalize | Kind::Stop => self.teardown = Some(Phase::Phase3),
            Kind::IoIssue => self.in_flight += 1,
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => {
                self.in_flight = self.in_flight.saturating_sub(1);
            }
            Kind::GateClose | Kind::CommandResume => self.gates += 1,
            Kind::GateOpen | Kind::CommandSleep => self.gates = self.gates.saturating_sub(1),
            Kind::Filter => self.filtered |= event.arg == 1,
            Kind::ActionStart | Kind::TimerFire => {
                self.filtered = false;
                self.actions = 1;
            }
            Kind::ActionEnd => self.actions = 0,
            _ => {}
        }
    }

    fn detached(&mut self, object: u32) {
        self.attached.remove(&object);
        if self.attached.is_empty() {
            *self = Self::default();
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self { teardown: Some(phase), .. } => *phase,
            Self { starting: 1.., .. } => Phase::Starting,
            Self { actions: 1.., .. } => Phase::Action,
            Self { filtered: true, .. } => Phase::Filtered,
            Self { gates: 1.., .. } => Phase::Gate,
            Self { in_flight: 1.., .. } => Phase::InFlight,
            Self { started: 1.., .. } => Phase::Idle,
            _ => match self.attached.len() {
                0 => Phase::Absent,
                1 => Phase::Published,
                _ => Phase::Matching,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_goes_through_its_phases() {
        let on = |kind: Kind, object: u32, arg: u64| Event::new(kind).slot(3).object(object).arg(arg);
        let steps = [
            (on(Kind::Attach, 1, 0), Phase::Published),
            (on(Kind::Attach, 2, 0), Phase::Matching),
            (on(Kind::Start, 2, 0), Phase::Starting),
            (on(Kind::Started, 2, 1), Phase::Idle),
            (on(Kind::IoIssue, 2, 1), Phase::InFlight),
            (on(Kind::GateClose, 2, 0), Phase::Gate),
            (on(Kind::CommandSleep, 2, 0), Phase::InFlight),
            (on(Kind::Filter, 2, 1), Phase::Filtered),
            (on(Kind::ActionStart, 2, 1), Phase::Action),
            (on(Kind::ActionEnd, 2, 1), Phase::InFlight),
            (on(Kind::Inactive, 1, 0), Phase::Phase1),
            (on(Kind::WillTerminate, 2, 0), Phase::Phase2),
            (on(Kind::Finalize, 2, 0), Phase::Phase3),
            (on(Kind::Detach, 2, 0), Phase::Phase3),
            (on(Kind::Detach, 1, 0), Phase::Absent),
        ];
        let mut phases = Phases::default();
        assert_eq!(phases.of(3), Phase::Absent);
        for (event, phase) in steps {
            phases.event(&event);
            assert_eq!(phases.of(3), phase, "after {}", event.kind.word());
        }
    }
}
