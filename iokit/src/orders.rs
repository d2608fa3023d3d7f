//! What the host asks for: taken down at interrupt level, carried out on a thread.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mach::{KernelRef, WaitEvent};
use trace::ring::Command;

use crate::{IoKit, load::Load};

/// What was asked for and is not carried out yet. One of each kind at a time.
pub(crate) struct Orders {
    /// The workload of the run.
    load: Option<Arc<Load>>,
    finish: AtomicBool,
    census: AtomicBool,
    /// The word of a [`Command::Step`]; 0 = none.
    step: AtomicU32,
}

impl Orders {
    /// Nothing was asked for.
    pub(crate) fn new(load: Option<Arc<Load>>) -> Self {
        Self { load, finish: AtomicBool::new(false), census: AtomicBool::new(false), step: AtomicU32::new(0) }
    }

    /// Takes an order down, if it is one for a thread. Legal at interrupt level.
    pub(crate) fn note(&self, command: Command) -> bool {
        match command {
            Command::Finish => self.finish.store(true, Ordering::Release),
            Command::Census => self.census.store(true, Ordering::Release),
            Command::Step(..) => self.step.store(command.word(), Ordering::Release),
            Command::None | Command::ShowAllStacks | Command::Kill(_) => return false,
        }
        true
    }

    /// Carries out what was asked for, on a thread that must not block for long; `finish`: who ends the run waits on it. Without an order, the time
    /// of `finish=` has come.
    pub(crate) fn carry_out(&self, kit: &IoKit, kernel: &KernelRef, finish: WaitEvent) {
        if self.census.swap(false, Ordering::AcqRel) {
            kit.census();
        }
        if let Command::Step(step, slot) = Command::from_word(self.step.swap(0, Ordering::AcqRel)) {
            kit.begin_step(step, slot.into(), self.load.clone());
        }
        let is_time = kit.args().finish.is_some_and(|at| kernel.now() >= at);
        if self.finish.swap(false, Ordering::AcqRel) || is_time {
            kit.ask_to_finish();
            kernel.wakeup(finish);
        }
    }
}
