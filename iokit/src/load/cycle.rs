//! Clients that close and come back while their device stays.

use super::{EXERCISES, FINISH_LIMIT_NS, Load};
use crate::registry::SERVICE_PLANE;
use crate::service::State;
use crate::{IOResult, IOReturn, IoKit};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::WaitMode;

impl Load {
    /// Sessions of `slot` that have not ended; `None`: there is no such slot.
    pub(super) fn running_in(&self, slot: u32) -> Option<&AtomicU32> {
        self.running_in.get(usize::try_from(slot).ok()?)
    }

    /// Whether the clients of `slot` stay away.
    pub(super) fn is_closed(&self, slot: u32) -> bool {
        self.closed.load(Ordering::Acquire) & 1u32.checked_shl(slot).unwrap_or(0) != 0
    }

    /// Lets the clients of `slot` close their connections once their requests are back, and keeps them away.
    ///
    /// # Errors
    /// Timeout: some have not come back.
    pub(crate) fn close(&self, slot: u32) -> IOResult {
        self.closed.fetch_or(1u32.checked_shl(slot).unwrap_or(0), Ordering::AcqRel);
        self.end_tasks_of(slot);
        let deadline = self.kernel.now().saturating_add(FINISH_LIMIT_NS);
        let is_quiet = || self.running_in(slot).is_none_or(|running| running.load(Ordering::Acquire) == 0);
        loop {
            self.kernel.assert_wait(self.idle, WaitMode::Uninterruptible, Some(deadline));
            let quiet = is_quiet();
            if quiet || self.kernel.now() >= deadline {
                self.kernel.clear_own_wait();
                return if quiet { Ok(()) } else { Err(IOReturn::Timeout) };
            }
            self.kernel.block();
        }
    }

    /// Lets the clients of `slot` come back to what is published there.
    pub(crate) fn open(self: &Arc<Self>, kit: &IoKit, slot: u32) {
        self.closed.fetch_and(!1u32.checked_shl(slot).unwrap_or(0), Ordering::AcqRel);
        for entry in kit.root().map(|root| root.below_in(&SERVICE_PLANE)).unwrap_or_default() {
            let is_there = entry.state().contains(State::REGISTERED) && !entry.is_inactive();
            let exercise = EXERCISES.iter().find(|(class, _)| entry.class().is_a(class));
            if let Some((_, exercise)) = exercise.filter(|_| is_there && entry.slot() == slot) {
                self.published(&entry, *exercise);
            }
        }
    }
}
