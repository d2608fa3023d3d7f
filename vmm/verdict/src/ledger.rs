//! The ledger: every request issued comes back exactly once.

use crate::excuse::{Excuse, Excuses, NO_MEMORY, TRIES};
use crate::finding::Rule;
use devices::fault::plan::Plan;
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
    /// Came back with an error that a fault of the plan explains; not among [`Counts::error`].
    pub error_explained: u64,
    /// Came back with wrong data that a fault of the plan explains; not among [`Counts::corrupt`].
    pub corrupt_explained: u64,
    /// Came back twice, or without having been issued.
    pub twice: u64,
}

impl Counts {
    /// What the plan's faults explain.
    pub fn explained(&self) -> u64 {
        self.error_explained + self.corrupt_explained
    }

    /// issued = completed + Offline + what faults explain, and nothing else happened.
    pub fn balanced(&self) -> bool {
        self.issued == self.completed + self.offline + self.explained()
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

/// A request in flight.
#[derive(Clone, Copy)]
struct Flight {
    slot: u32,
    number: u64,
    thread: u32,
    excuse: Option<Excuse>,
    /// Packets to other devices that failed, and that may have been for it.
    asked: u32,
    /// It was under way while memory was scarce.
    scarce: bool,
}

impl Flight {
    /// Whether it may fail with this IOReturn.
    fn explains(&self, error: u32) -> bool {
        self.excuse >= Some(Excuse::Error) || self.scarce && error == NO_MEMORY
    }
}

/// Requests in flight and counts, by slot.
#[derive(Default)]
pub struct Ledger {
    in_flight: HashMap<u64, Flight>,
    /// If clients look at their data after the request: what each thread was given last.
    looked_at_later: Option<HashMap<u32, (u64, Flight)>>,
    excuses: Excuses,
    issued: u64,
    counts: BTreeMap<u32, Counts>,
}

impl Ledger {
    /// An empty one, for the devices of `plan`.
    pub fn of(plan: &Plan) -> Self {
        let looked_at_later = plan.loads.iter().any(|load| load.tasks).then(HashMap::new);
        Self { excuses: Excuses::of(plan), looked_at_later, ..Self::default() }
    }

    /// Books the event.
    pub fn event(&mut self, event: &Event) -> Entry {
        match event.kind {
            Kind::IoIssue => self.issue(event),
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => self.come_back(event),
            Kind::Fault => {
                self.fault(event);
                Entry::None
            }
            _ => Entry::None,
        }
    }

    /// What a fault explains of the requests in flight now.
    fn fault(&mut self, event: &Event) {
        let excuse = self.excuses.fault(event);
        for flight in self.in_flight.values_mut() {
            flight.scarce |= self.excuses.is_scarce();
            if self.excuses.is_of(event.slot, flight.slot) {
                let Some(excuse) = excuse else { continue };
                flight.excuse = flight.excuse.max(Some(excuse));
                self.excuses.in_flight(event, flight.thread);
            } else if self.excuses.is_asked(event, flight.slot) {
                flight.asked = flight.asked.saturating_add(1);
                if flight.asked >= TRIES {
                    flight.excuse = flight.excuse.max(Some(Excuse::Error));
                }
            }
        }
    }

    fn issue(&mut self, event: &Event) -> Entry {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return Entry::Broken(Rule::Flood, format!("more than {MAX_IN_FLIGHT} requests in flight"));
        }
        self.counts.entry(event.slot).or_default().issued += 1;
        let number = self.issued;
        self.issued += 1;
        let Event { slot, thread, .. } = *event;
        let flight = Flight {
            slot,
            number,
            thread,
            excuse: self.excuses.issued(slot, thread),
            asked: 0,
            scarce: self.excuses.is_scarce(),
        };
        match self.in_flight.insert(event.arg, flight) {
            None => Entry::None,
            Some(_) => Entry::Broken(Rule::IoTwice, format!("request {:#x} was issued twice", event.arg)),
        }
    }

    fn come_back(&mut self, event: &Event) -> Entry {
        let Some(flight) = self.in_flight.remove(&event.arg) else {
            if let Some(flight) = self.found_wrong(event) {
                return match self.corrupt(event, flight) {
                    Entry::Returned(_) => Entry::None,
                    broken => broken,
                };
            }
            self.counts.entry(event.slot).or_default().twice += 1;
            let message = format!("request {:#x} came back, but it was not in flight", event.arg);
            return Entry::Broken(Rule::IoTwice, message);
        };
        let counts = self.counts.entry(flight.slot).or_default();
        match event.kind {
            Kind::IoDone => {
                counts.completed += 1;
                self.keep(event, flight);
            }
            Kind::IoOffline => counts.offline += 1,
            Kind::IoCorrupt => return self.corrupt(event, flight),
            Kind::IoError if flight.explains(event.other) => counts.error_explained += 1,
            _ => {
                counts.error += 1;
                let message = format!("request {:#x} failed with {:#010x}", event.arg, event.other);
                return Entry::Broken(Rule::IoError, message);
            }
        }
        Entry::Returned(Returned { number: flight.number })
    }

    /// A request gave wrong data.
    fn corrupt(&mut self, event: &Event, flight: Flight) -> Entry {
        let counts = self.counts.entry(flight.slot).or_default();
        if flight.excuse >= Some(Excuse::Data) {
            counts.corrupt_explained += 1;
            return Entry::Returned(Returned { number: flight.number });
        }
        counts.corrupt += 1;
        Entry::Broken(Rule::IoCorrupt, format!("request {:#x} came back with wrong data", event.arg))
    }

    /// Keeps what came back right, if its client may still find that it did not.
    fn keep(&mut self, event: &Event, flight: Flight) {
        if let Some(last) = &mut self.looked_at_later
            && (last.len() < MAX_IN_FLIGHT || last.contains_key(&event.thread))
        {
            last.insert(event.thread, (event.arg, flight));
        }
    }

    /// The request that came back right, and gave wrong data, as the client's thread found before it made another one; it is no longer among those done.
    fn found_wrong(&mut self, event: &Event) -> Option<Flight> {
        let last = self.looked_at_later.as_mut().filter(|_| event.kind == Kind::IoCorrupt)?;
        let (_, flight) = last.remove(&event.thread).filter(|(id, _)| *id == event.arg)?;
        self.counts.entry(flight.slot).or_default().completed -= 1;
        Some(flight)
    }

    /// Requests issued so far, to all devices.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Requests in flight to the device in `slot`.
    pub fn in_flight(&self, slot: u32) -> usize {
        self.in_flight.values().filter(|flight| flight.slot == slot).count()
    }

    /// The counts so far, by slot.
    pub fn counts(&self) -> &BTreeMap<u32, Counts> {
        &self.counts
    }

    /// Closes the books: what is in flight now is lost.
    pub fn close(mut self) -> BTreeMap<u32, Counts> {
        for flight in self.in_flight.values() {
            self.counts.entry(flight.slot).or_default().lost += 1;
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

    /// A task looks at what a request gave it when it is done.
    #[test]
    fn what_a_task_finds_wrong_afterwards_is_booked_once_and_explained_as_if_in_flight() {
        let plan = Plan::parse("t", "plug disk0 virtio-blk slot=1\nload disk0 clients=1 depth=1 as=tasks\n");
        for (meanwhile, explained) in [(Some(fault(1, "corrupt")), 1), (None, 0)] {
            let mut ledger = Ledger::of(plan.as_ref().expect("a good plan"));
            ledger.event(&io(Kind::IoIssue, 5));
            meanwhile.iter().for_each(|fault| drop(ledger.event(fault)));
            ledger.event(&io(Kind::IoDone, 5));
            assert_eq!(ledger.counts[&1].completed, 1);
            let entry = ledger.event(&io(Kind::IoCorrupt, 5));
            assert_eq!(matches!(entry, Entry::Broken(Rule::IoCorrupt, _)), explained == 0);
            let counts = ledger.counts[&1];
            assert_eq!(
                (counts.completed, counts.corrupt, counts.corrupt_explained),
                (0, 1 - explained, explained)
            );
            let again = ledger.event(&io(Kind::IoCorrupt, 5));
            assert!(matches!(again, Entry::Broken(Rule::IoTwice, _)));
        }
    }

    #[test]
    fn what_kernel_threads_have_looked_at_cannot_turn_wrong() {
        let mut ledger = Ledger::default();
        for kind in [Kind::IoIssue, Kind::IoDone] {
            ledger.event(&io(kind, 5));
        }
        assert!(matches!(ledger.event(&io(Kind::IoCorrupt, 5)), Entry::Broken(Rule::IoTwice, _)));
    }

    fn fault(slot: u32, word: &str) -> Event {
        Event::new(Kind::Fault).slot(slot).text(word)
    }

    /// Whether the ledger accepts that request 1 of slot 1, in flight between `before` and `after`, comes back as `kind`.
    fn accepts(before: &[Event], meanwhile: &[Event], kind: Kind) -> bool {
        let mut ledger = Ledger::default();
        before.iter().for_each(|event| drop(ledger.event(event)));
        ledger.event(&io(Kind::IoIssue, 1));
        meanwhile.iter().for_each(|event| drop(ledger.event(event)));
        let accepted = matches!(ledger.event(&io(kind, 1)), Entry::Returned(_));
        assert_eq!(ledger.close()[&1].balanced(), accepted);
        accepted
    }

    #[test]
    fn a_fault_explains_what_it_can_have_done_and_no_more() {
        let (error, corrupt) = (Kind::IoError, Kind::IoCorrupt);
        for word in ["corrupt", "short-dma", "late-dma", "late-dma-end", "freeze"] {
            assert!(accepts(&[], &[fault(1, word)], corrupt), "{word}");
            assert!(accepts(&[], &[fault(1, word)], error), "{word}");
            assert!(!accepts(&[], &[fault(2, word)], corrupt), "{word}: another device");
        }
        for word in ["corrupt", "short-dma", "late-dma"] {
            assert!(!accepts(&[fault(1, word)], &[], corrupt), "{word}: before it was issued");
            assert!(!accepts(&[fault(1, word)], &[], error), "{word}: before it was issued");
        }
        for word in ["drop", "delay", "duplicate", "spurious", "stick", "mute", "race", "storm", "unplug"] {
            assert!(!accepts(&[], &[fault(1, word)], error), "{word}");
        }
        for word in ["clock-jump", "stall"] {
            assert!(accepts(&[], &[fault(0, word)], error), "{word}");
            assert!(!accepts(&[], &[fault(0, word)], corrupt), "{word}");
        }
        assert!(!accepts(&[], &[], error) && !accepts(&[], &[], corrupt));
    }

    #[test]
    fn a_driver_bears_two_packets_that_fail_and_may_give_up_at_the_third() {
        for word in ["usb-error", "usb-stall", "babble", "lost-ack"] {
            let hits = [fault(1, word); 3];
            assert!(!accepts(&[], &hits[..2], Kind::IoError), "{word}");
            assert!(accepts(&[], &hits, Kind::IoError) && accepts(&hits, &[], Kind::IoError), "{word}");
            assert!(!accepts(&[], &hits, Kind::IoCorrupt), "{word}");
            assert!(!accepts(&[hits[0], hits[1], hits[2], fault(1, "replug")], &[], Kind::IoError), "{word}");
        }
        let plan = Plan::parse("t", "plug usb0 xhci slot=1\nplug tty0 usb-serial on=usb0 port=1\n")
            .expect("a good plan");
        let mut ledger = Ledger::of(&plan);
        let on_tty = |event: Event| event.slot(31);
        ledger.event(&on_tty(io(Kind::IoIssue, 1)));
        ledger.event(&fault(31, "usb-error"));
        assert!(matches!(ledger.event(&on_tty(io(Kind::IoError, 1))), Entry::Returned(_)));
    }

    /// A camera asks the bus's manager and its root: each may be another node. Who asks nobody else has no such excuse.
    #[test]
    fn a_camera_may_fail_at_another_node_of_its_bus() {
        let text = "plug fw0 ohci slot=1\nplug node0 firewire-node on=fw0 port=1\nplug cam0 firewire-camera on=node0 port=1\n\
                    plug node1 firewire-node on=fw0 port=2\nplug fw1 ohci slot=2\nplug node2 firewire-node on=fw1 port=1\n";
        let plan = Plan::parse("t", text).expect("a good plan");
        let slot = |name| plan.plug_named(name).expect("a device of the plan").slot;
        let accepts = |before: usize, asker, fails, times| {
            let mut ledger = Ledger::of(&plan);
            let fail = |ledger: &mut Ledger| drop(ledger.event(&fault(slot(fails), "lost-ack")));
            (0..before).for_each(|_| fail(&mut ledger));
            ledger.event(&io(Kind::IoIssue, 1).slot(slot(asker)));
            (0..times).for_each(|_| fail(&mut ledger));
            matches!(ledger.event(&io(Kind::IoError, 1).slot(slot(asker))), Entry::Returned(_))
        };
        assert!(accepts(0, "cam0", "node0", 3) && accepts(0, "cam0", "node1", 3));
        assert!(!accepts(0, "cam0", "node1", 2), "it tries three times");
        assert!(!accepts(3, "cam0", "node1", 2), "what failed before was not its own");
        assert!(!accepts(0, "cam0", "node2", 3), "another bus");
        assert!(!accepts(0, "node0", "node1", 3), "it asks no other");
    }

    #[test]
    fn a_device_that_is_not_ready_may_let_requests_time_out_as_long_as_it_is_not() {
        let naks = fault(1, "nak");
        assert!(accepts(&[naks], &[], Kind::IoError) && accepts(&[], &[naks], Kind::IoError));
        assert!(accepts(&[naks], &[fault(1, "nak-end")], Kind::IoError), "it was in flight");
        assert!(!accepts(&[naks], &[], Kind::IoCorrupt));
        for over in ["nak-end", "replug"] {
            assert!(!accepts(&[naks, fault(1, over)], &[], Kind::IoError), "{over}");
        }
    }

    #[test]
    fn a_device_whose_work_is_late_may_let_requests_time_out_and_be_given_up_if_it_is_long() {
        let at = |time, word| Event { time, ..fault(1, word) };
        let late = at(5, "late-completion");
        assert!(accepts(&[late], &[], Kind::IoError) && accepts(&[], &[late], Kind::IoError));
        assert!(!accepts(&[late], &[], Kind::IoCorrupt));
        let ends = |time| at(time, "late-completion-end");
        assert!(!accepts(&[late, ends(100_000_004)], &[], Kind::IoError));
        assert!(accepts(&[late, ends(100_000_005)], &[], Kind::IoError));
        assert!(!accepts(&[late, ends(100_000_005), fault(1, "replug")], &[], Kind::IoError));
    }

    #[test]
    fn a_fault_of_either_disk_is_one_of_the_mirror() {
        let text = "plug a virtio-blk slot=1 driver=mirror\nplug b virtio-blk slot=2 driver=mirror\nplug c virtio-blk slot=3\nload b clients=1 depth=1\n";
        let plan = Plan::parse("t", text).expect("a good plan");
        for (slot, explained) in [(1, true), (2, true), (3, false)] {
            let mut ledger = Ledger::of(&plan);
            ledger.event(&io(Kind::IoIssue, 1).slot(2));
            ledger.event(&fault(slot, "corrupt"));
            let entry = ledger.event(&io(Kind::IoCorrupt, 1).slot(2));
            assert_eq!(matches!(entry, Entry::Returned(_)), explained, "{slot}");
            ledger.event(&fault(slot, "freeze"));
            ledger.event(&fault(slot, "freeze-end"));
            ledger.event(&io(Kind::IoIssue, 2).slot(2));
            let entry = ledger.event(&io(Kind::IoError, 2).slot(2));
            assert_eq!(matches!(entry, Entry::Returned(_)), explained, "{slot}");
        }
    }

    #[test]
    fn behind_a_packet_that_was_spoilt_a_stream_may_have_lost_its_way() {
        let text = "plug fw0 ohci slot=1\nplug node0 firewire-node on=fw0 port=1\nplug disk0 firewire-disk on=fw0 port=2\n";
        let plan = Plan::parse("t", text).expect("a good plan");
        for (name, explained) in [("node0", true), ("disk0", false)] {
            let slot = plan.plug_named(name).expect("a device of the plan").slot;
            let accepts = |faults: &[&str]| {
                let mut ledger = Ledger::of(&plan);
                faults.iter().for_each(|word| drop(ledger.event(&fault(slot, word))));
                ledger.event(&io(Kind::IoIssue, 1).slot(slot));
                matches!(ledger.event(&io(Kind::IoCorrupt, 1).slot(slot)), Entry::Returned(_))
            };
            assert_eq!(accepts(&["short-dma"]), explained, "{name}");
            assert!(!accepts(&["short-dma", "replug"]) && !accepts(&["freeze", "freeze-end"]), "{name}");
        }
    }

    #[test]
    fn where_there_is_no_memory_a_request_may_say_so_and_nothing_else() {
        let scarce = fault(0, "fail-alloc");
        let accepts = |before: &[Event], meanwhile: &[Event], error| {
            let mut ledger = Ledger::default();
            before.iter().for_each(|event| drop(ledger.event(event)));
            ledger.event(&io(Kind::IoIssue, 1));
            meanwhile.iter().for_each(|event| drop(ledger.event(event)));
            matches!(ledger.event(&io(Kind::IoError, 1).other(error)), Entry::Returned(_))
        };
        assert!(accepts(&[scarce], &[], NO_MEMORY) && accepts(&[], &[scarce], NO_MEMORY));
        assert!(!accepts(&[scarce], &[], NO_MEMORY + 1));
        assert!(!accepts(&[scarce, fault(0, "fail-alloc-end")], &[], NO_MEMORY));
    }

    #[test]
    fn what_a_late_write_may_have_stored_is_explained_when_it_is_read_back() {
        let mut ledger = Ledger::default();
        let request = |kind, id, thread| Event { thread, ..io(kind, id) };
        ledger.event(&request(Kind::IoIssue, 1, 7));
        ledger.event(&fault(1, "late-dma-end"));
        ledger.event(&request(Kind::IoDone, 1, 7));
        for (id, thread, accepted) in [(2, 8, false), (3, 7, true), (4, 7, true), (5, 7, false)] {
            ledger.event(&request(Kind::IoIssue, id, thread));
            let entry = ledger.event(&request(Kind::IoCorrupt, id, thread));
            assert_eq!(matches!(entry, Entry::Returned(_)), accepted, "{id}");
        }
    }

    #[test]
    fn a_device_that_was_frozen_may_have_been_given_up_until_it_is_exchanged() {
        let frozen = fault(1, "freeze");
        let thawed = [frozen, fault(1, "freeze-end")];
        assert!(accepts(&[frozen], &[], Kind::IoCorrupt));
        assert!(accepts(&thawed, &[], Kind::IoError));
        assert!(!accepts(&thawed, &[], Kind::IoCorrupt));
        for word in ["replug", "plug", "link-up"] {
            assert!(!accepts(&[frozen, fault(1, word)], &[], Kind::IoError), "{word}");
        }
    }

    #[test]
    fn what_is_in_flight_at_the_end_is_lost() {
        let mut ledger = Ledger::default();
        ledger.event(&io(Kind::IoIssue, 5));
        let counts = ledger.close()[&1];
        assert_eq!(counts.lost, 1);
        assert!(!counts.balanced());
    }

    /// A driver that finds the account of its card spoilt gives the card up; one whose card keeps none has no such excuse.
    #[test]
    fn a_card_whose_account_was_spoilt_may_be_given_up() {
        let cards = ["daq slot=1", "edu slot=1", "xhci slot=1\nplug card0 usb-mouse on=usb0 port=1"];
        for (model, explained) in cards.into_iter().zip([1, 0, 1]) {
            let name = if model.contains("on=usb0") { "usb0" } else { "card0" };
            let plan = Plan::parse("t", &format!("plug {name} {model}\n")).expect("a good plan");
            let slot = plan.plug_named("card0").expect("a card").slot;
            let mut ledger = Ledger::of(&plan);
            let fault = |word: &str| Event::new(Kind::Fault).slot(slot).text(word);
            let request = |kind: Kind, id: u64| Event::new(kind).slot(slot).arg(id);
            ledger.event(&fault("corrupt"));
            ledger.event(&request(Kind::IoIssue, 1));
            ledger.event(&request(Kind::IoError, 1));
            assert_eq!(ledger.counts[&slot].error_explained, explained, "{model}");
            ledger.event(&fault("replug"));
            ledger.event(&request(Kind::IoIssue, 2));
            ledger.event(&request(Kind::IoError, 2));
            assert_eq!(ledger.counts[&slot].error_explained, explained, "{model}: another card is no excuse");
        }
    }
}
