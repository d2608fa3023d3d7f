//! Deep copies of collections (R5).

use alloc::collections::BTreeMap;

use super::{
    Array, Dictionary,
    collection::{Collection, Items},
};
use crate::value::Value;

/// Copies `from` and every collection that can be reached from it, each once: shared ones stay shared, circles stay circles.
/// Each is copied as it is at one moment; the whole is not, unless nobody changes it meanwhile.
pub(super) fn copy(from: &Collection) -> Collection {
    let mut copies = Copies { done: BTreeMap::new(), left: alloc::vec![] };
    let result = copies.of(from);
    while let Some((old, new)) = copies.left.pop() {
        let mut items = old.look(Items::clone);
        match &mut items {
            Items::Array(items) => items.iter_mut().for_each(|v| copies.replace(v)),
            Items::Dictionary(items) => items.values_mut().for_each(|v| copies.replace(v)),
        }
        drop(new.change(|place| core::mem::replace(place, items)));
    }
    result
}

struct Copies {
    /// Copies by the address of the original. The original is kept with its copy: an address must not be used again meanwhile.
    done: BTreeMap<usize, (Collection, Collection)>,
    /// Copies without their items.
    left: alloc::vec::Vec<(Collection, Collection)>,
}

impl Copies {
    /// The copy of `old`, its items yet to come.
    fn of(&mut self, old: &Collection) -> Collection {
        if let Some((_, new)) = self.done.get(&old.address()) {
            return new.clone();
        }
        let empty = old.look(|items| match items {
            Items::Array(_) => Items::Array(alloc::vec![]),
            Items::Dictionary(_) => Items::Dictionary(BTreeMap::new()),
        });
        let new = Collection::new(old.kit(), empty);
        self.done.insert(old.address(), (old.clone(), new.clone()));
        self.left.push((old.clone(), new.clone()));
        new
    }

    fn replace(&mut self, value: &mut Value) {
        match value {
            Value::Array(it) => *it = Array(self.of(it.collection())),
            Value::Dictionary(it) => *it = Dictionary(self.of(it.collection())),
            _ => {}
        }
    }
}
