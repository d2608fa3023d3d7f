//! What the bodies of tests share, in a crate without `std`.
//!
//! A thread of higher priority that spins for a lock whose holder it has preempted would spin for ever on one CPU. So a value that is shared is
//! locked with interrupts masked, and held briefly: nothing that may block happens meanwhile.

pub use alloc::sync::{Arc, Weak};
pub use core::sync::atomic;

use core::ops::{Deref, DerefMut};

use iokit::IoKit;
use mach::{KernelRef, Masked};
use spin::{Mutex, MutexGuard, Once};

struct Cell<T> {
    kernel: KernelRef,
    value: Mutex<T>,
}

/// A value that threads and handlers share.
pub struct Shared<T>(Arc<Cell<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The value, locked; interrupts are masked until this is dropped.
pub struct Locked<'a, T> {
    // Fields drop in order: first the lock, then the mask.
    value: MutexGuard<'a, T>,
    _masked: Masked<'a>,
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Shared<T> {
    /// A value that is shared by threads of `kernel`.
    pub fn new(kernel: &KernelRef, value: T) -> Self {
        Self(Arc::new(Cell { kernel: kernel.clone(), value: Mutex::new(value) }))
    }

    /// Masks interrupts and takes the lock.
    pub fn lock(&self) -> Locked<'_, T> {
        let masked = self.0.kernel.masked();
        loop {
            if let Some(value) = self.0.value.try_lock() {
                return Locked { value, _masked: masked };
            }
            self.0.kernel.relax();
        }
    }

    /// Puts `value` in its place, and drops what was there when the lock is free again.
    pub fn set(&self, value: T) {
        drop(core::mem::replace(&mut *self.lock(), value));
    }
}

impl<T> Shared<Option<T>> {
    /// Takes the value away. The lock is free when it is returned.
    pub fn take(&self) -> Option<T> {
        self.lock().take()
    }
}

impl<T: Clone> Shared<T> {
    /// A copy of the value.
    pub fn get(&self) -> T {
        self.lock().clone()
    }
}

/// A shared value of a body.
pub fn shared<T>(kit: &IoKit, value: T) -> Shared<T> {
    Shared::new(kit.kernel(), value)
}

/// A place that is filled once.
pub struct OnceLock<T>(Once<T>);

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OnceLock<T> {
    /// An empty place.
    pub const fn new() -> Self {
        Self(Once::new())
    }

    /// What is there.
    pub fn get(&self) -> Option<&T> {
        self.0.get()
    }

    /// What is there, made by `make` if nothing was.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.0.call_once(make)
    }

    /// Fills the place, which must be empty.
    pub fn set(&self, value: T) {
        let mut value = Some(value);
        self.0.call_once(|| value.take().expect("called once"));
        assert!(value.is_none(), "the place was filled before");
    }
}
