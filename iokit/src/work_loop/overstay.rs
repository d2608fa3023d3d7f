//! A finger pointed at what overstays (OV1).
//!
//! Everything that runs in the gate keeps everybody else out of it, and a filter keeps its CPU from all other work. What takes longer than
//! the limit (`overstay=NS` on the command line) is named in the trace, with its owner. Sleep in the gate does not count: the gate is open.

use core::sync::atomic::Ordering;

use mach::KernelRef;
use trace::{Event, Kind};

use super::{Core, SourceBase};

/// What is watched: the word in the trace.
#[derive(Clone, Copy)]
pub(super) enum Watched {
    /// The action of an interrupt source.
    Action,
    /// The action of a timer.
    Timer,
    /// A filter.
    Filter,
    /// An action on a command gate.
    Gated,
}

impl Watched {
    const fn word(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Timer => "timer",
            Self::Filter => "filter",
            Self::Gated => "gated action",
        }
    }
}

/// When it began, and how long its thread had slept in the gate by then, machine ns.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    at: u64,
    slept: u64,
}

impl SourceBase {
    /// Something of this source begins; `core` is the loop whose gate it holds. `None`: nobody wants to know.
    #[inline]
    pub(super) fn begin(&self, core: Option<&Core>) -> Option<Begun> {
        let kernel = self.kernel();
        if !kernel.traced() || self.kit().args().overstay == 0 {
            return None;
        }
        Some(Begun { at: kernel.now(), slept: slept(core) })
    }

    /// It has ended, with the same gate closed.
    #[inline]
    pub(super) fn end(&self, begun: Option<Begun>, core: Option<&Core>, what: Watched) {
        let Some(begun) = begun else { return };
        let slept = slept(core).saturating_sub(begun.slept);
        let took = self.kernel().now().saturating_sub(begun.at).saturating_sub(slept);
        if took > self.kit().args().overstay {
            self.point_at(self.kernel(), what, took);
        }
    }

    #[cold]
    fn point_at(&self, kernel: &KernelRef, what: Watched, took: u64) {
        let event = Event::new(Kind::Overstay).object(self.owner_id()).slot(self.slot());
        kernel.trace(event.arg(took).text(what.word()));
    }
}

fn slept(core: Option<&Core>) -> u64 {
    core.map_or(0, |core| core.slept.load(Ordering::Relaxed))
}
