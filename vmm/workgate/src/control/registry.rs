//! The IOKit registry as the trace tells it, for `x-workgate-registry`, `x-workgate-classcount`, and the report.

use explore::teardown::State;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use trace::{Event, Kind};

/// Entries followed at the most: a hostile guest could make them for ever.
const MAX_ENTRIES: usize = 65_536;
/// Providers of an entry that are followed at the most.
const MAX_PROVIDERS: usize = 64;
/// Levels of the tree that are told.
const MAX_LEVELS: usize = 48;

#[derive(Default)]
struct Entry {
    name: String,
    class: String,
    slot: u32,
    /// In order of attachment.
    providers: Vec<u32>,
    clients: BTreeSet<u32>,
    registered: bool,
    started: bool,
    inactive: bool,
    /// What it has heard of its end last.
    end: Option<State>,
    busy: bool,
}

/// An entry as it is told, with what stands under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: String,
    /// The slot of its device; 0 = none.
    pub slot: u32,
    /// All that holds of it: `registered`, `started`, `inactive`, what it has heard of its end (`willTerminate`, `didTerminate`, `finalized`, `stopped`), `busy`.
    pub state: Vec<&'static str>,
    /// Numbers of all its providers; it stands under the first.
    pub providers: Vec<u32>,
    /// Its clients, but for those that stand under another provider.
    pub children: Vec<Node>,
}

/// Room for entries in a tree.
struct Room {
    left: usize,
    left_out: usize,
}

impl Room {
    fn take(&mut self) -> bool {
        let is_there = self.left > 0;
        self.left -= usize::from(is_there);
        self.left_out += usize::from(!is_there);
        is_there
    }
}

impl Entry {
    fn states(&self) -> Vec<&'static str> {
        let before =
            [(self.registered, "registered"), (self.started, "started"), (self.inactive, "inactive")];
        let states = before.into_iter().filter_map(|(holds, word)| holds.then_some(word));
        states.chain(self.end.map(State::word)).chain(self.busy.then_some("busy")).collect()
    }
}

/// What is attached to what.
#[derive(Default)]
pub struct Registry {
    entries: BTreeMap<u32, Entry>,
}

impl Registry {
    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Name => self.with(event.object, |entry| entry.name = event.text_str().to_owned()),
            Kind::Class => self.with(event.object, |entry| entry.class = event.text_str().to_owned()),
            Kind::Attach => self.attach(event),
            Kind::Detach => self.detach(event.object, event.other),
            Kind::Register => self.with(event.object, |entry| entry.registered = true),
            Kind::Started => self.with(event.object, |entry| entry.started = event.arg != 0),
            Kind::Stop | Kind::WillTerminate | Kind::DidTerminate | Kind::Finalize => {
                self.with(event.object, |entry| {
                    entry.started &= event.kind != Kind::Stop;
                    entry.end = State::after(event);
                })
            }
            Kind::Inactive => self.with(event.object, |entry| entry.inactive = true),
            Kind::Busy => self.with(event.object, |entry| entry.busy = event.arg != 0),
            Kind::Free => self.free(event.object),
            _ => {}
        }
    }

    fn with(&mut self, id: u32, change: impl FnOnce(&mut Entry)) {
        if self.entries.len() < MAX_ENTRIES || self.entries.contains_key(&id) {
            change(self.entries.entry(id).or_default());
        }
    }

    fn attach(&mut self, event: &Event) {
        let (client, provider) = (event.object, event.other);
        self.with(client, |entry| {
            entry.slot = event.slot;
            if entry.providers.len() < MAX_PROVIDERS && !entry.providers.contains(&provider) {
                entry.providers.push(provider);
            }
        });
        self.with(provider, |entry| _ = entry.clients.insert(client));
    }

    fn detach(&mut self, client: u32, provider: u32) {
        if let Some(entry) = self.entries.get_mut(&client) {
            entry.providers.retain(|other| *other != provider);
        }
        if let Some(entry) = self.entries.get_mut(&provider) {
            entry.clients.remove(&client);
        }
    }

    fn free(&mut self, id: u32) {
        let Some(entry) = self.entries.remove(&id) else { return };
        for provider in entry.providers {
            self.detach(id, provider);
        }
        for client in entry.clients {
            self.detach(client, id);
        }
    }

    /// The tree: each entry stands under its first provider, with the ids of all of them.
    pub fn tree(&self) -> Value {
        json!(self.nodes(MAX_ENTRIES).0)
    }

    /// The tree with at most so many entries, and how many are left out.
    pub fn nodes(&self, most: usize) -> (Vec<Node>, usize) {
        let mut room = Room { left: most, left_out: 0 };
        let roots =
            self.entries.iter().filter(|(_, entry)| entry.providers.is_empty() && !entry.clients.is_empty());
        let nodes = roots.filter_map(|(&id, entry)| self.node(id, entry, 0, &mut room)).collect();
        (nodes, room.left_out)
    }

    fn node(&self, id: u32, entry: &Entry, level: usize, room: &mut Room) -> Option<Node> {
        let is_shown = room.take();
        let child = |id: &u32| self.entries.get(id).map(|entry| (*id, entry));
        let mine = |(_, entry): &(u32, &Entry)| entry.providers.first() == Some(&id);
        // A guest may well tell of a circle.
        let children: Vec<Node> = match level {
            MAX_LEVELS.. => Vec::new(),
            level => {
                let clients = entry.clients.iter().filter_map(child).filter(mine);
                clients.filter_map(|(id, entry)| self.node(id, entry, level + 1, room)).collect()
            }
        };
        is_shown.then(|| Node {
            id,
            name: entry.name.clone(),
            class: entry.class.clone(),
            slot: entry.slot,
            state: entry.states(),
            providers: entry.providers.clone(),
            children,
        })
    }

    /// Entries of `slot` that are attached to something.
    pub fn attached(&self, slot: u32) -> impl Iterator<Item = u32> {
        let mine = move |(_, entry): &(&u32, &Entry)| entry.slot == slot && !entry.providers.is_empty();
        self.entries.iter().filter(mine).map(|(&id, _)| id)
    }

    /// The providers of an entry; none if it is not there.
    pub fn providers(&self, id: u32) -> &[u32] {
        self.entries.get(&id).map_or(&[], |entry| &entry.providers)
    }

    /// Whether phase 1 of a termination has made it inactive.
    pub fn is_inactive(&self, id: u32) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.inactive)
    }

    /// Instances of each class that are there.
    pub fn classes(&self) -> Value {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| !entry.class.is_empty()) {
            *counts.entry(&entry.class).or_default() += 1;
        }
        json!(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(kind: Kind, object: u32, other: u32) -> Event {
        Event::new(kind).object(object).other(other)
    }

    fn registry(events: &[Event]) -> Registry {
        let mut registry = Registry::default();
        events.iter().for_each(|event| registry.event(event));
        registry
    }

    fn stack() -> Vec<Event> {
        vec![
            on(Kind::Name, 2, 0).text("edu0"),
            on(Kind::Class, 2, 0).text("IOPCIDevice"),
            on(Kind::Attach, 2, 1).slot(1),
            on(Kind::Class, 3, 0).text("EduDriver"),
            on(Kind::Attach, 3, 2).slot(1),
            on(Kind::Started, 3, 0).arg(1),
        ]
    }

    #[test]
    fn a_stack_is_a_tree_and_goes_with_its_entries() {
        let mut events = stack();
        let tree = registry(&events).tree();
        let nub = &tree[0]["children"][0];
        assert_eq!((&tree[0]["id"], &nub["name"], &nub["slot"]), (&json!(1), &json!("edu0"), &json!(1)));
        assert_eq!(nub["children"][0]["state"], json!(["started"]));
        assert_eq!(registry(&events).classes(), json!({"EduDriver": 1, "IOPCIDevice": 1}));
        events.extend([on(Kind::Detach, 3, 2), on(Kind::Free, 3, 0)]);
        assert_eq!(registry(&events).tree()[0]["children"][0]["children"], json!([]));
        assert_eq!(registry(&events).classes(), json!({"IOPCIDevice": 1}));
    }

    #[test]
    fn a_tree_has_room_for_so_many_and_tells_how_far_an_end_is() {
        let mut events = stack();
        events.extend([
            on(Kind::Inactive, 3, 0),
            on(Kind::WillTerminate, 3, 2),
            on(Kind::DidTerminate, 3, 2),
        ]);
        let registry = registry(&events);
        let (nodes, left_out) = registry.nodes(2);
        assert_eq!((nodes[0].children[0].id, left_out), (2, 1));
        assert!(nodes[0].children[0].children.is_empty());
        let (nodes, left_out) = registry.nodes(3);
        assert_eq!(nodes[0].children[0].children[0].state, ["started", "inactive", "didTerminate"]);
        assert_eq!((left_out, registry.attached(1).collect::<Vec<_>>()), (0, vec![2, 3]));
    }

    #[test]
    fn an_entry_with_two_providers_stands_once_and_a_circle_has_an_end() {
        let mut events = stack();
        events.extend([on(Kind::Attach, 9, 1), on(Kind::Attach, 3, 9)]);
        let text = registry(&events).tree().to_string();
        assert_eq!(text.matches("EduDriver").count(), 1, "{text}");
        let circle =
            [on(Kind::Attach, 5, 4), on(Kind::Attach, 4, 5), on(Kind::Attach, 4, 6), on(Kind::Attach, 6, 6)];
        let _ = registry(&circle).tree();
        let loops =
            [on(Kind::Attach, 5, 1), on(Kind::Attach, 6, 5), on(Kind::Attach, 5, 6), on(Kind::Detach, 5, 1)];
        let _ = registry(&loops).tree();
    }
}
