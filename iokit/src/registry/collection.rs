//! Collections: dictionaries and arrays that several owners share (R3, R4).
//!
//! A handle is a reference: clones see the same items. Items may be collections again, in circles even. Setting a collection
//! as the property of an attached registry entry makes it and everything in it immutable, for good; a change is then
//! made to a copy ([`super::Dictionary::copy_collection`]), which takes the old one's place in the registry.
//!
//! One operation is atomic; several are not. Who shares a mutable collection brings a lock.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use mach::SpinLock;

use super::{
    handles::{Array, Dictionary, Key},
    report::{report_with_backtrace, violation},
};
use crate::{IoKit, value::Value};

/// What OSCollection has to say about a change to something immutable.
const TRIED: &str = "trying to change a collection in the registry";

/// What both kinds of collection are made of.
pub(super) struct Body {
    kit: IoKit,
    inner: SpinLock<Inner>,
}

struct Inner {
    immutable: bool,
    /// Changes so far.
    stamp: u64,
    items: Items,
}

/// The items of one kind.
#[derive(Clone)]
pub(super) enum Items {
    Array(Vec<Value>),
    Dictionary(BTreeMap<Key, Value>),
}

impl Items {
    /// All values.
    pub(super) fn values(&self) -> Vec<Value> {
        match self {
            Self::Array(items) => items.clone(),
            Self::Dictionary(items) => items.values().cloned().collect(),
        }
    }

    fn take(&mut self) -> Items {
        let empty = match self {
            Self::Array(_) => Self::Array(Vec::new()),
            Self::Dictionary(_) => Self::Dictionary(BTreeMap::new()),
        };
        core::mem::replace(self, empty)
    }

    fn into_values(self) -> Vec<Value> {
        match self {
            Self::Array(items) => items,
            Self::Dictionary(items) => items.into_values().collect(),
        }
    }
}

/// A reference to a collection of either kind.
#[derive(Clone)]
pub(super) struct Collection(Arc<Body>);

impl Collection {
    pub(super) fn new(kit: &IoKit, items: Items) -> Self {
        let inner = Inner { immutable: false, stamp: 0, items };
        Self(Arc::new(Body { kit: kit.clone(), inner: SpinLock::new(inner) }))
    }

    pub(super) fn kit(&self) -> &IoKit {
        &self.0.kit
    }

    /// What tells it from other collections that are alive.
    pub(super) fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Looks at the items. `f` calls nothing that locks.
    pub(super) fn look<R>(&self, f: impl FnOnce(&Items) -> R) -> R {
        f(&self.0.inner.lock(self.0.kit.kernel()).items)
    }

    /// Changes the items (R4). What `f` displaces it returns, to be dropped without the lock.
    pub(super) fn change<R>(&self, f: impl FnOnce(&mut Items) -> R) -> R {
        let mut reported = false;
        loop {
            {
                let mut inner = self.0.inner.lock(self.0.kit.kernel());
                if reported || !inner.immutable {
                    inner.stamp += 1;
                    return f(&mut inner.items);
                }
            }
            self.refuse();
            reported = true;
        }
    }

    /// R4: the strict mode does not return.
    fn refuse(&self) {
        let kernel = self.0.kit.kernel();
        if self.0.kit.args().registry_modifications_are_logged() {
            report_with_backtrace(kernel, format_args!("{TRIED}"));
        } else {
            violation(kernel, "R4", 0, format_args!("{TRIED}"));
        }
    }

    pub(super) fn is_immutable(&self) -> bool {
        self.0.inner.lock(self.0.kit.kernel()).immutable
    }

    pub(super) fn stamp(&self) -> u64 {
        self.0.inner.lock(self.0.kit.kernel()).stamp
    }

    /// R3: makes this and all collections in it immutable. Ends in circles too: what is immutable already is not looked into.
    pub(super) fn freeze(&self) {
        let mut left = alloc::vec![self.clone()];
        while let Some(next) = left.pop() {
            let mut inner = next.0.inner.lock(next.0.kit.kernel());
            if !core::mem::replace(&mut inner.immutable, true) {
                let values = inner.items.values();
                drop(inner);
                left.extend(values.iter().filter_map(Value::as_collection).cloned());
            }
        }
    }

    /// Whether both have the same items, however deep; circles compare by their shape.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let mut seen = BTreeSet::new();
        let mut left = alloc::vec![(self.clone(), other.clone())];
        while let Some((a, b)) = left.pop() {
            if a.address() == b.address() || !seen.insert((a.address(), b.address())) {
                continue;
            }
            let Some(pairs) = pairs(a.look(Items::clone), b.look(Items::clone)) else { return false };
            for (x, y) in pairs {
                match (x.as_collection(), y.as_collection()) {
                    (Some(x), Some(y)) => left.push((x.clone(), y.clone())),
                    (None, None) if x == y => {}
                    _ => return false,
                }
            }
        }
        true
    }
}

/// What must be equal for `a` and `b` to be; `None` if they differ in size, kind or keys.
fn pairs(a: Items, b: Items) -> Option<Vec<(Value, Value)>> {
    match (a, b) {
        (Items::Array(a), Items::Array(b)) => (a.len() == b.len()).then(|| a.into_iter().zip(b).collect()),
        (Items::Dictionary(a), Items::Dictionary(b)) => {
            a.keys().eq(b.keys()).then(|| a.into_values().zip(b.into_values()).collect())
        }
        _ => None,
    }
}

impl Drop for Body {
    /// Frees what hangs below without recursion: a chain of collections may be longer than the stack is deep.
    fn drop(&mut self) {
        let mut left = self.inner.get_mut().items.take().into_values();
        while let Some(value) = left.pop() {
            if let Some(mut body) = value.into_collection().and_then(|c| Arc::into_inner(c.0)) {
                left.extend(body.inner.get_mut().items.take().into_values());
            }
        }
    }
}

impl Value {
    /// The collection that it is, if it is one.
    pub(super) fn as_collection(&self) -> Option<&Collection> {
        match self {
            Self::Array(Array(c)) | Self::Dictionary(Dictionary(c)) => Some(c),
            _ => None,
        }
    }

    fn into_collection(self) -> Option<Collection> {
        match self {
            Self::Array(Array(c)) | Self::Dictionary(Dictionary(c)) => Some(c),
            _ => None,
        }
    }

    /// Makes it immutable, if it is a collection; whether it is one (R3).
    pub(super) fn freeze(&self) -> bool {
        self.as_collection().map(Collection::freeze).is_some()
    }
}
