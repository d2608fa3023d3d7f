//! The gate (WL1, WL9, WL14).

use core::sync::atomic::Ordering;

use mach::seam::ThreadId;
use mach::{WaitEvent, WaitMode, WaitResult};
use trace::{Kind, Subject};

use super::Core;
use super::overstay::Clock;
use crate::registry::report_with_backtrace;

/// Levels beyond which a gate is not nested but re-entered: a kernel's stack ends soon after.
const LEVELS_MAX: u32 = 16;

/// The gate is closed, one level, until this is dropped.
pub(crate) struct Gate<'a> {
    core: &'a Core,
    /// The thread that closed it.
    thread: ThreadId,
}

impl Drop for Gate<'_> {
    #[inline]
    fn drop(&mut self) {
        self.core.leave(self.thread);
    }
}

impl Core {
    /// Closes the gate, one level more.
    #[inline]
    pub(crate) fn enter(&self) -> Gate<'_> {
        let (thread, first) = self.gate.take_told(self.kernel(), |owner| self.waits(owner));
        // The guard first: a thread may be dropped (a simulated machine that ends) at any point from here on.
        let gate = Gate { core: self, thread };
        self.entered(first);
        gate
    }

    /// Closes the gate if nobody else holds it.
    pub(crate) fn try_enter(&self) -> Option<Gate<'_>> {
        if !self.gate.try_lock(self.kernel()) {
            return None;
        }
        let thread = self.kernel().thread_id();
        let gate = Gate { core: self, thread };
        self.entered(!self.is_nested());
        Some(gate)
    }

    /// Whether the gate is closed more than once. Gated.
    #[inline]
    pub(super) fn is_nested(&self) -> bool {
        self.gate.nested() > 0
    }

    /// Somebody wants to know when the gate opens and closes.
    #[inline]
    fn is_observed(&self) -> bool {
        self.observed.load(Ordering::Relaxed)
    }

    /// Thread `owner` has the gate, and the running one is about to wait for it.
    #[cold]
    fn waits(&self, owner: ThreadId) {
        self.kernel().trace_brief(Kind::GateWait, Subject::of(self.owner).and(owner).slot(self.slot), 0);
    }

    /// One level more has been taken; `first` = the gate was open.
    #[inline]
    fn entered(&self, first: bool) {
        if !first {
            self.check_levels();
        } else if self.is_observed() {
            self.closed();
        }
    }

    /// Out of line, as all that follows: the gate itself stays short.
    #[inline(never)]
    fn check_levels(&self) {
        let levels = self.gate.nested();
        if levels == LEVELS_MAX {
            self.violation("gate-recursion", u64::from(levels));
        }
    }

    #[inline(never)]
    fn closed(&self) {
        if self.maximum.load(Ordering::Relaxed) != 0 {
            self.closed_at.store(self.kernel().now(), Ordering::Relaxed);
        }
        self.trace(Kind::GateClose, 0);
    }

    #[inline]
    fn leave(&self, thread: ThreadId) {
        // A thread that is dropped in its sleep (a simulated machine that ends) has no gate to open.
        if self.gate.owner() != thread {
            return;
        }
        if self.is_observed() && !self.is_nested() {
            self.opens();
        }
        self.gate.unlock_as(self.kernel(), thread);
    }

    #[inline(never)]
    fn opens(&self) {
        self.check_maximum();
        self.trace(Kind::GateOpen, 0);
    }

    fn check_maximum(&self) {
        let maximum = self.maximum.load(Ordering::Relaxed);
        if maximum == 0 {
            return;
        }
        let held = self.kernel().now().saturating_sub(self.closed_at.load(Ordering::Relaxed));
        if held > maximum {
            self.held_too_long(held);
        }
    }

    #[cold]
    fn held_too_long(&self, held: u64) {
        let (kernel, owner) = (self.kernel(), self.owner);
        self.violation("WL14", held);
        if self.maximum_is_fatal.load(Ordering::Relaxed) {
            // Not a panic: the gate also opens while a stack is unwound.
            kernel.machine().fatal(format_args!("WL14: the gate of #{owner} was held for {held} ns"));
        }
        report_with_backtrace(kernel, format_args!("WL14: the gate of #{owner} was held for {held} ns"));
    }

    /// WL14.
    pub(super) fn set_maximum_lock_time(&self, ns: Option<u64>, fatal: bool) {
        self.closed_at.store(self.kernel().now(), Ordering::Relaxed);
        self.maximum_is_fatal.store(fatal, Ordering::Relaxed);
        self.maximum.store(ns.unwrap_or(0), Ordering::Relaxed);
        self.observed.store(self.traced || ns.is_some(), Ordering::Relaxed);
    }

    /// Whether the caller owns the gate.
    pub(crate) fn in_gate(&self) -> bool {
        self.gate.is_mine(self.kernel())
    }

    /// Whether the caller is the loop's thread.
    #[inline]
    pub(crate) fn on_thread(&self) -> bool {
        let thread = self.thread.load(Ordering::Acquire);
        thread != 0 && thread == self.kernel().thread_id()
    }

    /// WL9: drops all levels, sleeps, takes them again. The wait is asserted before the gate opens, so that a wakeup by
    /// whoever takes the gate next is not lost.
    pub(crate) fn sleep_gate(&self, event: WaitEvent, mode: WaitMode, deadline: Option<u64>) -> WaitResult {
        self.check_maximum();
        let now = self.trace(Kind::CommandSleep, event.0);
        let longest = self.limit.map(|limit| self.stretch.longest(self.kernel(), now, limit.get()));
        let waits = |owner| self.waits(owner);
        let result = self.gate.sleep_told(self.kernel(), event, mode, deadline, waits);
        if self.maximum.load(Ordering::Relaxed) != 0 {
            self.closed_at.store(self.kernel().now(), Ordering::Relaxed);
        }
        let resume = || self.trace(Kind::CommandResume, result as i32 as u64);
        match longest {
            Some(longest) => self.stretch.begin(Clock::begin(self.kernel(), resume), longest),
            None => _ = resume(),
        }
        result
    }

    /// WL9: no gate needed; with no waiter nothing is remembered.
    pub(crate) fn wakeup_gate(&self, event: WaitEvent, one: bool) {
        self.trace(Kind::CommandWakeup, event.0);
        if one {
            self.kernel().wakeup_one(event);
        } else {
            self.kernel().wakeup(event);
        }
    }
}
