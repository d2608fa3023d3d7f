//! What the threads that read one stream know together: every place came once, or was counted as missed.

use super::coverage::Coverage;
use super::exercise::Outcome;
use mach::{KernelRef, Mutex};

/// The account of one client's threads.
pub(super) struct Account {
    kernel: KernelRef,
    /// Threads that read.
    threads: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    coverage: Coverage,
    /// Losses that were told of so far.
    missed: u32,
}

impl Account {
    /// Nothing was read yet.
    pub(super) fn new(kernel: &KernelRef, threads: u32) -> Self {
        let seen = Mutex::new(kernel, Seen::default());
        Self { kernel: kernel.clone(), threads: threads as usize, seen }
    }

    /// All threads are through: whether nothing was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.seen.lock(&self.kernel).coverage.close().is_ok()
    }

    /// The places from `first` up to `end` came, and `missed` were lost before the last of them.
    pub(super) fn book(&self, first: u32, end: u32, missed: u32) -> Outcome {
        let mut seen = self.seen.lock(&self.kernel);
        if seen.coverage.see(first, end, self.threads).is_err() {
            return Outcome::Corrupt;
        }
        // Another thread may have told of later losses already.
        let fresh = missed.wrapping_sub(seen.missed).cast_signed();
        if fresh <= 0 {
            return Outcome::Done;
        }
        seen.missed = missed;
        Outcome::Overrun(fresh.unsigned_abs())
    }
}
