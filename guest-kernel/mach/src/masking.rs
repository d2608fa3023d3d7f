//! Masking interrupts, and the locks that are held masked.

use crate::kernel::{Kernel, Scheduler};
use core::sync::atomic::Ordering;
use spin::{Mutex, MutexGuard};

/// Interrupts are masked until this is dropped.
pub struct Masked<'a> {
    kernel: &'a Kernel,
    unmask: bool,
}

impl Drop for Masked<'_> {
    fn drop(&mut self) {
        if self.unmask {
            self.kernel.unmask();
        }
    }
}

/// The scheduler's lock, held with interrupts masked.
pub(crate) struct SchedGuard<'a> {
    kernel: &'a Kernel,
    guard: Option<MutexGuard<'a, Scheduler>>,
    unmask: bool,
}

impl SchedGuard<'_> {
    /// Whether interrupts were enabled when the lock was taken.
    pub(crate) fn was_unmasked(&self) -> bool {
        self.unmask
    }

    /// Drops the lock but leaves interrupts masked; tells whether they were enabled before.
    pub(crate) fn release_masked(mut self) -> bool {
        self.guard = None;
        core::mem::replace(&mut self.unmask, false)
    }
}

impl core::ops::Deref for SchedGuard<'_> {
    type Target = Scheduler;
    fn deref(&self) -> &Scheduler {
        self.guard.as_ref().expect("held until it is dropped")
    }
}

impl core::ops::DerefMut for SchedGuard<'_> {
    fn deref_mut(&mut self) -> &mut Scheduler {
        self.guard.as_mut().expect("held until it is dropped")
    }
}

impl Drop for SchedGuard<'_> {
    fn drop(&mut self) {
        self.guard = None;
        if self.unmask {
            self.kernel.unmask();
        }
    }
}

impl Kernel {
    /// Masks interrupts until the guard is dropped.
    pub fn masked(&self) -> Masked<'_> {
        Masked { kernel: self, unmask: self.machine.mask() }
    }

    /// Takes a plain spin mutex through the machine's spin loop. Call masked.
    pub(crate) fn lock_raw<'a, T: ?Sized>(&self, mutex: &'a Mutex<T>) -> MutexGuard<'a, T> {
        loop {
            if let Some(guard) = mutex.try_lock() {
                return guard;
            }
            self.machine.relax();
        }
    }

    pub(crate) fn sched_lock(&self) -> SchedGuard<'_> {
        let unmask = self.machine.mask();
        SchedGuard { kernel: self, guard: Some(self.lock_raw(&self.sched)), unmask }
    }

    /// Enables interrupts, and gives way first if a better thread waits for this CPU.
    pub(crate) fn unmask(&self) {
        let cpu = self.machine.cpu();
        if self.cpus[cpu].reschedule.load(Ordering::Relaxed)
            && !self.at_interrupt(cpu)
            && self.machine.thread() != 0
            && !self.is_stopped()
        {
            self.reschedule(false);
        }
        self.machine.unmask();
    }

    pub(crate) fn at_interrupt(&self, cpu: usize) -> bool {
        self.cpus[cpu].interrupt_depth.load(Ordering::Relaxed) != 0
    }
}
