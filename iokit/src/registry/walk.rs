//! Going through a plane: all below an entry, paths, properties of ancestors.

use alloc::{collections::BTreeSet, string::String, vec::Vec};

use super::Plane;
use crate::{
    IoKit,
    service::{Service, ServiceRef},
    value::Value,
};

/// Entries that a path may have; longer ones lead nowhere.
const DEPTH_MAX: usize = 256;

impl Service {
    /// Everything below this entry in `plane`, parents before children, siblings in the order of attaching. Each entry once,
    /// however many parents it has.
    pub fn below_in(&self, plane: &'static Plane) -> Vec<ServiceRef> {
        let mut seen = BTreeSet::from([self.id()]);
        let mut found = Vec::new();
        let mut left = self.children_in(plane);
        left.reverse();
        while let Some(entry) = left.pop() {
            if seen.insert(entry.id()) {
                left.extend(entry.children_in(plane).into_iter().rev());
                found.push(entry);
            }
        }
        found
    }

    /// Everything above this entry in `plane`, nearest first. Each entry once.
    pub fn above_in(&self, plane: &'static Plane) -> Vec<ServiceRef> {
        let mut seen = BTreeSet::from([self.id()]);
        let mut found: Vec<ServiceRef> = Vec::new();
        let mut left = alloc::collections::VecDeque::from(self.parents_in(plane));
        while let Some(entry) = left.pop_front() {
            if seen.insert(entry.id()) {
                left.extend(entry.parents_in(plane));
                found.push(entry);
            }
        }
        found
    }

    /// Property `key` of this entry or, failing that, of the nearest ancestor in `plane` that has it.
    pub fn copy_property_above(&self, key: &str, plane: &'static Plane) -> Option<Value> {
        self.copy_property(key).or_else(|| self.above_in(plane).iter().find_map(|e| e.copy_property(key)))
    }

    /// Entries between the root of `plane` and this one, along first parents; the root has depth 0.
    pub fn depth_in(&self, plane: &'static Plane) -> usize {
        let mut depth = 0;
        let mut at = self.parent_in(plane);
        while let Some(entry) = at.filter(|_| depth < DEPTH_MAX) {
            depth += 1;
            at = entry.parent_in(plane);
        }
        depth
    }

    /// Its path, `IOService:/P/N@3`: names along first parents, with locations. `None` if it is not below the root in `plane`.
    pub fn path_in(self: &ServiceRef, plane: &'static Plane) -> Option<String> {
        let root = self.kit().root()?;
        let mut names = Vec::new();
        let mut at = self.clone();
        while at != root {
            if names.len() == DEPTH_MAX {
                return None;
            }
            names.push(at.component_in(plane));
            at = at.parent_in(plane)?;
        }
        names.reverse();
        Some(alloc::format!("{}:/{}", plane.name, names.join("/")))
    }

    /// Its part of a path.
    fn component_in(&self, plane: &'static Plane) -> String {
        let name = self.name_in(plane);
        match self.location_in(plane) {
            Some(location) => alloc::format!("{name}@{location}"),
            None => name,
        }
    }
}

impl IoKit {
    /// The entry at `path` in `plane`. Without `@`, a component means the first child of that name.
    pub fn entry_at(&self, plane: &'static Plane, path: &str) -> Option<ServiceRef> {
        let path = path.strip_prefix(plane.name)?.strip_prefix(":/")?;
        let mut at = self.root()?;
        for part in path.split('/').filter(|p| !p.is_empty()).take(DEPTH_MAX) {
            at = at
                .children_in(plane)
                .into_iter()
                .find(|c| c.component_in(plane) == part || c.name_in(plane) == part)?;
        }
        Some(at)
    }
}
