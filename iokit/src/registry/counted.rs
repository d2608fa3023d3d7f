//! Objects with an explicit retain count (O1).
//!
//! Rust counts references by itself, so a driver cannot over-release an `Arc`. Drivers of the original could, and what then
//! happened is part of the model: [`Counted`] is an object whose count the driver keeps by hand. A handle is a bare pointer:
//! copying it retains nothing.

use alloc::sync::Arc;
use core::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
};

use mach::SpinLock;

use super::report::violation;
use crate::{
    IoKit,
    class::{Class, ClassCount},
};

/// Most references that an object counts; at this number it is pinned for ever, as OSObject does.
const SATURATED: u32 = 0xfffe;

/// A pointer to an object with a retain count. Made with one reference, which is the maker's.
pub struct Counted<T>(Arc<Object<T>>);

struct Object<T> {
    kit: IoKit,
    count: Arc<ClassCount>,
    /// References; 0 = freed.
    references: AtomicU32,
    value: SpinLock<Option<Arc<T>>>,
}

impl<T> Clone for Counted<T> {
    /// The same pointer; nothing is retained.
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> fmt::Debug for Counted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} references", self.0.count.class().name, self.retain_count())
    }
}

impl<T> Counted<T> {
    /// An object of `class` with one reference.
    pub fn new(kit: &IoKit, class: &'static Class, value: T) -> Self {
        let count = kit.class_count(class);
        count.add();
        Self(Arc::new(Object {
            kit: kit.clone(),
            count,
            references: AtomicU32::new(1),
            value: SpinLock::new(Some(Arc::new(value))),
        }))
    }

    /// References; 0 once it was freed.
    pub fn retain_count(&self) -> u32 {
        self.0.references.load(Ordering::Acquire)
    }

    /// One reference more. O1: panics if the object was freed.
    pub fn retain(&self) {
        let more = |n: u32| match n {
            0 => None,
            SATURATED => Some(SATURATED),
            n => Some(n + 1),
        };
        if self.0.references.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_err() {
            self.wrong("retain of a freed object");
        }
    }

    /// One reference less; the last one frees the object. O1: panics if there is none left. A pinned object stays.
    pub fn release(&self) {
        let less = |n: u32| match n {
            0 => None,
            SATURATED => Some(SATURATED),
            n => Some(n - 1),
        };
        match self.0.references.fetch_update(Ordering::AcqRel, Ordering::Acquire, less) {
            Ok(1) => self.free(),
            Ok(_) => {}
            Err(_) => self.wrong("release of a freed object"),
        }
    }

    /// Lends the object to `f`. O1: panics if it was freed. If it is freed meanwhile, `f` keeps what it has to its end.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let value = self.0.value.lock(self.0.kit.kernel()).clone();
        match value {
            Some(value) => f(&value),
            None => self.wrong("use of a freed object"),
        }
    }

    fn free(&self) {
        let value = self.0.value.lock(self.0.kit.kernel()).take();
        drop(value);
        self.0.count.remove();
    }

    fn wrong(&self, what: &str) -> ! {
        violation(self.0.kit.kernel(), "O1", 0, format_args!("{what}: {}", self.0.count.class().name))
    }
}
