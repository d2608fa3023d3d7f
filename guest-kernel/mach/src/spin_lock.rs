//! Spin locks: held with interrupts masked.

use crate::kernel::Kernel;
use crate::masking::Masked;
use crate::seam::Point;
use core::ops::{Deref, DerefMut};
use spin::{Mutex, MutexGuard};

/// A value that threads and interrupt handlers share. Held briefly: no call that may block, no callback.
#[derive(Debug, Default)]
pub struct SpinLock<T: ?Sized> {
    value: Mutex<T>,
}

/// The value, locked; interrupts are masked until this is dropped.
pub struct SpinGuard<'a, T: ?Sized> {
    // Fields drop in order: first the lock, then the mask.
    guard: MutexGuard<'a, T>,
    _masked: Masked<'a>,
}

impl<T> SpinLock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { value: Mutex::new(value) }
    }

    /// The value, for whoever owns the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Masks interrupts and takes the lock.
    pub fn lock<'a>(&'a self, kernel: &'a Kernel) -> SpinGuard<'a, T> {
        kernel.point(Point::SpinLock);
        let masked = kernel.masked();
        SpinGuard { guard: kernel.lock_raw(&self.value), _masked: masked }
    }

    /// Takes the lock if it is free.
    pub fn try_lock<'a>(&'a self, kernel: &'a Kernel) -> Option<SpinGuard<'a, T>> {
        let masked = kernel.masked();
        self.value.try_lock().map(|guard| SpinGuard { guard, _masked: masked })
    }

    /// The lock without masking, for whoever is alone: the machine has ended.
    pub(crate) fn raw(&self) -> &Mutex<T> {
        &self.value
    }

    /// The value, for whoever has the lock to itself.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> Deref for SpinGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: ?Sized> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}
