//! A spin lock for the machine's own state: interrupts are masked while it is held.

use core::ops::{Deref, DerefMut};
use spin::mutex::{SpinMutex, SpinMutexGuard};

use super::cpu;

/// Data behind a spin lock. It is never held across a call into the kernel.
#[derive(Debug)]
pub struct Masked<T>(SpinMutex<T>);

/// Access to the data of a [`Masked`] lock.
pub struct Guard<'a, T> {
    // The order counts: the lock is open again before an interrupt can want it.
    inner: SpinMutexGuard<'a, T>,
    _mask: Mask,
}

/// Interrupts are masked, and come again if they came before.
struct Mask {
    enabled: bool,
}

impl Mask {
    #[inline]
    fn new() -> Self {
        Self { enabled: cpu::mask() }
    }
}

impl Drop for Mask {
    #[inline]
    fn drop(&mut self) {
        if self.enabled {
            cpu::unmask();
        }
    }
}

impl<T> Masked<T> {
    /// An open lock.
    pub const fn new(data: T) -> Self {
        Self(SpinMutex::new(data))
    }

    /// The data, of a lock that nobody else knows any more.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }

    /// Masks interrupts and takes the lock.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        let mask = Mask::new();
        Guard { inner: self.0.lock(), _mask: mask }
    }

    /// Takes the lock, or gives up after `turns`: for the panic path, where the owner may have been stopped.
    pub fn lock_for(&self, turns: u32) -> Option<Guard<'_, T>> {
        let mask = Mask::new();
        for _ in 0..turns {
            if let Some(inner) = self.0.try_lock() {
                return Some(Guard { inner, _mask: mask });
            }
            core::hint::spin_loop();
        }
        None
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}
