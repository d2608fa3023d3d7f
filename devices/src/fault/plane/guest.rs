//! The rules on what the guest does, found by slot and kind of event: a plan may have hundreds, and the guest does millions of things.

use super::chance::Dice;
use super::rules::Act;
use crate::fault::plan::Chance;
use trace::{Event, Kind};

/// When a rule acts.
pub(super) enum When {
    /// At this occurrence.
    Nth(u64),
    /// At each one, with this probability.
    Chance(Chance),
}

/// A site and the rules that wait for it. Each rule has its place among all: what happens at one event happens in the order of statements.
struct Site {
    key: (u32, u16),
    seen: u64,
    /// Count, place, action; in order of count, then of place.
    nth: Vec<(u64, u32, Act)>,
    /// The first of these whose count is not over.
    next: usize,
    /// Place, probability, action; in order of place.
    chances: Vec<(u32, Chance, Act)>,
}

/// All of them.
#[derive(Default)]
pub(super) struct GuestRules {
    /// In order of their keys.
    sites: Vec<Site>,
    rules: u32,
}

/// The rules that one event concerns, as far as they have not been asked.
#[derive(Debug)]
pub struct Hit {
    site: usize,
    chance: usize,
}

impl GuestRules {
    /// Adds a rule behind all others.
    pub fn add(&mut self, slot: u32, kind: Kind, when: When, act: Act) {
        let key = (slot, kind as u16);
        let at = match self.sites.binary_search_by_key(&key, |site| site.key) {
            Ok(at) => at,
            Err(at) => {
                let site = Site { key, seen: 0, nth: Vec::new(), next: 0, chances: Vec::new() };
                self.sites.insert(at, site);
                at
            }
        };
        let (site, place) = (&mut self.sites[at], self.rules);
        self.rules += 1;
        match when {
            When::Nth(count) => site.nth.push((count, place, act)),
            When::Chance(chance) => site.chances.push((place, chance, act)),
        }
    }

    /// Adds a rule while the guest runs: its occurrences are counted from now on.
    pub fn add_late(&mut self, slot: u32, kind: Kind, when: When, act: Act) {
        let seen = self.sites.iter().find(|site| site.key == (slot, kind as u16)).map_or(0, |site| site.seen);
        let when = match when {
            When::Nth(count) => When::Nth(count.saturating_add(seen)),
            chance => chance,
        };
        self.add(slot, kind, when, act);
        // What is over has smaller counts, and stays where it is.
        self.sort();
    }

    /// No more rules come.
    pub fn sort(&mut self) {
        self.sites.iter_mut().for_each(|site| site.nth.sort_by_key(|(count, place, _)| (*count, *place)));
    }

    /// Counts `event`. `None`: no rule is about it.
    pub fn hit(&mut self, event: &Event) -> Option<Hit> {
        let key = (event.slot, event.kind as u16);
        let index = self.sites.binary_search_by_key(&key, |site| site.key).ok()?;
        let site = &mut self.sites[index];
        site.seen += 1;
        while site.nth.get(site.next).is_some_and(|(count, ..)| *count < site.seen) {
            site.next += 1;
        }
        Some(Hit { site: index, chance: 0 })
    }

    /// The next action of `hit`, in the order of statements. Probabilities are thrown when their turn comes: an action before may have thrown, too.
    pub fn due(&mut self, hit: &mut Hit, dice: &mut Dice) -> Option<Act> {
        let site = self.sites.get_mut(hit.site)?;
        loop {
            let nth = site.nth.get(site.next).filter(|(count, ..)| *count == site.seen);
            let chance = site.chances.get(hit.chance);
            match (nth, chance) {
                (Some((_, place, act)), chance) if chance.is_none_or(|(other, ..)| place < other) => {
                    site.next += 1;
                    return Some(*act);
                }
                (_, Some((_, chance, act))) => {
                    hit.chance += 1;
                    if chance.happens(dice.roll()) {
                        return Some(*act);
                    }
                }
                (_, None) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acts(rules: &mut GuestRules, event: &Event) -> Vec<Act> {
        let mut dice = Dice::new(1);
        let Some(mut hit) = rules.hit(event) else { return Vec::new() };
        std::iter::from_fn(|| rules.due(&mut hit, &mut dice)).collect()
    }

    #[test]
    fn rules_act_at_their_occurrence_in_the_order_of_statements() {
        let mut rules = GuestRules::default();
        let certain = Chance::parse("1").expect("a probability");
        rules.add(1, Kind::GateClose, When::Nth(2), Act::Eject(0));
        rules.add(1, Kind::GateClose, When::Nth(1), Act::Unplug(0));
        rules.add(1, Kind::GateClose, When::Chance(certain), Act::Kill(0));
        rules.add(1, Kind::GateClose, When::Nth(2), Act::Replug(0));
        rules.add(2, Kind::GateClose, When::Nth(1), Act::Unplug(1));
        rules.add(1, Kind::GateOpen, When::Nth(1), Act::Plug(0));
        rules.sort();
        let gate = |slot| Event::new(Kind::GateClose).slot(slot);
        assert_eq!(acts(&mut rules, &gate(1)), [Act::Unplug(0), Act::Kill(0)]);
        assert_eq!(acts(&mut rules, &gate(1)), [Act::Eject(0), Act::Kill(0), Act::Replug(0)]);
        assert_eq!(acts(&mut rules, &gate(1)), [Act::Kill(0)]);
        assert_eq!(acts(&mut rules, &gate(2)), [Act::Unplug(1)]);
        assert_eq!(acts(&mut rules, &gate(2)), []);
        assert_eq!(acts(&mut rules, &gate(3)), []);
        assert_eq!(acts(&mut rules, &Event::new(Kind::GateOpen).slot(1)), [Act::Plug(0)]);
    }

    #[test]
    fn actions_that_nobody_asked_for_at_one_event_are_not_made_up_at_the_next() {
        let mut rules = GuestRules::default();
        rules.add(1, Kind::Finalize, When::Nth(1), Act::Unplug(0));
        rules.add(1, Kind::Finalize, When::Nth(2), Act::Replug(0));
        rules.sort();
        let event = Event::new(Kind::Finalize).slot(1);
        assert!(rules.hit(&event).is_some());
        assert_eq!(acts(&mut rules, &event), [Act::Replug(0)]);
    }
}
