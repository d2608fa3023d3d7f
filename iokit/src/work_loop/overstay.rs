//! A finger pointed at what overstays (OV1).
//!
//! Everything that runs in the gate keeps everybody else out of it, and a filter keeps its CPU from all other work. What takes longer than
//! the limit (`overstay=NS` on the command line) is named in the trace, with its owner. Sleep in the gate does not count: the gate is open, and whoever wants it comes to it.
//! So what counts is the longest stretch from one sleep to the next: an action that waits for long, and looks now and then whether it may go on, keeps nobody out.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering};

use mach::Kernel;
use trace::{Event, Kind};

use super::{Core, SourceBase};
use crate::IoKit;

/// What is watched: the word in the trace.
#[derive(Clone, Copy)]
pub(crate) enum Watched {
    /// The action of an interrupt source.
    Action,
    /// The action of a timer.
    Timer,
    /// A filter.
    Filter,
    /// An action on a command gate, or on the loop itself.
    Gated,
    /// `willTerminate`, `didTerminate`, `stop` and what else termination calls in the gate.
    Termination,
}

impl Watched {
    const fn word(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Timer => "timer",
            Self::Filter => "filter",
            Self::Gated => "gated action",
            Self::Termination => "termination callback",
        }
    }
}

/// The time of the running thread: the machine's, less what it was kept waiting for a CPU. To be preempted is not its own doing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    /// Machine time, ns.
    at: u64,
    /// What it had waited for CPUs by then, ns.
    ready: u64,
}

impl Clock {
    /// Where something begins, at the machine time that `at` says. A thread that is preempted in between has had less time than it seems, so the order counts, here and
    /// in [`Self::elapsed`].
    #[inline]
    pub(super) fn begin(kernel: &Kernel, at: impl FnOnce() -> u64) -> Self {
        let ready = kernel.own_ready_time();
        Self { at: at(), ready }
    }

    /// What has passed until machine time `now`, ns; on the same thread.
    #[inline]
    fn elapsed(self, kernel: &Kernel, now: u64) -> u64 {
        let waited = kernel.own_ready_time().saturating_sub(self.ready);
        now.saturating_sub(self.at).saturating_sub(waited)
    }
}

/// How long the gate's owner has kept it closed without a sleep. Written by the owner.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Where the present stretch began: a [`Clock`].
    at: AtomicU64,
    ready: AtomicU64,
    /// The longest one before it, ns.
    longest: AtomicU64,
}

impl Stretch {
    pub(super) const fn new() -> Self {
        Self { at: AtomicU64::new(0), ready: AtomicU64::new(0), longest: AtomicU64::new(0) }
    }

    /// A stretch begins, behind one of `longest`.
    pub(super) fn begin(&self, clock: Clock, longest: u64) {
        self.at.store(clock.at, Ordering::Relaxed);
        self.ready.store(clock.ready, Ordering::Relaxed);
        self.longest.store(longest, Ordering::Relaxed);
    }

    fn began(&self) -> Clock {
        Clock { at: self.at.load(Ordering::Relaxed), ready: self.ready.load(Ordering::Relaxed) }
    }

    /// What `begun` tells of is over: what is around it goes on, in the stretch that was its own if nobody slept meanwhile.
    fn leave(&self, begun: Begun) {
        let (clock, longest) = begun.around;
        if self.began() == begun.clock {
            self.begin(clock, longest);
        } else {
            self.longest.fetch_max(longest, Ordering::Relaxed);
        }
    }

    /// The longest until machine time `now`, ns. The present one counts only if it is longer than `limit`: that tells itself without a look at what the thread
    /// waited for CPUs.
    pub(super) fn longest(&self, kernel: &Kernel, now: u64, limit: u64) -> u64 {
        let before = self.longest.load(Ordering::Relaxed);
        let at_all = now.saturating_sub(self.at.load(Ordering::Relaxed));
        if at_all <= limit { before } else { before.max(self.began().elapsed(kernel, now)) }
    }
}

/// When it began, and in which stretch of what is around it.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    clock: Clock,
    around: (Clock, u64),
}

/// The limit, ns, if somebody wants to know what overstays. Never changes.
#[inline]
pub(super) fn limit(kit: &IoKit) -> Option<NonZeroU64> {
    NonZeroU64::new(kit.args().overstay).filter(|_| kit.kernel().traced())
}

/// How long it took until machine time `now` if that was too long; the same gate is closed.
#[inline(never)]
fn too_long(core: &Core, begun: Begun, now: u64, limit: u64) -> Option<u64> {
    // Who was there for no longer than the limit at all, sleep and waiting included, has not overstayed.
    let at_all = now.saturating_sub(begun.clock.at);
    let took = (at_all > limit).then(|| core.stretch.longest(core.kernel(), now, limit));
    core.stretch.leave(begun);
    took.filter(|took| *took > limit)
}

#[cold]
fn point_at(kernel: &Kernel, (owner, slot): (u32, u32), what: Watched, took: u64) {
    kernel.trace(Event::new(Kind::Overstay).object(owner).slot(slot).arg(took).text(what.word()));
}

impl SourceBase {
    /// Something of this source begins, in the gate of `core`; `tell` says so, and when.
    #[inline]
    pub(super) fn begin(&self, core: Option<&Core>, tell: impl FnOnce() -> u64) -> Option<Begun> {
        match core {
            Some(core) => core.start(tell),
            None => {
                tell();
                None
            }
        }
    }

    /// It has ended, with the same gate closed; `tell` says so, and when.
    #[inline]
    pub(super) fn end(
        &self,
        begun: Option<Begun>,
        core: Option<&Core>,
        what: Watched,
        tell: impl FnOnce() -> u64,
    ) {
        let now = tell();
        if let Some(core) = core {
            core.finish(begun, (self.owner_id(), self.slot()), what, now);
        }
    }

    /// [`Self::begin`] of something that no event tells of.
    #[inline]
    pub(super) fn begin_untold(&self, core: &Core) -> Option<Begun> {
        core.start_untold()
    }

    /// [`Self::end`] of something whose end no event tells of.
    #[inline]
    pub(super) fn end_untold(&self, begun: Option<Begun>, core: Option<&Core>, what: Watched) {
        if let Some(core) = core {
            core.finish_untold(begun, (self.owner_id(), self.slot()), what);
        }
    }

    /// A filter begins: machine time, if somebody wants to know. At interrupt level nobody is preempted, so that all of the time is its own.
    #[inline]
    pub(super) fn begin_filter(&self) -> Option<u64> {
        limit(self.kit()).map(|_| self.kernel().now())
    }

    /// It had ended by machine time `now`.
    #[inline]
    pub(super) fn end_filter(&self, begun: Option<u64>, now: u64) {
        if let (Some(limit), Some(begun)) = (limit(self.kit()), begun) {
            let took = now.saturating_sub(begun);
            if took > limit.get() {
                point_at(self.kernel(), (self.owner_id(), self.slot()), Watched::Filter, took);
            }
        }
    }
}

impl Core {
    #[inline]
    fn start(&self, tell: impl FnOnce() -> u64) -> Option<Begun> {
        if self.limit.is_none() {
            tell();
            return None;
        }
        let (clock, stretch) = (Clock::begin(self.kernel(), tell), &self.stretch);
        let around = (stretch.began(), stretch.longest.load(Ordering::Relaxed));
        stretch.begin(clock, 0);
        Some(Begun { clock, around })
    }

    /// The clock is looked at only if somebody wants to know.
    #[inline]
    fn start_untold(&self) -> Option<Begun> {
        self.limit.and_then(|_| self.start(|| self.kernel().now()))
    }

    #[inline]
    fn finish_untold(&self, begun: Option<Begun>, whose: (u32, u32), what: Watched) {
        if begun.is_some() {
            self.finish(begun, whose, what, self.kernel().now());
        }
    }

    #[inline]
    fn finish(&self, begun: Option<Begun>, whose: (u32, u32), what: Watched, now: u64) {
        if let (Some(limit), Some(begun)) = (self.limit, begun)
            && let Some(took) = too_long(self, begun, now, limit.get())
        {
            point_at(self.kernel(), whose, what, took);
        }
    }

    /// What the gate was closed for begins. Only the outermost is watched: it is what keeps others out.
    #[inline]
    pub(crate) fn begin(&self) -> Option<Begun> {
        if self.is_nested() { None } else { self.start_untold() }
    }

    /// It has ended, with the gate still closed.
    #[inline]
    pub(crate) fn end(&self, begun: Option<Begun>, what: Watched) {
        self.finish_untold(begun, (self.owner, self.slot), what);
    }
}
