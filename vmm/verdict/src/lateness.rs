//! Requests that come back late although their device is there: something is waited for that will not come, until a timeout ends the wait.
//!
//! A device at work answers within its own times, which are milliseconds, and a driver that is told of trouble (a halt, a packet that nobody answered, a bus
//! reset) sees to it at once. So where nothing came back for [`PATIENCE`] although a request was there, somebody has not heard what he was told. What a device keeps to
//! itself a driver finds out by waiting: after any fault that is not among [`TOLD`] nothing is late until the device is exchanged. What was in flight at a removal is the
//! business of `expect offline`.
//!
//! Where machine time passes while the host does something else, nothing is late unless all else was punctual: the time begins anew where the host says that it was late itself, and
//! where a timer of the guest fired long after its time, so that the guest's processors cannot have run.

use devices::catalogue::parse_time;
use devices::fault::plan::{Action, GuestFault, Plan, Plug};
use std::collections::{BTreeMap, BTreeSet};
use trace::{Event, Kind};

/// Machine time, ns, in which a device that is there brings some request back.
const PATIENCE: u64 = 1_000_000_000;
/// Machine time, ns, that a timer of the guest may be late on a host that keeps up.
const PUNCTUAL: u64 = 50_000_000;
/// Timers that are followed at the most.
const TIMERS: usize = 256;
/// Times of a device of which a request may take so many.
const ROUNDS: u64 = 64;
/// Faults of which the driver is told as they happen, or which are none of the device's: the time begins anew.
const TOLD: &[&str] = &[
    "usb-stall",
    "usb-error",
    "babble",
    "bus-reset",
    "new-root",
    "disconnect-port",
    "cable-pull",
    "spurious",
    "preempt",
    "kill",
];
/// What takes a device out.
const OUT: &[&str] = &["unplug", "eject", "link-down"];
/// What puts one in.
const IN: &[&str] = &["plug", "replug", "link-up"];

/// What is known of one device.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Machine time that its requests may take, ns.
    patience: u64,
    in_flight: u64,
    /// Since when something was to come back, machine ns.
    since: u64,
    absent: bool,
}

/// Follows the requests of all devices.
#[derive(Debug, Default)]
pub struct Lateness {
    slots: BTreeMap<u32, Slot>,
    /// Devices that a fault holds up, or has spoilt.
    held: BTreeSet<u32>,
    /// The longest time that a CPU loses by the plan, ns.
    stall: u64,
    /// Threads of the plan may keep all others from running.
    crowded: bool,
    /// When the guest's timers are due, by owner, if machine time is shared with the host's other work.
    timers: Option<BTreeMap<u32, u64>>,
}

impl Lateness {
    /// Of the devices of `plan`.
    pub fn of(plan: &Plan) -> Self {
        let slot = |plug: &Plug| Slot { patience: patience(plan, plug), ..Slot::default() };
        let stalls = plan.rules.iter().filter_map(|rule| match rule.action {
            Action::Guest(GuestFault::Stall { duration, .. }) => Some(duration),
            Action::Guest(GuestFault::ClockJump { by }) => Some(by),
            _ => None,
        });
        Self {
            slots: plan.plugs.iter().map(|plug| (plug.slot, slot(plug))).collect(),
            held: BTreeSet::new(),
            stall: stalls.max().unwrap_or(0),
            crowded: !plan.threads.is_empty(),
            timers: None,
        }
    }

    /// The same where machine time passes while the host does something else.
    pub fn of_shared_time(self) -> Self {
        Self { timers: Some(BTreeMap::new()), ..self }
    }

    /// Looks at the next event: for how long nothing came back, ns, if that was too long.
    pub fn event(&mut self, event: &Event) -> Option<u64> {
        match event.kind {
            Kind::IoIssue => self.issued(event),
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => return self.returned(event),
            Kind::Fault => self.fault(event),
            Kind::HostLate => self.begin_anew(event.time),
            Kind::TimerArm | Kind::TimerCancel | Kind::TimerFire => self.timer(event),
            _ => {}
        }
        None
    }

    fn issued(&mut self, event: &Event) {
        let Some(slot) = self.slots.get_mut(&event.slot) else { return };
        if slot.in_flight == 0 {
            slot.since = slot.since.max(event.time);
        }
        slot.in_flight += 1;
    }

    fn returned(&mut self, event: &Event) -> Option<u64> {
        let excused = self.crowded || !self.held.is_empty();
        let slot = self.slots.get_mut(&event.slot)?;
        let waited = event.time.saturating_sub(slot.since);
        let late = !excused && !slot.absent && slot.in_flight > 0 && waited > slot.patience;
        slot.in_flight = slot.in_flight.saturating_sub(1);
        slot.since = slot.since.max(event.time);
        late.then_some(waited)
    }

    fn fault(&mut self, event: &Event) {
        let word = event.text_str();
        let mut lost = 0;
        if OUT.contains(&word) || IN.contains(&word) {
            self.held.remove(&event.slot);
            if let Some(slot) = self.slots.get_mut(&event.slot) {
                slot.absent = OUT.contains(&word);
            }
        } else if matches!(word, "stall" | "clock-jump") {
            lost = self.stall;
        } else if !TOLD.contains(&word) {
            self.held.insert(event.slot);
        }
        // Devices share buses, controllers and processors: whatever happens to one may keep the others waiting.
        self.begin_anew(event.time.saturating_add(lost));
    }

    fn begin_anew(&mut self, from: u64) {
        self.slots.values_mut().for_each(|slot| slot.since = slot.since.max(from));
    }

    /// A timer of the guest, where it shows whether its processors run.
    fn timer(&mut self, event: &Event) {
        let Some(timers) = &mut self.timers else { return };
        let due = timers.remove(&event.object);
        match event.kind {
            Kind::TimerArm if timers.len() < TIMERS => _ = timers.insert(event.object, event.arg),
            Kind::TimerFire if due.is_some_and(|due| event.time.saturating_sub(due) > PUNCTUAL) => {
                self.begin_anew(event.time);
            }
            _ => {}
        }
    }
}

/// How long a request of `plug` may take: what the plan says of its times, and of those of all that is above it, comes on top.
fn patience(plan: &Plan, plug: &Plug) -> u64 {
    let above = |plug: &&Plug| plug.on().and_then(|on| plan.plug_named(on));
    // A way in a circle is no way.
    let way = std::iter::successors(Some(plug), above).take(plan.plugs.len());
    let times = way.flat_map(|plug| plug.options.values()).filter_map(|value| parse_time(value));
    times.fold(PATIENCE, |sum, time| sum.saturating_add(time.saturating_mul(ROUNDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "plug usb0 xhci slot=1\nplug stick0 usb-storage on=usb0 port=1\nplug edu0 edu slot=2 factorial=1s\nrun for=10s\n";

    fn at(time: u64, kind: Kind, slot: u32) -> Event {
        Event { time, ..Event::new(kind).slot(slot) }
    }

    fn fault(time: u64, slot: u32, word: &str) -> Event {
        Event { time, ..Event::new(Kind::Fault).slot(slot).text(word) }
    }

    /// What is said of the last of `events`, in which the stick is 31.
    fn last(text: &str, events: &[Event]) -> Option<u64> {
        let plan = Plan::parse("t", text).expect("a good plan");
        let mut lateness = Lateness::of(&plan);
        let (last, before) = events.split_last().expect("some");
        before.iter().for_each(|event| assert_eq!(lateness.event(event), None));
        lateness.event(last)
    }

    #[test]
    fn what_comes_back_after_a_timeout_is_late() {
        let events = |middle: Event| [at(1, Kind::IoIssue, 31), middle, at(2_000_000_010, Kind::IoDone, 31)];
        assert_eq!(last(PLAN, &events(fault(10, 31, "usb-stall"))), Some(2_000_000_000));
        assert_eq!(last(PLAN, &events(at(1_000_000_005, Kind::GateClose, 31))), Some(2_000_000_009));
        for word in ["nak", "mute", "freeze", "drop", "lost-ack", "storm", "fail-alloc", "unplug"] {
            assert_eq!(last(PLAN, &events(fault(10, 31, word))), None, "{word}");
        }
        assert_eq!(last(PLAN, &events(fault(1_500_000_000, 1, "usb-error"))), None, "the time begins anew");
        assert_eq!(last(PLAN, &events(at(1_500_000_000, Kind::IoIssue, 2))), Some(2_000_000_009));
        let crowd = format!("{PLAN}thread hog priority=50 run=5ms every=10ms\n");
        assert_eq!(
            last(&crowd, &events(fault(10, 31, "usb-stall"))),
            None,
            "others may keep it from running"
        );
    }

    #[test]
    fn a_device_may_take_the_time_that_the_plan_gives_it() {
        let events = |time| [at(0, Kind::IoIssue, 2), at(time, Kind::IoDone, 2)];
        assert_eq!(last(PLAN, &events(60_000_000_000)), None);
        assert_eq!(last(PLAN, &events(66_000_000_000)), Some(66_000_000_000));
    }

    #[test]
    fn what_the_host_or_a_processor_lost_is_not_the_guests() {
        let plan = Plan::parse("t", PLAN).expect("a good plan");
        let timer = |time, kind, due| Event { arg: due, ..at(time, kind, 31) };
        let judged = |middle: &[Event]| {
            let mut lateness = Lateness::of(&plan).of_shared_time();
            assert_eq!(lateness.event(&at(1, Kind::IoIssue, 31)), None);
            middle.iter().for_each(|event| assert_eq!(lateness.event(event), None));
            lateness.event(&at(2_000_000_010, Kind::IoDone, 31))
        };
        assert_eq!(judged(&[]), Some(2_000_000_009));
        assert_eq!(judged(&[at(1_100_000_000, Kind::HostLate, 0)]), None);
        assert_eq!(judged(&[at(500_000_000, Kind::HostLate, 0)]), Some(1_500_000_010));
        let arm = timer(5, Kind::TimerArm, 1_900_000_000);
        assert_eq!(
            judged(&[arm, timer(1_900_100_000, Kind::TimerFire, 0)]),
            Some(2_000_000_009),
            "a timeout"
        );
        assert_eq!(judged(&[arm, timer(1_990_000_000, Kind::TimerFire, 0)]), None, "nobody ran");
        let gone = timer(6, Kind::TimerCancel, 0);
        assert_eq!(judged(&[arm, gone, timer(1_990_000_000, Kind::TimerFire, 0)]), Some(2_000_000_009));
    }

    #[test]
    fn others_that_come_back_show_that_it_is_at_work() {
        let mut events = vec![at(0, Kind::IoIssue, 31)];
        events.extend(
            (1..6).flat_map(|n| {
                [at(n * 900_000_000, Kind::IoIssue, 31), at(n * 900_000_000, Kind::IoDone, 31)]
            }),
        );
        assert_eq!(last(PLAN, &events), None);
    }

    #[test]
    fn a_device_that_is_back_is_judged_again() {
        let back = |word| {
            [
                fault(5, 31, "nak"),
                fault(10, 31, word),
                at(20, Kind::IoIssue, 31),
                at(2_000_000_020, Kind::IoDone, 31),
            ]
        };
        assert_eq!(last(PLAN, &back("replug")), Some(2_000_000_000));
        assert_eq!(last(PLAN, &back("unplug")), None);
    }
}
