//! Properties of an entry, and the lock around them (R2, R3).

use core::sync::atomic::{AtomicBool, Ordering};

use mach::{KernelRef, RecursiveLock};

use super::Dictionary;
use crate::{
    IoKit,
    bootargs::Era,
    service::Service,
    value::{Properties, Value},
};

/// An entry's properties.
pub(crate) struct PropertyTable {
    /// R2: recursive, the entry's own. `None`: the era has one for all, the kit's.
    lock: Option<RecursiveLock>,
    /// Touched with the lock held only, for a moment at a time.
    entries: spin::Mutex<Properties>,
    /// A property is, or was, a collection.
    collections: AtomicBool,
}

/// The property lock, one level, until this is dropped.
struct Held<'a> {
    kernel: &'a KernelRef,
    lock: &'a RecursiveLock,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // A thread of a machine that ends is dropped where it is, half-way into the lock even.
        if self.lock.is_mine(self.kernel) {
            self.lock.unlock(self.kernel);
        }
    }
}

/// A lock around properties, an entry's own or one for all.
pub(crate) fn property_lock(kernel: &KernelRef) -> RecursiveLock {
    RecursiveLock::in_class(kernel, kernel.lock_class("properties"))
}

impl PropertyTable {
    pub(crate) fn new(kit: &IoKit, properties: Properties) -> Self {
        let collections = properties.iter().any(|(_, v)| v.as_collection().is_some());
        let own = kit.args().era > Era::E104;
        Self {
            lock: own.then(|| property_lock(kit.kernel())),
            entries: spin::Mutex::new(properties),
            collections: AtomicBool::new(collections),
        }
    }
}

impl Service {
    fn property_lock(&self) -> Held<'_> {
        let kernel = self.kernel();
        let lock = self.table().lock.as_ref().unwrap_or_else(|| self.kit().property_lock());
        lock.lock(kernel);
        Held { kernel, lock }
    }

    /// Lends the properties to `f`, which calls nothing that blocks. What it displaces it returns.
    fn with_properties<R>(&self, f: impl FnOnce(&mut Properties) -> R) -> R {
        let _held = self.property_lock();
        // Whoever is inside holds the property lock, and is not here twice: `f` is ours.
        match self.table().entries.try_lock() {
            Some(mut entries) => f(&mut entries),
            None => unreachable!("the property lock lets one thread in"),
        }
    }

    /// R2: runs `action` with the property lock held: what it does to this entry's properties is one step for all others.
    /// It may use the properties of this entry like anybody, and is as bound by the immutability of collections (R3).
    pub fn run_property_action<R>(&self, action: impl FnOnce() -> R) -> R {
        let _held = self.property_lock();
        action()
    }

    /// The value of property `key`, retained under the property lock (R2): whatever happens to the entry, it stays valid.
    pub fn copy_property(&self, key: &str) -> Option<Value> {
        self.with_properties(|p| p.get(key).cloned())
    }

    /// [`Service::copy_property`].
    pub fn property(&self, key: &str) -> Option<Value> {
        self.copy_property(key)
    }

    /// The number that property `key` has, if it is one.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.with_properties(|p| p.get(key)?.as_number())
    }

    /// Sets a property. A collection becomes immutable if this entry is, or comes to be, attached in any plane (R3).
    pub fn set_property(&self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        let _held = self.property_lock();
        if value.as_collection().is_some() {
            // Marked before the look at the planes: `attach` links first and looks at the mark then, so one of the two freezes.
            self.table().collections.store(true, Ordering::SeqCst);
        }
        let frozen = value.clone();
        drop(self.with_properties(|p| p.replace(key, value)));
        if self.in_any_plane() {
            frozen.freeze();
        }
    }

    /// Removes a property; what it was.
    pub fn remove_property(&self, key: &str) -> Option<Value> {
        self.with_properties(|p| p.remove(key))
    }

    /// The properties as they are now. Collections are shared with the registry.
    pub fn properties(&self) -> Properties {
        self.with_properties(|p| p.clone())
    }

    /// A dictionary of its own with copies of all properties, collections included (dictionaryWithProperties).
    pub fn dictionary_with_properties(&self) -> Dictionary {
        Dictionary::from_properties(self.kit(), &self.properties()).copy_collection()
    }

    /// Whether it has all of `wanted`.
    pub fn matches(&self, wanted: &Properties) -> bool {
        // A notification or personality that asks for nothing in particular is the usual case.
        wanted.is_empty() || self.with_properties(|p| p.contains(wanted))
    }

    /// R3: this entry was attached; its collections are the registry's now.
    pub(crate) fn freeze_properties(&self) {
        if self.table().collections.load(Ordering::SeqCst) {
            let properties = self.properties();
            properties.iter().for_each(|(_, v)| {
                v.freeze();
            });
        }
    }
}
