//! The IOKit registry as the trace tells it, for `x-workgate-registry` and `x-workgate-classcount`.

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
    busy: bool,
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
            Kind::Stop => self.with(event.object, |entry| entry.started = false),
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
        let roots =
            self.entries.iter().filter(|(_, entry)| entry.providers.is_empty() && !entry.clients.is_empty());
        roots.map(|(&id, entry)| self.node(id, entry, 0)).collect()
    }

    fn node(&self, id: u32, entry: &Entry, level: usize) -> Value {
        let child = |id: &u32| self.entries.get(id).map(|entry| (*id, entry));
        let mine = |(_, entry): &(u32, &Entry)| entry.providers.first() == Some(&id);
        // A guest may well tell of a circle.
        let children: Vec<Value> = match level {
            MAX_LEVELS.. => Vec::new(),
            level => {
                let clients = entry.clients.iter().filter_map(child).filter(mine);
                clients.map(|(id, entry)| self.node(id, entry, level + 1)).collect()
            }
        };
        let states = [
            (entry.registered, "registered"),
            (entry.started, "started"),
            (entry.inactive, "inactive"),
            (entry.busy, "busy"),
        ];
        let states: Vec<&str> = states.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
        json!({
            "id": id, "name": entry.name, "class": entry.class, "slot": entry.slot, "state": states,
            "providers": entry.providers, "children": children,
        })
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
