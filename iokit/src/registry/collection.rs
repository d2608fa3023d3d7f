//! Collections: dictionaries and arrays that several owners share (R3, R4).
//!
//! A handle is a reference: clones see the same items. Items may be collections again, in circles even. Setting a collection
//! as the property of an attached registry entry makes it and everything in it immutable, for good; a change is then
//! made to a copy ([`Dictionary::copy_collection`]), which takes the old one's place in the registry.
//!
//! One operation is atomic; several are not. Who shares a mutable collection brings a lock.

use alloc::{borrow::Cow, collections::BTreeMap, collections::BTreeSet, sync::Arc, vec::Vec};
use core::fmt;

use mach::SpinLock;

use super::report::{report_with_backtrace, violation};
use crate::{
    IoKit,
    value::{Properties, Value},
};

/// A dictionary's key: text, known at compile time or not.
pub type Key = Cow<'static, str>;

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

    fn stamp(&self) -> u64 {
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
    fn equals(&self, other: &Self) -> bool {
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

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $of:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(pub(super) Collection);

        impl $name {
            /// Whether the registry shares it (R3).
            pub fn is_immutable(&self) -> bool {
                self.0.is_immutable()
            }

            /// Makes it and all collections in it immutable, for good (R3).
            pub fn set_immutable(&self) {
                self.0.freeze();
            }

            /// Changes so far: an iteration that finds another number than it began with is void.
            pub fn update_stamp(&self) -> u64 {
                self.0.stamp()
            }

            /// Whether both are one object.
            pub fn is(&self, other: &Self) -> bool {
                self.0.address() == other.0.address()
            }

            /// R5: a mutable copy of this and of every collection in it, each once; all else is shared.
            #[must_use]
            pub fn copy_collection(&self) -> Self {
                Self(super::copy::copy(&self.0))
            }

            pub(crate) fn as_value(collection: &Value) -> Option<&Self> {
                match collection {
                    Value::$of(it) => Some(it),
                    _ => None,
                }
            }

            pub(super) fn collection(&self) -> &Collection {
                &self.0
            }
        }

        impl PartialEq for $name {
            /// OSCollection's `isEqualTo`: the same items.
            fn eq(&self, other: &Self) -> bool {
                self.0.equals(&other.0)
            }
        }
        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Not the items: they may lead back here.
                write!(f, concat!(stringify!($name), " of {}"), self.len())
            }
        }

        impl From<$name> for Value {
            fn from(it: $name) -> Self {
                Self::$of(it)
            }
        }
    };
}

handle!(
    /// OSDictionary: values by key, in the order of the keys. A reference: clones are the same dictionary.
    Dictionary,
    Dictionary
);
handle!(
    /// OSArray: values by index. A reference: clones are the same array.
    Array,
    Array
);

impl Dictionary {
    /// An empty dictionary.
    pub fn new(kit: &IoKit) -> Self {
        Self(Collection::new(kit, Items::Dictionary(BTreeMap::new())))
    }

    /// A dictionary with what `properties` has.
    pub fn from_properties(kit: &IoKit, properties: &Properties) -> Self {
        let items = properties.iter().map(|(k, v)| (Key::Borrowed(k), v.clone())).collect();
        Self(Collection::new(kit, Items::Dictionary(items)))
    }

    /// Items.
    pub fn len(&self) -> usize {
        self.read(BTreeMap::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.read(|items| items.get(key).cloned())
    }

    /// Keys and values as they are now.
    pub fn items(&self) -> Vec<(Key, Value)> {
        self.read(|items| items.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    /// Sets `key`; what it was before. R4 if immutable.
    pub fn set(&self, key: impl Into<Key>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        self.write(|items| items.insert(key, value))
    }

    /// Removes `key`; what it was. R4 if immutable.
    pub fn remove(&self, key: &str) -> Option<Value> {
        self.write(|items| items.remove(key))
    }

    /// Removes everything. R4 if immutable.
    pub fn clear(&self) {
        drop(self.write(core::mem::take));
    }

    fn read<R>(&self, f: impl FnOnce(&BTreeMap<Key, Value>) -> R) -> R {
        self.0.look(|items| match items {
            Items::Dictionary(items) => f(items),
            Items::Array(_) => f(&BTreeMap::new()),
        })
    }

    fn write<R: Default>(&self, f: impl FnOnce(&mut BTreeMap<Key, Value>) -> R) -> R {
        self.0.change(|items| match items {
            Items::Dictionary(items) => f(items),
            Items::Array(_) => R::default(),
        })
    }
}

impl Array {
    /// An empty array.
    pub fn new(kit: &IoKit) -> Self {
        Self(Collection::new(kit, Items::Array(Vec::new())))
    }

    /// Items.
    pub fn len(&self) -> usize {
        self.read(Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Item `index`.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.read(|items| items.get(index).cloned())
    }

    /// The items as they are now.
    pub fn items(&self) -> Vec<Value> {
        self.read(Vec::clone)
    }

    /// Appends `value`. R4 if immutable.
    pub fn push(&self, value: impl Into<Value>) {
        let value = value.into();
        self.write(|items| items.push(value));
    }

    /// Removes item `index`; those behind it move up. R4 if immutable.
    pub fn remove(&self, index: usize) -> Option<Value> {
        self.write(|items| (index < items.len()).then(|| items.remove(index)))
    }

    /// Removes everything. R4 if immutable.
    pub fn clear(&self) {
        drop(self.write(core::mem::take));
    }

    fn read<R>(&self, f: impl FnOnce(&Vec<Value>) -> R) -> R {
        self.0.look(|items| match items {
            Items::Array(items) => f(items),
            Items::Dictionary(_) => f(&Vec::new()),
        })
    }

    fn write<R: Default>(&self, f: impl FnOnce(&mut Vec<Value>) -> R) -> R {
        self.0.change(|items| match items {
            Items::Array(items) => f(items),
            Items::Dictionary(_) => R::default(),
        })
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
