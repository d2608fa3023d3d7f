//! State that the gate protects.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use super::{Core, WorkLoop};

/// State that only a thread that holds the gate may touch. Touching it otherwise works, and is reported as a
/// violation of WL1: it is the data race that the gate exists to prevent.
pub struct Gated<T> {
    core: Arc<Core>,
    /// The thread inside [`Gated::with`]; 0 = none.
    inside: AtomicU32,
    value: spin::Mutex<T>,
}

impl<T> Gated<T> {
    /// `value`, protected by the gate of `work_loop`.
    pub fn new(work_loop: &WorkLoop, value: T) -> Self {
        Self { core: work_loop.core().clone(), inside: AtomicU32::new(0), value: spin::Mutex::new(value) }
    }

    /// Lends the state to `f`, which must not sleep nor come back here.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let kernel = self.core.kernel();
        let me = kernel.thread_id();
        if !self.core.in_gate() {
            self.core.violation("WL1", u64::from(me));
        }
        let mut value = loop {
            if let Some(value) = self.value.try_lock() {
                break value;
            }
            assert!(
                self.inside.load(Ordering::Acquire) != me,
                "gated state of #{} entered twice",
                self.core.owner
            );
            kernel.relax();
        };
        self.inside.store(me, Ordering::Release);
        let result = f(&mut value);
        self.inside.store(0, Ordering::Release);
        result
    }
}
