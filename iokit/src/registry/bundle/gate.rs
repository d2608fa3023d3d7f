//! Drivers in the making hold their bundle.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

/// The bundle is being unloaded, or was.
const CLOSED: u32 = 1 << 31;

/// Counts drivers that are being made from a bundle's personalities but are not instances yet; closed for the time of unloading.
#[derive(Debug, Default)]
pub struct BundleGate(AtomicU32);

/// A driver is being made until this is dropped.
#[derive(Debug)]
pub struct Making(Arc<BundleGate>);

impl BundleGate {
    /// Counts one in; `None` if the bundle goes.
    pub fn enter(self: &Arc<Self>) -> Option<Making> {
        let counted = |n: u32| (n & CLOSED == 0 && n < CLOSED - 1).then(|| n + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, counted).ok()?;
        Some(Making(self.clone()))
    }

    /// Lets nobody in from now on; false, and nothing changed, if somebody is inside.
    pub(super) fn close(&self) -> bool {
        self.0.compare_exchange(0, CLOSED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The bundle stays after all.
    pub(super) fn open(&self) {
        self.0.store(0, Ordering::Release);
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
