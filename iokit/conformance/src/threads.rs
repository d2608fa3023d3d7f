//! Threads for the bodies of tests of the kernel: who computes, who counts.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use mach::{KernelRef, Policy, RecursiveLock, RwLock, Thread, WaitEvent, WaitMode, band};

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

/// The classic inversion: "low" has a lock when "middle" comes and computes for `nanos`, and the caller, who is better than both, wants the lock. How
/// long the caller waited for it, ns.
pub fn wait_for_low_beside_middle(kernel: &KernelRef, nanos: u64) -> u64 {
    let lock = Arc::new(RecursiveLock::new(kernel));
    let theirs = lock.clone();
    let low = spawn(kernel, "low", 10, move |kernel| {
        theirs.lock(kernel);
        compute(kernel, 2_000_000);
        theirs.unlock(kernel);
    });
    kernel.delay(1_000_000);
    let middle = spawn(kernel, "middle", 40, move |kernel| compute(kernel, nanos));
    assert!(kernel.current().priority(kernel) > band::FOREGROUND, "this thread is high");
    let start = kernel.now();
    lock.lock(kernel);
    let waited = kernel.now() - start;
    lock.unlock(kernel);
    low.join(kernel);
    middle.join(kernel);
    waited
}

/// Computes for `nanos` of machine time without blocking.
pub fn compute(kernel: &KernelRef, nanos: u64) {
    let end = kernel.now() + nanos;
    while kernel.now() < end {
        kernel.relax();
    }
}

/// Long enough for any thread to get where it is going.
pub const SETTLE: u64 = 10_000_000;

/// Waits for `event`.
pub fn wait(kernel: &KernelRef, event: WaitEvent) {
    kernel.assert_wait(event, WaitMode::Uninterruptible, None);
    kernel.block();
}

/// A thread that takes `lock`, for writing or reading, says so, and drops it when `go` comes.
pub fn holder(
    kernel: &KernelRef,
    priority: u8,
    lock: &Arc<RwLock<u64>>,
    writes: bool,
    said: &Counter,
    go: WaitEvent,
) -> Arc<Thread> {
    let (lock, said) = (lock.clone(), said.clone());
    let thread = spawn(kernel, "holder", priority, move |kernel| {
        if writes {
            let _held = lock.write(kernel);
            said.add();
            wait(kernel, go);
        } else {
            let _held = lock.read(kernel);
            said.add();
            wait(kernel, go);
        }
    });
    kernel.delay(SETTLE);
    thread
}
