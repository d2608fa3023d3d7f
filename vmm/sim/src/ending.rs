//! The end of a run, as kernel code meets it.

use crate::{
    cost,
    fibre::{Suspend, suspend},
    outcome::{CpuState, Ended},
    state::{Mode, hot, try_cold},
};

/// What is kept of the moment when the run ended.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// How it ended.
    pub ended: Ended,
    /// Virtual time.
    pub time: u64,
    /// Points passed.
    pub points: u64,
    /// The CPUs.
    pub cpus: Vec<CpuState>,
}

/// Notes how the run ended, unless it already has. From here on points do nothing and no interrupt comes.
pub(crate) fn record(ended: Ended) {
    hot(|h| {
        h.mode.set(Mode::Ending);
        h.alarm.set(h.now.get().saturating_add(PATIENCE));
        try_cold(|c| {
            let cpus = (0..c.cpus).map(|cpu| CpuState {
                thread: h.thread[cpu].get(),
                masked: h.masked.get() >> cpu & 1 != 0,
                halted: h.halted.get() >> cpu & 1 != 0,
            });
            c.snapshot.get_or_insert_with(|| Snapshot {
                ended,
                time: h.now.get(),
                points: h.total_points(),
                cpus: cpus.collect(),
            });
        });
    });
}

/// Virtual time that one fibre may take to drop what it has, in nanoseconds: a million points. Kernel code that waits in a loop of its own
/// for something that will not happen any more is given up then.
const PATIENCE: u64 = 1_000_000 * cost::POINT;

/// Begins or continues to tear a fibre down.
pub(crate) fn be_patient() {
    hot(|h| h.alarm.set(h.now.get().saturating_add(PATIENCE)));
}

/// Ends the run from a fibre.
pub(crate) fn end(ended: Ended) -> ! {
    if hot(|h| h.mode.get()) == Mode::Running {
        record(ended);
        suspend(Suspend::End);
    }
    never()
}

/// Kernel code would have to wait for something that will not happen, because the run has ended.
pub(crate) fn never() -> ! {
    loop {
        suspend(Suspend::Never);
    }
}
