//! From a fault to what it led to: the interrupt, the action, the client that got its answer.

use serde::Serialize;
use std::collections::BTreeMap;
use trace::{Event, Kind};

/// Chains kept at the most.
const MAX_FLOWS: usize = 512;
/// CPUs whose last interrupt is remembered.
const MAX_CPUS: usize = 64;

/// How far along a chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Fault,
    Interrupt,
    Action,
}

/// Where an arrow begins or ends: machine time in ns, and the key of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Point(pub u64, pub String);

/// Follows what the plan does to each device. The trace does not say what caused what; the chain is what came next on the same
/// device in the order in which causes go.
#[derive(Default)]
pub struct Flows {
    done: Vec<Vec<Point>>,
    open: BTreeMap<u32, (Stage, Vec<Point>)>,
    interrupts: BTreeMap<u8, u64>,
}

impl Flows {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Interrupt if usize::from(event.cpu) < MAX_CPUS => {
                self.interrupts.insert(event.cpu, event.time);
            }
            Kind::Fault => self.fault(event),
            Kind::Filter if event.arg == 1 => {
                let time = self.interrupts.get(&event.cpu).copied().unwrap_or(event.time);
                self.step(event.slot, Stage::Interrupt, time, format!("irq:{}", event.cpu));
            }
            Kind::ActionStart => {
                self.step(event.slot, Stage::Action, event.time, format!("thread:{}", event.thread));
            }
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => self.client(event),
            _ => {}
        }
    }

    /// The chains that lead somewhere, in order of the faults.
    pub fn finish(mut self) -> Vec<Vec<Point>> {
        self.done.extend(self.open.into_values().map(|(_, points)| points));
        self.done.retain(|points| points.len() > 1);
        self.done.sort_by_key(|points| points.first().map_or(0, |point| point.0));
        self.done
    }

    fn fault(&mut self, event: &Event) {
        let begin = (Stage::Fault, vec![Point(event.time, "faults".to_owned())]);
        if self.done.len() + self.open.len() < MAX_FLOWS
            && let Some((_, points)) = self.open.insert(event.slot, begin)
        {
            self.done.push(points);
        }
    }

    fn step(&mut self, slot: u32, stage: Stage, time: u64, lane: String) {
        if let Some((reached, points)) = self.open.get_mut(&slot)
            && *reached < stage
            // The interrupt that was being served when the fault came is not its doing.
            && points.last().is_some_and(|last| last.0 <= time)
        {
            *reached = stage;
            points.push(Point(time, lane));
        }
    }

    fn client(&mut self, event: &Event) {
        if let Some((_, mut points)) = self.open.remove(&event.slot) {
            points.push(Point(event.time, format!("thread:{}", event.thread)));
            self.done.push(points);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: u64, kind: Kind) -> Event {
        let mut event = Event::new(kind).slot(1).arg(1);
        (event.time, event.cpu, event.thread) = (time, 1, 7);
        event
    }

    #[test]
    fn a_fault_leads_to_interrupt_action_and_client() {
        let mut flows = Flows::default();
        let kinds =
            [Kind::Fault, Kind::Interrupt, Kind::Filter, Kind::ActionStart, Kind::IoDone, Kind::IoDone];
        for (n, kind) in kinds.into_iter().enumerate() {
            flows.event(&at(n as u64 * 10, kind));
        }
        let point = |time, lane: &str| Point(time, lane.to_owned());
        let chain =
            vec![point(0, "faults"), point(10, "irq:1"), point(30, "thread:7"), point(40, "thread:7")];
        assert_eq!(flows.finish(), [chain]);
    }

    #[test]
    fn a_fault_without_consequence_has_no_arrow_and_many_are_bounded() {
        let mut flows = Flows::default();
        for n in 0..10_000 {
            flows.event(&at(n, Kind::Fault));
            flows.event(&at(n, Kind::IoOffline));
        }
        flows.event(&at(10_000, Kind::Fault));
        let chains = flows.finish();
        assert_eq!(chains.len(), MAX_FLOWS);
        assert!(chains.iter().all(|points| points.len() == 2));
    }
}
