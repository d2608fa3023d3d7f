//! A spin lock for the machine's own state: interrupts are masked while it is held.

use core::ops::{Deref, DerefMut};
use spin::mutex::{SpinMutex, SpinMutexGuard};

use super::cpu;

/// Data behind a spin lock. It is never held across a call into the kernel.
#[derive(Debug)]
pub struct Masked<T>(SpinMutex<T>);

/// Access to the data of a [`Masked`] lock.
pub struct Guard<'a, T> {
    inner: Option<SpinMutexGuard<'a, T>>,
    enabled: bool,
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
    pub fn lock(&self) -> Guard<'_, T> {
        let enabled = cpu::mask();
        Guard { inner: Some(self.0.lock()), enabled }
    }

    /// Takes the lock, or gives up after `turns`: for the panic path, where the owner may have been stopped.
    pub fn lock_for(&self, turns: u32) -> Option<Guard<'_, T>> {
        let enabled = cpu::mask();
        for _ in 0..turns {
            if let Some(inner) = self.0.try_lock() {
                return Some(Guard { inner: Some(inner), enabled });
            }
            core::hint::spin_loop();
        }
        if enabled {
            cpu::unmask();
        }
        None
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.inner.as_ref().expect("present until drop")
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.inner.as_mut().expect("present until drop")
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.inner = None;
        if self.enabled {
            cpu::unmask();
        }
    }
}
