//! The rules of a plan in the form in which they are looked up.

use super::chance::Dice;
use super::guest::{GuestRules, Hit, When};
use super::site::{SITES, Site, guest_kind};
use crate::fault::plan::{Action, Chance, DeviceFault, GuestFault, Plan, Rule, Trigger};
use std::collections::VecDeque;
use trace::{Event, Kind};

/// An action with its slot found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Surprise removal.
    Unplug(usize),
    /// The attention button.
    Eject(usize),
    /// Back into the slot.
    Replug(usize),
    /// Into the slot for the first time.
    Plug(usize),
    /// Interrupts with nothing to say.
    Storm {
        /// Index of the slot.
        slot: usize,
        /// Machine ns between two.
        period: u64,
        /// Machine ns in all.
        duration: u64,
    },
    /// A fault of the device.
    Fault {
        /// Index of the slot.
        slot: usize,
        /// Which.
        fault: DeviceFault,
    },
    /// The device's next interrupt waits for its driver's next timer.
    Race {
        /// Index of the slot.
        slot: usize,
        /// The timer wins.
        timer_first: bool,
    },
    /// A client of the device dies.
    Kill(usize),
    /// A fault of the processor or the memory.
    Guest(GuestFault),
}

impl Act {
    /// The index of the device that it is done to, if it is done to one.
    pub fn index(self) -> Option<usize> {
        match self {
            Act::Unplug(index)
            | Act::Eject(index)
            | Act::Replug(index)
            | Act::Plug(index)
            | Act::Kill(index) => Some(index),
            Act::Storm { slot, .. } | Act::Fault { slot, .. } | Act::Race { slot, .. } => Some(slot),
            Act::Guest(_) => None,
        }
    }
}

/// A site's count and the rules that wait for it, in order of count.
#[derive(Clone, Default)]
struct Counter {
    seen: u64,
    rules: Vec<(u64, Act)>,
    next: usize,
    chances: Vec<(Chance, Act)>,
}

/// A rule on time.
#[derive(Clone, Copy, Debug)]
pub struct TimeRule {
    /// Plan time, or the period.
    pub time: u64,
    /// Again and again.
    pub repeats: bool,
    /// What to do.
    pub act: Act,
}

/// The rules of one plan, with their counts.
pub struct Plane {
    counters: Vec<[Counter; SITES]>,
    armed: Vec<u32>,
    guest: GuestRules,
    kinds: [u8; 32],
    timed: Vec<TimeRule>,
    ready: VecDeque<Act>,
    /// What probabilities and altered bytes are drawn from.
    pub(crate) dice: Dice,
}

impl Plane {
    /// The rules of `plan`; indices are those of its `plug` statements, cards first. Rules about names or sites that do not exist are
    /// left out: [`crate::catalogue::check`] reports them.
    pub fn new(plan: &Plan) -> Self {
        let slots = plan.plugs.len();
        let mut plane = Self {
            counters: vec![Default::default(); slots],
            armed: vec![0; slots],
            guest: GuestRules::default(),
            kinds: [0; 32],
            timed: Vec::new(),
            ready: VecDeque::new(),
            dice: Dice::new(0),
        };
        for rule in &plan.rules {
            if let Some(act) = resolve(plan, &rule.action) {
                plane.add(plan, &rule.trigger, act);
            }
        }
        plane.guest.sort();
        for counters in &mut plane.counters {
            for counter in counters {
                counter.rules.sort_by_key(|(count, _)| *count);
            }
        }
        plane
    }

    /// The run's seed.
    pub fn seed(&mut self, seed: u64) {
        self.dice = Dice::new(seed);
    }

    fn add(&mut self, plan: &Plan, trigger: &Trigger, act: Act) {
        if matches!(act, Act::Race { .. }) {
            // A race needs to know when the driver's timers are due.
            self.listen(Kind::TimerArm);
            self.listen(Kind::TimerCancel);
        }
        match trigger {
            Trigger::At(time) => self.timed.push(TimeRule { time: *time, repeats: false, act }),
            Trigger::Every(time) => {
                self.timed.push(TimeRule { time: (*time).max(1), repeats: true, act });
            }
            Trigger::Nth { device, site, count } => self.watch(plan, device, site, When::Nth(*count), act),
            Trigger::Chance { device, site, chance } => {
                self.watch(plan, device, site, When::Chance(*chance), act);
            }
        }
    }

    /// Adds a rule while the machine runs: its occurrences are counted from now on. The place of a rule on time in [`Plane::timed`], if it is
    /// one. A rule about a name or site that does not exist is left out.
    pub fn add_late(&mut self, plan: &Plan, rule: &Rule) -> Option<usize> {
        let act = resolve(plan, &rule.action)?;
        match &rule.trigger {
            Trigger::At(_) | Trigger::Every(_) => {
                self.add(plan, &rule.trigger, act);
                return self.timed.len().checked_sub(1);
            }
            Trigger::Nth { device, site, count } => {
                self.watch_late(plan, device, site, When::Nth(*count), act)
            }
            Trigger::Chance { device, site, chance } => {
                self.watch_late(plan, device, site, When::Chance(*chance), act);
            }
        }
        None
    }

    fn watch_late(&mut self, plan: &Plan, device: &str, site: &str, when: When, act: Act) {
        let Some(slot) = index(plan, device) else { return };
        if matches!(act, Act::Race { .. }) {
            self.listen(Kind::TimerArm);
            self.listen(Kind::TimerCancel);
        }
        if let Some(site) = Site::from_word(site) {
            let counter = &mut self.counters[slot][site as usize];
            match when {
                When::Nth(count) => {
                    let count = count.saturating_add(counter.seen);
                    let to_come = &counter.rules[counter.next..];
                    let at = counter.next + to_come.partition_point(|(other, _)| *other <= count);
                    counter.rules.insert(at, (count, act));
                }
                When::Chance(chance) => counter.chances.push((chance, act)),
            }
            self.armed[slot] |= 1 << site as u32;
        } else if let Some(kind) = guest_kind(site) {
            let number = plan.plug_named(device).map_or(0, |plug| plug.slot);
            self.guest.add_late(number, kind, when, act);
            self.listen(kind);
        }
    }

    fn watch(&mut self, plan: &Plan, device: &str, site: &str, when: When, act: Act) {
        let Some(slot) = index(plan, device) else { return };
        if let Some(site) = Site::from_word(site) {
            let counter = &mut self.counters[slot][site as usize];
            match when {
                When::Nth(count) => counter.rules.push((count, act)),
                When::Chance(chance) => counter.chances.push((chance, act)),
            }
            self.armed[slot] |= 1 << site as u32;
        } else if let Some(kind) = guest_kind(site) {
            let number = plan.plug_named(device).map_or(0, |plug| plug.slot);
            self.guest.add(number, kind, when, act);
            self.listen(kind);
        }
    }

    fn listen(&mut self, kind: Kind) {
        if let Some(byte) = self.kinds.get_mut(kind as usize / 8) {
            *byte |= 1 << (kind as u16 % 8);
        }
    }

    /// True if a rule waits for accesses at `site` of `slot`.
    pub fn counts(&self, slot: usize, site: Site) -> bool {
        self.armed[slot] & 1 << site as u32 != 0
    }

    /// Counts an access; true if [`Plane::due`] may have something.
    pub fn hit(&mut self, slot: usize, site: Site) -> bool {
        let armed = self.counts(slot, site);
        let Self { counters, ready, dice, .. } = self;
        let counter = &mut counters[slot][site as usize];
        counter.seen += 1;
        if !armed {
            return false;
        }
        while let Some((_, act)) = counter.rules.get(counter.next).filter(|(count, _)| *count <= counter.seen)
        {
            ready.push_back(*act);
            counter.next += 1;
        }
        ready.extend(
            counter.chances.iter().filter(|(chance, _)| chance.happens(dice.roll())).map(|rule| rule.1),
        );
        true
    }

    /// The next action whose time has come.
    pub fn due(&mut self) -> Option<Act> {
        self.ready.pop_front()
    }

    /// The kinds of event that rules wait for, as the bench page wants them ([`trace::ring::ARMED`]).
    pub fn armed_kinds(&self) -> [u8; 32] {
        self.kinds
    }

    /// True if rules wait for events of `kind`.
    pub fn wants(&self, kind: Kind) -> bool {
        self.kinds.get(kind as usize / 8).is_some_and(|byte| byte & 1 << (kind as u16 % 8) != 0)
    }

    /// Counts `event`; what is asked of [`Plane::guest_due`] then. `None`: no rule is about it.
    pub fn guest_event(&mut self, event: &Event) -> Option<Hit> {
        self.guest.hit(event)
    }

    /// The next action that the event of `hit` triggers, in the order of statements.
    pub fn guest_due(&mut self, hit: &mut Hit) -> Option<Act> {
        self.guest.due(hit, &mut self.dice)
    }

    /// How often each site of each slot was passed, by index of the slot, then of the site.
    pub fn seen(&self) -> impl Iterator<Item = [u64; SITES]> + '_ {
        self.counters.iter().map(|sites| std::array::from_fn(|site| sites[site].seen))
    }

    /// The rules on time.
    pub fn timed(&self) -> &[TimeRule] {
        &self.timed
    }
}

/// The index of a device: cards first, then what is behind controllers, each in the order of statements.
fn index(plan: &Plan, name: &str) -> Option<usize> {
    plan.cards().chain(plan.behind()).position(|plug| plug.name == name)
}

/// The action with its device found; `None` if the plan has no such device.
pub fn resolve(plan: &Plan, action: &Action) -> Option<Act> {
    let find = |name: &String| index(plan, name);
    Some(match action {
        Action::Unplug(name) => Act::Unplug(find(name)?),
        Action::Eject(name) => Act::Eject(find(name)?),
        Action::Replug(name) => Act::Replug(find(name)?),
        Action::Plug(name) => Act::Plug(find(name)?),
        Action::Storm { device, rate_hz, duration } => Act::Storm {
            slot: find(device)?,
            period: (1_000_000_000 / (*rate_hz).max(1)).max(1),
            duration: *duration,
        },
        Action::Fault { device, fault } => Act::Fault { slot: find(device)?, fault: *fault },
        Action::Race { device, timer_first } => Act::Race { slot: find(device)?, timer_first: *timer_first },
        Action::Kill(name) => Act::Kill(find(name)?),
        Action::Guest(fault) => Act::Guest(*fault),
    })
}
