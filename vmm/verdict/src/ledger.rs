//! The ledger: every request issued comes back exactly once.

use crate::finding::Rule;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use trace::{Event, Kind};

/// Requests in flight that the ledger will keep: far above 31 slots × 64 clients × 256 deep.
const MAX_IN_FLIGHT: usize = 1 << 20;

/// What became of the requests to one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests issued.
    pub issued: u64,
    /// Came back right.
    pub completed: u64,
    /// Came back Offline.
    pub offline: u64,
    /// Came back with another error.
    pub error: u64,
    /// Came back with wrong data.
    pub corrupt: u64,
    /// Never came back.
    pub lost: u64,
    /// Came back twice, or without having been issued.
    pub twice: u64,
}

impl Counts {
    /// issued = completed + Offline, and nothing else happened.
    pub fn balanced(&self) -> bool {
        self.issued == self.completed + self.offline
            && self.error + self.corrupt + self.lost + self.twice == 0
    }
}

/// A request that came back.
pub struct Returned {
    /// Which one it was of all that were issued, from 0.
    pub number: u64,
}

/// What the ledger has to say about one event.
pub enum Entry {
    /// Nothing to say.
    None,
    /// A request came back, for the first time.
    Returned(Returned),
    /// A rule is broken.
    Broken(Rule, String),
}

/// Requests in flight and counts, by slot.
#[derive(Default)]
pub struct Ledger {
    in_flight: HashMap<u64, (u32, u64)>,
    issued: u64,
    counts: BTreeMap<u32, Counts>,
}

impl Ledger {
    /// Books the event.
    pub fn event(&mut self, event: &Event) -> Entry {
        match event.kind {
            Kind::IoIssue => self.issue(event),
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => self.come_back(event),
            _ => Entry::None,
        }
    }

    fn issue(&mut self, event: &Event) -> Entry {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return Entry::Broken(Rule::Flood, format!("more than {MAX_IN_FLIGHT} requests in flight"));
        }
        self.counts.entry(event.slot).or_default().issued += 1;
        let number = self.issued;
        self.issued += 1;
        match self.in_flight.insert(event.arg, (event.slot, number)) {
            None => Entry::None,
            Some(_) => Entry::Broken(Rule::IoTwice, format!("request {:#x} was issued twice", event.arg)),
        }
    }

    fn come_back(&mut self, event: &Event) -> Entry {
        let Some((slot, number)) = self.in_flight.remove(&event.arg) else {
            self.counts.entry(event.slot).or_default().twice += 1;
            let message = format!("request {:#x} came back, but it was not in flight", event.arg);
            return Entry::Broken(Rule::IoTwice, message);
        };
        let counts = self.counts.entry(slot).or_default();
        match event.kind {
            Kind::IoDone => counts.completed += 1,
            Kind::IoOffline => counts.offline += 1,
            Kind::IoCorrupt => {
                counts.corrupt += 1;
                let message = format!("request {:#x} came back with wrong data", event.arg);
                return Entry::Broken(Rule::IoCorrupt, message);
            }
            _ => {
                counts.error += 1;
                let message = format!("request {:#x} failed with {:#010x}", event.arg, event.other);
                return Entry::Broken(Rule::IoError, message);
            }
        }
        Entry::Returned(Returned { number })
    }

    /// Requests issued so far, to all devices.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Requests in flight to the device in `slot`.
    pub fn in_flight(&self, slot: u32) -> usize {
        self.in_flight.values().filter(|(s, _)| *s == slot).count()
    }

    /// Closes the books: what is in flight now is lost.
    pub fn close(mut self) -> BTreeMap<u32, Counts> {
        for (slot, _) in self.in_flight.values() {
            self.counts.entry(*slot).or_default().lost += 1;
        }
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: Kind, id: u64) -> Event {
        Event::new(kind).slot(1).arg(id)
    }

    #[test]
    fn issued_is_completed_plus_offline() {
        let mut ledger = Ledger::default();
        for id in 0..3 {
            assert!(matches!(ledger.event(&io(Kind::IoIssue, id)), Entry::None));
        }
        assert_eq!(ledger.in_flight(1), 3);
        assert!(matches!(ledger.event(&io(Kind::IoDone, 0)), Entry::Returned(_)));
        assert!(matches!(ledger.event(&io(Kind::IoOffline, 1)), Entry::Returned(_)));
        assert!(matches!(ledger.event(&io(Kind::IoDone, 2)), Entry::Returned(_)));
        let counts = ledger.close()[&1];
        assert!(counts.balanced(), "{counts:?}");
        assert_eq!((counts.issued, counts.completed, counts.offline), (3, 2, 1));
    }

    #[test]
    fn a_second_return_is_found() {
        let mut ledger = Ledger::default();
        ledger.event(&io(Kind::IoIssue, 5));
        ledger.event(&io(Kind::IoDone, 5));
        assert!(matches!(ledger.event(&io(Kind::IoDone, 5)), Entry::Broken(Rule::IoTwice, _)));
        assert_eq!(ledger.close()[&1].twice, 1);
    }

    #[test]
    fn what_is_in_flight_at_the_end_is_lost() {
        let mut ledger = Ledger::default();
        ledger.event(&io(Kind::IoIssue, 5));
        let counts = ledger.close()[&1];
        assert_eq!(counts.lost, 1);
        assert!(!counts.balanced());
    }
}
