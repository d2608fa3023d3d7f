//! Threads for the bodies of tests of the kernel: who computes, who counts.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

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

/// Starts a thread of `policy`.
pub fn spawn_as(
    kernel: &KernelRef,
    name: &str,
    (priority, policy): (u8, Policy),
    body: impl FnOnce(&KernelRef) + Send + 'static,
) -> Arc<Thread> {
    kernel.spawn(name, priority, policy, body).expect("memory for a thread")
}

/// A thread that computes until `stop` is not 0.
pub fn hog(kernel: &KernelRef, how: (u8, Policy), stop: &Counter) -> Arc<Thread> {
    let stop = stop.clone();
    spawn_as(kernel, "hog", how, move |kernel| stop.spin_until(kernel, 1))
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
