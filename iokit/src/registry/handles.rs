//! Handles of collections: dictionaries and arrays.

use alloc::{borrow::Cow, collections::BTreeMap, vec::Vec};
use core::fmt;

use super::collection::{Collection, Items};
use crate::{
    IoKit,
    value::{Properties, Value},
};

/// A dictionary's key: text, known at compile time or not.
pub type Key = Cow<'static, str>;

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
