//! The callback-order oracle: section 3 of the semantics, checked on the life-cycle events.

use crate::finding::Rule;
use std::collections::{BTreeSet, HashMap};
use trace::{Event, Kind};

/// Services tracked at the most, against a guest that attaches for ever.
const MAX_SERVICES: usize = 65_536;

#[derive(Default)]
struct Service {
    slot: u32,
    clients: BTreeSet<u32>,
    providers: BTreeSet<u32>,
    inactive: bool,
    terminated_itself: bool,
    start_failed: bool,
    finalized: bool,
    stopped_for: BTreeSet<u32>,
    will_for: BTreeSet<u32>,
}

/// One victim of phase 2 and those of its clients that have heard will, but not yet did.
struct Visit {
    victim: u32,
    waiting: Vec<u32>,
}

/// A rule that an event broke, and how.
pub type Broken = (Rule, String);

/// State of every service that is attached or not yet freed.
#[derive(Default)]
pub struct Order {
    services: HashMap<u32, Service>,
    freed: BTreeSet<u32>,
    visits: Vec<Visit>,
}

impl Order {
    /// Checks one event; the violations that it is, if any.
    pub fn event(&mut self, event: &Event) -> Vec<Broken> {
        let mut broken = Vec::new();
        if !is_life_cycle(event.kind) {
            return broken;
        }
        if self.services.len() >= MAX_SERVICES && !self.services.contains_key(&event.object) {
            broken.push((Rule::Flood, format!("more than {MAX_SERVICES} services")));
            return broken;
        }
        if self.freed.contains(&event.object) {
            broken.push((Rule::UseAfterFree, "the object had been freed".to_owned()));
            return broken;
        }
        match event.kind {
            Kind::WillTerminate => self.will(event, &mut broken),
            Kind::DidTerminate => self.did(event, &mut broken),
            Kind::Stop => self.stop(event, &mut broken),
            Kind::Free => self.free(event),
            _ => self.record(event, &mut broken),
        }
        broken
    }

    fn service(&mut self, event: &Event) -> &mut Service {
        let service = self.services.entry(event.object).or_default();
        service.slot = event.slot;
        service
    }

    fn record(&mut self, event: &Event, broken: &mut Vec<Broken>) {
        match event.kind {
            Kind::Attach => {
                self.service(event).providers.insert(event.other);
                self.services.entry(event.other).or_default().clients.insert(event.object);
            }
            Kind::Detach => {
                self.service(event).providers.remove(&event.other);
                if let Some(provider) = self.services.get_mut(&event.other) {
                    provider.clients.remove(&event.object);
                }
            }
            Kind::Inactive => self.service(event).inactive = true,
            Kind::Terminate => self.service(event).terminated_itself = true,
            Kind::Start => self.service(event).start_failed = false,
            Kind::Started => self.service(event).start_failed = event.arg == 0,
            Kind::Finalize => {
                let again = std::mem::replace(&mut self.service(event).finalized, true);
                broken.extend(again.then(|| (Rule::CalledTwice, "finalize was called twice".to_owned())));
            }
            _ => {}
        }
    }

    fn will(&mut self, event: &Event, broken: &mut Vec<Broken>) {
        let service = self.service(event);
        if service.start_failed {
            broken.push((Rule::StopWithoutStart, "willTerminate, but its start had failed".to_owned()));
        }
        service.will_for.insert(event.other);
        match self.visits.last_mut() {
            Some(visit) if visit.victim == event.other => visit.waiting.push(event.object),
            _ => self.visits.push(Visit { victim: event.other, waiting: vec![event.object] }),
        }
    }

    fn did(&mut self, event: &Event, broken: &mut Vec<Broken>) {
        let expected = self.visits.last().and_then(|visit| Some((*visit.waiting.first()?, visit.victim)));
        if expected == Some((event.object, event.other)) {
            let visit = self.visits.last_mut().expect("the visit that was just looked at");
            visit.waiting.remove(0);
            if visit.waiting.is_empty() {
                self.visits.pop();
            }
            return;
        }
        let wanted = match expected {
            Some((client, victim)) => format!("the next one due was @{client}.didTerminate(@{victim})"),
            None => "no willTerminate came before it".to_owned(),
        };
        broken.push((Rule::TerminateOrder, format!("didTerminate out of order: {wanted}")));
        // Go on from what was called, so that one mistake is one finding.
        for visit in &mut self.visits {
            if visit.victim == event.other {
                visit.waiting.retain(|&client| client != event.object);
            }
        }
        self.visits.retain(|visit| !visit.waiting.is_empty());
    }

    fn stop(&mut self, event: &Event, broken: &mut Vec<Broken>) {
        let provider_inactive = self.services.get(&event.other).is_some_and(|p| p.inactive);
        let service = self.service(event);
        if !service.stopped_for.insert(event.other) {
            broken.push((Rule::CalledTwice, "stop was called twice".to_owned()));
        }
        if service.start_failed {
            broken.push((Rule::StopWithoutStart, "stop, but its start had failed".to_owned()));
        }
        if service.inactive && !service.clients.is_empty() {
            let clients = service.clients.len();
            broken.push((Rule::StopOrder, format!("stopped with {clients} client(s) still attached")));
        }
        if provider_inactive && !service.terminated_itself && !service.will_for.contains(&event.other) {
            broken.push((Rule::WillMissing, "stopped for its provider without a willTerminate".to_owned()));
        }
    }

    fn free(&mut self, event: &Event) {
        self.services.remove(&event.object);
        self.freed.insert(event.object);
        // Entry ids are never reused and grow: the lowest are the oldest, and the bound keeps memory flat.
        if self.freed.len() > MAX_SERVICES {
            self.freed.pop_first();
        }
    }

    /// Services of `slot` that were terminated and are still attached to something.
    pub fn unfinished(&self, slot: u32) -> Vec<u32> {
        let mut ids: Vec<u32> = self
            .services
            .iter()
            .filter(|(_, s)| s.slot == slot && s.inactive && !s.providers.is_empty())
            .map(|(&id, _)| id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// What is attached in `slot`: the device's stack.
    pub fn attached(&self, slot: u32) -> BTreeSet<u32> {
        let stack = self.services.iter().filter(|(_, s)| s.slot == slot && !s.providers.is_empty());
        stack.map(|(&id, _)| id).collect()
    }

    /// Whether `id` is attached to something.
    pub fn is_attached(&self, id: u32) -> bool {
        self.services.get(&id).is_some_and(|s| !s.providers.is_empty())
    }

    /// Every slot with a terminated service that is still attached, with those services.
    pub fn all_unfinished(&self) -> Vec<(u32, Vec<u32>)> {
        let slots: BTreeSet<u32> = self.services.values().filter(|s| s.inactive).map(|s| s.slot).collect();
        slots
            .into_iter()
            .map(|slot| (slot, self.unfinished(slot)))
            .filter(|(_, ids)| !ids.is_empty())
            .collect()
    }
}

fn is_life_cycle(kind: Kind) -> bool {
    (Kind::Attach as u16..=Kind::PortDead as u16).contains(&(kind as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: u32 = 1;
    const N: u32 = 2;
    const D: u32 = 3;
    const U: u32 = 4;

    fn run(events: &[(Kind, u32, u32)]) -> Vec<Rule> {
        let mut order = Order::default();
        let stack = [(Kind::Attach, N, P), (Kind::Attach, D, N), (Kind::Attach, U, D)];
        stack
            .iter()
            .chain(events)
            .flat_map(|&(kind, object, other)| order.event(&Event::new(kind).object(object).other(other)))
            .map(|(rule, _)| rule)
            .collect()
    }

    fn order_a() -> Vec<(Kind, u32, u32)> {
        vec![
            (Kind::Terminate, N, 0),
            (Kind::Inactive, N, 0),
            (Kind::RequestTerminate, D, N),
            (Kind::Inactive, D, 0),
            (Kind::RequestTerminate, U, D),
            (Kind::Inactive, U, 0),
            (Kind::PortDead, U, 0),
            (Kind::WillTerminate, D, N),
            (Kind::WillTerminate, U, D),
            (Kind::DidTerminate, U, D),
            (Kind::DidTerminate, D, N),
            (Kind::Finalize, U, 0),
            (Kind::Stop, U, D),
            (Kind::Detach, U, D),
            (Kind::Finalize, D, 0),
            (Kind::Stop, D, N),
            (Kind::Detach, D, N),
            (Kind::Finalize, N, 0),
            (Kind::Stop, N, P),
            (Kind::Detach, N, P),
        ]
    }

    #[test]
    fn order_a_is_silent() {
        assert_eq!(run(&order_a()), []);
    }

    #[test]
    fn siblings_go_back_in_reverse_visits() {
        let (d1, d2, u1, u2) = (3, 5, 4, 6);
        let mut events = vec![(Kind::Attach, d2, N), (Kind::Attach, u2, d2)];
        events.extend([(d1, N), (d2, N), (u1, d1), (u2, d2)].map(|(o, p)| (Kind::WillTerminate, o, p)));
        events.extend([(u2, d2), (u1, d1), (d1, N), (d2, N)].map(|(o, p)| (Kind::DidTerminate, o, p)));
        assert_eq!(run(&events), []);
    }

    #[test]
    fn did_top_down_is_found() {
        let mut events = order_a();
        events.swap(9, 10);
        assert_eq!(run(&events), [Rule::TerminateOrder]);
    }

    #[test]
    fn stop_before_the_client_is_gone_is_found() {
        let mut events = order_a();
        let stop = events.remove(15);
        events.insert(11, stop);
        assert_eq!(run(&events), [Rule::StopOrder]);
    }

    #[test]
    fn finalize_twice_is_found() {
        let mut events = order_a();
        events.insert(12, (Kind::Finalize, U, 0));
        assert_eq!(run(&events), [Rule::CalledTwice]);
    }

    #[test]
    fn stop_without_will_is_found() {
        let mut events = order_a();
        events.retain(|e| !matches!(e, (Kind::WillTerminate | Kind::DidTerminate, U, _)));
        assert_eq!(run(&events), [Rule::WillMissing]);
    }

    #[test]
    fn a_client_that_closed_needs_no_will() {
        let events = [
            (Kind::Terminate, U, 0),
            (Kind::Inactive, U, 0),
            (Kind::Finalize, U, 0),
            (Kind::Inactive, D, 0),
            (Kind::Stop, U, D),
            (Kind::Detach, U, D),
            (Kind::Free, U, 0),
        ];
        assert_eq!(run(&events), []);
    }

    #[test]
    fn a_call_on_a_freed_object_is_found() {
        let mut events = order_a();
        events.extend([(Kind::Free, U, 0), (Kind::Message, U, D)]);
        assert_eq!(run(&events), [Rule::UseAfterFree]);
    }
}
