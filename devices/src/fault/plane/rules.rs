//! The rules of a plan in the form in which they are looked up.

use super::site::{SITES, Site};
use crate::fault::plan::{Action, Plan, Trigger};
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
}

/// A site's count and the rules that wait for it, in order of count.
#[derive(Clone, Default)]
struct Counter {
    seen: u64,
    rules: Vec<(u64, Act)>,
    next: usize,
}

/// A rule on what the guest does.
struct GuestRule {
    slot: u32,
    kind: Kind,
    count: u64,
    seen: u64,
    act: Act,
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
    armed: Vec<u16>,
    guest: Vec<GuestRule>,
    kinds: [u8; 32],
    timed: Vec<TimeRule>,
}

impl Plane {
    /// The rules of `plan`; slot indices are those of its `plug` statements. Rules about names or sites that do not exist are
    /// left out: [`crate::catalogue::check`] reports them.
    pub fn new(plan: &Plan) -> Self {
        let slots = plan.plugs.len();
        let mut plane = Self {
            counters: vec![Default::default(); slots],
            armed: vec![0; slots],
            guest: Vec::new(),
            kinds: [0; 32],
            timed: Vec::new(),
        };
        for rule in &plan.rules {
            if let Some(act) = resolve(plan, &rule.action) {
                plane.add(plan, &rule.trigger, act);
            }
        }
        for counters in &mut plane.counters {
            for counter in counters {
                counter.rules.sort_by_key(|(count, _)| *count);
            }
        }
        plane
    }

    fn add(&mut self, plan: &Plan, trigger: &Trigger, act: Act) {
        match trigger {
            Trigger::At(time) => self.timed.push(TimeRule { time: *time, repeats: false, act }),
            Trigger::Every(time) => {
                self.timed.push(TimeRule { time: (*time).max(1), repeats: true, act });
            }
            Trigger::Nth { device, site, count } => {
                let Some(slot) = index(plan, device) else { return };
                if let Some(site) = Site::from_word(site) {
                    self.counters[slot][site as usize].rules.push((*count, act));
                    self.armed[slot] |= 1 << site as u16;
                } else if let Some(kind) = Kind::from_word(site) {
                    let slot = plan.plugs[slot].slot;
                    self.guest.push(GuestRule { slot, kind, count: *count, seen: 0, act });
                    if let Some(byte) = self.kinds.get_mut(kind as usize / 8) {
                        *byte |= 1 << (kind as u16 % 8);
                    }
                }
            }
        }
    }

    /// True if a rule waits for accesses at `site` of `slot`.
    pub fn counts(&self, slot: usize, site: Site) -> bool {
        self.armed[slot] & 1 << site as u16 != 0
    }

    /// Counts an access; true if [`Plane::due`] may have something.
    pub fn hit(&mut self, slot: usize, site: Site) -> bool {
        if !self.counts(slot, site) {
            return false;
        }
        self.counters[slot][site as usize].seen += 1;
        true
    }

    /// The next action whose count is reached.
    pub fn due(&mut self, slot: usize, site: Site) -> Option<Act> {
        let counter = &mut self.counters[slot][site as usize];
        let (count, act) = *counter.rules.get(counter.next)?;
        if count > counter.seen {
            return None;
        }
        counter.next += 1;
        Some(act)
    }

    /// The kinds of event that rules wait for, as the bench page wants them ([`trace::ring::ARMED`]).
    pub fn armed_kinds(&self) -> [u8; 32] {
        self.kinds
    }

    /// True if rules wait for events of `kind`.
    pub fn wants(&self, kind: Kind) -> bool {
        self.kinds.get(kind as usize / 8).is_some_and(|byte| byte & 1 << (kind as u16 % 8) != 0)
    }

    /// Number of rules on what the guest does.
    pub fn guest_rules(&self) -> usize {
        self.guest.len()
    }

    /// Counts `event` for rule `index`: its action, if this is the occurrence.
    pub fn guest_event(&mut self, index: usize, event: &Event) -> Option<Act> {
        let rule = self.guest.get_mut(index)?;
        if rule.kind != event.kind || rule.slot != event.slot {
            return None;
        }
        rule.seen += 1;
        (rule.seen == rule.count).then_some(rule.act)
    }

    /// The rules on time.
    pub fn timed(&self) -> &[TimeRule] {
        &self.timed
    }
}

fn index(plan: &Plan, name: &str) -> Option<usize> {
    plan.plugs.iter().position(|plug| plug.name == name)
}

fn resolve(plan: &Plan, action: &Action) -> Option<Act> {
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
    })
}
