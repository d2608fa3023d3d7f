//! Busy counts: a service is busy while it, or one that has it as primary provider, matches or terminates.

use core::sync::atomic::Ordering;

use mach::{WaitEvent, WaitMode, WaitResult};
use trace::Kind;

use super::{InterestKind, Service, ServiceRef};
use crate::ioreturn::{IOResult, IOReturn};
use crate::message::Message;

impl Service {
    /// Adds `delta` to the busy count; a change between 0 and 1 goes on to the primary provider.
    pub fn adjust_busy(&self, delta: i32) {
        let _held = self.arbitrate();
        self.adjust_busy_held(delta);
    }

    /// The same with the arbitration lock held: that orders the changes that this service passes on.
    pub(crate) fn adjust_busy_held(&self, delta: i32) {
        let Some(up) = self.change_busy(delta) else { return };
        let (mut step, mut next) = (up, self.provider());
        while let Some(service) = next {
            let held = service.arbitrate();
            let passed = service.change_busy(step);
            drop(held);
            match passed {
                Some(up) => (step, next) = (up, service.provider()),
                None => break,
            }
        }
    }

    /// Changes this count; the step for the provider, if any.
    fn change_busy(&self, delta: i32) -> Option<i32> {
        let old = self.busy.load(Ordering::Acquire);
        let new = old.saturating_add_signed(delta);
        if new == old {
            return None;
        }
        self.busy.store(new, Ordering::Release);
        if old != 0 && new != 0 {
            return None;
        }
        let is_busy = u64::from(new != 0);
        self.trace(Kind::Busy, None, is_busy);
        self.tell_interested(InterestKind::Busy, Message::BusyStateChange, is_busy);
        if new == 0 {
            self.became_quiet();
            Some(-1)
        } else {
            Some(1)
        }
    }

    /// Wakes who waits for quiet: waitQuiet, and a synchronous terminate.
    pub(super) fn became_quiet(&self) {
        self.kernel().wakeup(self.quiet_event());
        self.kit.terminator().quiet(self.kernel());
    }

    fn quiet_event(&self) -> WaitEvent {
        self.kit.service_event(self.id)
    }

    /// Waits until the busy count is zero, at most until machine time `deadline` (ns). Timeout if it is not by then.
    pub fn wait_quiet(self: &ServiceRef, deadline: Option<u64>) -> IOResult {
        let kernel = self.kernel();
        loop {
            kernel.assert_wait(self.quiet_event(), WaitMode::Uninterruptible, deadline);
            if self.busy() == 0 {
                kernel.clear_own_wait();
                return Ok(());
            }
            if kernel.block() == WaitResult::TimedOut {
                return if self.busy() == 0 { Ok(()) } else { Err(IOReturn::Timeout) };
            }
        }
    }
}
