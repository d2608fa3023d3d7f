//! The registry before, during and after each removal, and at the end of the run. Bounded, whatever the guest writes.

use crate::control::{Node, Registry};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use trace::{Event, Kind};

/// Removals whose trees are kept; later ones are counted.
const MAX_REMOVALS: usize = 16;
/// Entries of a tree that are kept.
const MAX_ENTRIES: usize = 256;

/// When a tree was looked at, in the order in which that can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum When {
    /// Just before the device went.
    #[serde(rename = "before")]
    Before,
    /// At the first didTerminate of its stack: phase 1 is over, phase 2 on its way back up (section 3).
    #[serde(rename = "didTerminate")]
    Did,
    /// Before the first detach of its stack: in phase 3.
    #[serde(rename = "detach")]
    Detach,
    /// When its stack was detached.
    #[serde(rename = "after")]
    After,
}

/// The registry at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// Which moment.
    pub when: When,
    /// Plan time, ns.
    pub time: u64,
    /// What has no provider, with what stands under it.
    pub tree: Vec<Node>,
    /// Entries for which there was no room.
    pub left_out: usize,
}

/// One removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Plan name of the device.
    pub device: String,
    /// `unplug`, `link-down` or `eject`.
    pub action: String,
    /// Plan time, ns.
    pub time: u64,
    /// Numbers of the services that were attached in its slot.
    pub stack: BTreeSet<u32>,
    /// Those moments that came.
    pub moments: Vec<Moment>,
    /// The services at the bottom of the stack, with their providers: what the device's nub hangs on.
    #[serde(skip)]
    roots: Vec<(u32, u32)>,
}

/// The registry of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The first removals.
    pub removals: Vec<Removed>,
    /// Removals that are not told, because there were too many.
    pub more_removals: u64,
    /// The tree at the end of the run.
    pub end: Vec<Node>,
    /// Entries of it for which there was no room.
    pub end_left_out: usize,
}

/// Follows the registry, and looks at it when something goes.
#[derive(Default)]
pub struct Trees {
    registry: Registry,
    zero: u64,
    names: BTreeMap<u32, String>,
    removals: Vec<Removed>,
    more: u64,
}

impl Trees {
    /// For a run whose devices have these names by slot.
    pub fn new(names: BTreeMap<u32, String>) -> Self {
        Self { names, ..Self::default() }
    }

    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Ready if self.zero == 0 => self.zero = event.time,
            Kind::Fault if verdict::is_removal(event.text_str()) => self.removal(event),
            Kind::Detach if self.registry.is_inactive(event.object) => self.look(event, When::Detach),
            _ => {}
        }
        self.registry.event(event);
        match event.kind {
            Kind::DidTerminate => self.look(event, When::Did),
            Kind::Detach | Kind::Free => self.gone(event),
            _ => {}
        }
    }

    /// What was seen.
    pub fn finish(self) -> Told {
        let (end, end_left_out) = self.registry.nodes(MAX_ENTRIES);
        Told { removals: self.removals, more_removals: self.more, end, end_left_out }
    }

    fn moment(&self, when: When, now: u64) -> Moment {
        let (tree, left_out) = self.registry.nodes(MAX_ENTRIES);
        Moment { when, time: now.saturating_sub(self.zero), tree, left_out }
    }

    fn removal(&mut self, event: &Event) {
        if self.removals.len() >= MAX_REMOVALS {
            self.more += 1;
            return;
        }
        let stack: BTreeSet<u32> = self.registry.attached(event.slot).collect();
        // What has a provider in the stack, too, is no root, wherever else it hangs.
        let is_root =
            |id: &&u32| !self.registry.providers(**id).iter().any(|provider| stack.contains(provider));
        let edges = |&id: &u32| self.registry.providers(id).iter().map(move |&provider| (id, provider));
        let roots = stack.iter().filter(is_root).flat_map(edges).collect();
        let before = self.moment(When::Before, event.time);
        self.removals.push(Removed {
            device: self.names.get(&event.slot).cloned().unwrap_or_else(|| format!("slot{}", event.slot)),
            action: event.text_str().to_owned(),
            time: before.time,
            stack,
            moments: vec![before],
            roots,
        });
    }

    /// A removal whose stack the event's object belongs to comes to this moment for the first time.
    fn look(&mut self, event: &Event, when: When) {
        let waits = |removed: &Removed| removed.reached() < when && removed.stack.contains(&event.object);
        if self.removals.iter().any(waits) {
            let moment = self.moment(when, event.time);
            let waiting = self.removals.iter_mut().filter(|removed| waits(removed));
            waiting.for_each(|removed| removed.moments.push(moment.clone()));
        }
    }

    /// Something was detached: perhaps the last of a stack. What has providers elsewhere, and was not terminated, may stay.
    fn gone(&mut self, event: &Event) {
        let registry = &self.registry;
        let is_over = |removed: &Removed| {
            let is_there = |(id, provider): &(u32, u32)| registry.providers(*id).contains(provider);
            let lingers = |id: &u32| registry.is_inactive(*id) && !registry.providers(*id).is_empty();
            removed.reached() < When::After
                && removed.stack.contains(&event.object)
                && !removed.roots.iter().any(is_there)
                && !removed.stack.iter().any(lingers)
        };
        let over: Vec<usize> = (0..self.removals.len()).filter(|&n| is_over(&self.removals[n])).collect();
        for n in over {
            let moment = self.moment(When::After, event.time);
            self.removals[n].moments.push(moment);
        }
    }
}

impl Removed {
    fn reached(&self) -> When {
        self.moments.last().map_or(When::Before, |moment| moment.when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(time: u64, kind: Kind, object: u32, other: u32) -> Event {
        let mut event = Event::new(kind).object(object).other(other).slot(u32::from(object > 1));
        event.time = time;
        event
    }

    fn fault(time: u64) -> Event {
        Event { time, ..Event::new(Kind::Fault).slot(1).text("unplug") }
    }

    /// A port with a nub, its driver, and the driver's user client.
    fn stack() -> Vec<Event> {
        let attach = |object| on(1, Kind::Attach, object, object - 1);
        vec![on(1, Kind::Ready, 0, 0), attach(2), attach(3), attach(4)]
    }

    fn told(events: &[Event]) -> Told {
        let mut trees = Trees::new(BTreeMap::from([(1, "edu0".to_owned())]));
        events.iter().for_each(|event| trees.event(event));
        trees.finish()
    }

    fn ids(nodes: &[Node]) -> Vec<u32> {
        nodes.iter().flat_map(|node| [vec![node.id], ids(&node.children)].concat()).collect()
    }

    #[test]
    fn a_removal_has_a_tree_before_during_and_after() {
        let mut events = stack();
        events.extend([
            fault(11),
            on(12, Kind::Inactive, 2, 0),
            on(12, Kind::Inactive, 3, 0),
            on(12, Kind::Inactive, 4, 0),
        ]);
        events.extend([
            on(13, Kind::WillTerminate, 3, 2),
            on(14, Kind::DidTerminate, 4, 3),
            on(15, Kind::DidTerminate, 3, 2),
        ]);
        events.extend([on(16, Kind::Finalize, 4, 0), on(17, Kind::Detach, 4, 3), on(18, Kind::Detach, 3, 2)]);
        events.push(on(19, Kind::Detach, 2, 1));
        let told = told(&events);
        let removed = &told.removals[0];
        assert_eq!((removed.device.as_str(), removed.time, told.more_removals), ("edu0", 10, 0));
        let moments: Vec<_> = removed.moments.iter().map(|m| (m.when, m.time, ids(&m.tree))).collect();
        let all = vec![1, 2, 3, 4];
        let expected = [
            (When::Before, 10, all.clone()),
            (When::Did, 13, all.clone()),
            (When::Detach, 16, all),
            (When::After, 18, vec![]),
        ];
        assert_eq!(moments, expected);
        let state = |moment: usize| {
            let driver = &removed.moments[moment].tree[0].children[0].children[0];
            (driver.state.clone(), driver.children[0].state.clone())
        };
        assert_eq!(state(0), (vec![], vec![]));
        assert_eq!(state(1), (vec!["inactive", "willTerminate"], vec!["inactive", "didTerminate"]));
        assert_eq!(state(2).1, ["inactive", "finalized"]);
        assert!(told.end.is_empty(), "nothing is attached to the port any more");
    }

    #[test]
    fn a_client_that_comes_and_goes_is_no_end_and_what_has_another_provider_stays() {
        let mut events = stack();
        // A mirror of two disks: its first provider goes.
        events.extend([on(1, Kind::Attach, 9, 3), on(1, Kind::Attach, 9, 1), fault(11)]);
        events.extend([on(12, Kind::Inactive, 4, 0), on(13, Kind::Detach, 4, 3), on(14, Kind::Free, 4, 0)]);
        assert_eq!(told(&events).removals[0].moments.len(), 2, "the nub is still there");
        events.extend([
            on(15, Kind::Inactive, 2, 0),
            on(15, Kind::Inactive, 3, 0),
            on(16, Kind::Detach, 9, 3),
        ]);
        events.extend([on(17, Kind::Detach, 3, 2), on(18, Kind::Detach, 2, 1)]);
        let moments = &told(&events).removals[0].moments;
        assert_eq!(moments.last().map(|moment| (moment.when, moment.time)), Some((When::After, 17)));
        assert_eq!(moments.last().map(|moment| ids(&moment.tree)), Some(vec![1, 9]));
    }

    #[test]
    fn many_removals_and_a_large_registry_are_bounded() {
        let mut events = vec![on(0, Kind::Ready, 0, 0)];
        events.extend((2..2_000).map(|object| on(1, Kind::Attach, object, 1)));
        events.extend((0..100).map(fault));
        let told = told(&events);
        assert_eq!((told.removals.len(), told.more_removals), (MAX_REMOVALS, 84));
        let moment = &told.removals[0].moments[0];
        assert_eq!((ids(&moment.tree).len(), moment.left_out), (MAX_ENTRIES, 1_999 - MAX_ENTRIES));
    }
}
