//! The portable kernel on the simulated machine: each rule under many schedules.

mod calls;
mod interrupts;
mod locks;
mod priority;
mod push;
mod report;
mod threads;
mod waiting;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mach::{KernelRef, Policy, Thread};

/// Starts a fixed-priority thread.
pub fn spawn(
    kernel: &KernelRef,
    name: &str,
    priority: u8,
    body: impl FnOnce(&KernelRef) + Send + 'static,
) -> Arc<Thread> {
    kernel.spawn(name, priority, Policy::Fixed, body).expect("memory for a thread")
}

/// A shared number.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// What it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Adds one; what it was.
    pub fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }

    /// Spins, as code that computes does, until it is at least `value`.
    pub fn spin_until(&self, kernel: &KernelRef, value: u64) {
        while self.get() < value {
            kernel.relax();
        }
    }
}

/// Computes for `nanos` of machine time without blocking.
pub fn compute(kernel: &KernelRef, nanos: u64) {
    let end = kernel.now() + nanos;
    while kernel.now() < end {
        kernel.relax();
    }
}
