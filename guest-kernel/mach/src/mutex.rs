//! The blocking lock around a value.

use crate::kernel::Kernel;
use crate::lock_order::LockClass;
use crate::recursive::RecursiveLock;
use core::ops::{Deref, DerefMut};
use spin::MutexGuard;

/// A value that threads share, with priority push from those who wait to the one who holds it (S7). Not for interrupt handlers.
#[derive(Debug)]
pub struct Mutex<T: ?Sized> {
    lock: RecursiveLock,
    value: spin::Mutex<T>,
}

/// The value, locked until this is dropped.
pub struct MutexRef<'a, T: ?Sized> {
    kernel: &'a Kernel,
    lock: &'a RecursiveLock,
    guard: Option<MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    /// A lock of no class around `value`.
    pub fn new(kernel: &Kernel, value: T) -> Self {
        Self::in_class(kernel, LockClass::NONE, value)
    }

    /// A lock around `value` whose order with locks of other classes is watched.
    pub fn in_class(kernel: &Kernel, class: LockClass, value: T) -> Self {
        Self { lock: RecursiveLock::in_class(kernel, class), value: spin::Mutex::new(value) }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock. Blocks. Taking it twice on one thread is a self-deadlock, which panics.
    pub fn lock<'a>(&'a self, kernel: &'a Kernel) -> MutexRef<'a, T> {
        self.lock.lock(kernel);
        // The outer lock lets one thread in; only the same thread can find the value taken.
        let guard = self.value.try_lock();
        assert!(guard.is_some(), "self-deadlock: the thread already holds this mutex");
        MutexRef { kernel, lock: &self.lock, guard }
    }
}

impl<T: ?Sized> Deref for MutexRef<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl<T: ?Sized> DerefMut for MutexRef<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("held until it is dropped")
    }
}

impl<T: ?Sized> Drop for MutexRef<'_, T> {
    fn drop(&mut self) {
        self.guard = None;
        self.lock.unlock(self.kernel);
    }
}
