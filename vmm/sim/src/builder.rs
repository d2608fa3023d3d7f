//! Puts a machine together for kernel code that brings its own start.

use std::io::Write;

use devices::fault::plan::Plan;
use trace::Event;

use crate::{
    Chooser, Limits, Outcome, SimMachine, Steer, Upcalls,
    chooser::Seeded,
    start::{Setup, StartError, run_machine},
};

/// Memory for DMA unless told otherwise, in bytes.
const MEMORY: u64 = 16 << 20;

/// A machine that is not running yet: one CPU, seed 0, 16 MiB for DMA, no devices.
#[must_use]
pub struct Sim<'p> {
    setup: Setup<'p>,
}

impl<'p> Sim<'p> {
    /// The machine with nothing changed.
    pub fn builder() -> Self {
        let chooser = Box::new(Seeded::new(0));
        Self {
            setup: Setup {
                cpus: 1,
                memory: MEMORY,
                chooser,
                limits: Limits::default(),
                seed: 0,
                plan: None,
                traced: true,
                points: true,
                steer: None,
                tap: None,
            },
        }
    }

    /// The number of virtual CPUs, 1–8.
    pub fn cpus(mut self, cpus: usize) -> Self {
        self.setup.cpus = cpus;
        self
    }

    /// The chooser of a seed, and the plan's dice of the same.
    pub fn seed(self, seed: u64) -> Self {
        self.fault_seed(seed).chooser(Box::new(Seeded::new(seed)))
    }

    /// What the plan's probabilities and altered bytes are drawn from, where the chooser is one of your own.
    pub fn fault_seed(mut self, seed: u64) -> Self {
        self.setup.seed = seed;
        self
    }

    /// Any chooser.
    pub fn chooser(mut self, chooser: Box<dyn Chooser>) -> Self {
        self.setup.chooser = chooser;
        self
    }

    /// Bytes of memory for DMA.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.setup.memory = bytes;
        self
    }

    /// The devices, rules and clock of a plan.
    pub fn plan(mut self, plan: &'p Plan) -> Self {
        self.setup.plan = Some(plan);
        self
    }

    /// The kernel finds that nobody reads its trace, and records no events: for benchmarks. A plan cannot end like this, as its end is an
    /// event.
    pub fn untraced(mut self) -> Self {
        self.setup.traced = false;
        self
    }

    /// The kernel finds that its machine has no points, as hardware has none, and passes none: for benchmarks of locks.
    pub fn without_points(mut self) -> Self {
        self.setup.points = false;
        self
    }

    /// Somebody who holds and changes the run from outside.
    pub fn steer(mut self, steer: &'p mut dyn Steer) -> Self {
        self.setup.steer = Some(steer);
        self
    }

    /// All that the kernel prints goes there, too. Writing must not wait for anybody: the machine stands still meanwhile.
    pub fn console(mut self, tap: Box<dyn Write>) -> Self {
        self.setup.tap = Some(tap);
        self
    }

    /// Bounds of the run.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.setup.limits = limits;
        self
    }

    /// Bounds the virtual time to `boot.ready`, in nanoseconds, for a machine with a plan.
    pub(crate) fn boot_within(mut self, time: u64) -> Self {
        self.setup.limits.time = self.setup.limits.time.min(time);
        self
    }

    /// Runs the kernel that `boot` makes, on this OS thread, until it powers off or fails. `boot` may call the machine, but not wait.
    /// `sink` gets every event, in batches.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn run_upcalls(
        self,
        boot: impl FnOnce(Box<SimMachine>) -> Box<dyn Upcalls>,
        sink: &mut dyn FnMut(&Event),
    ) -> Result<Outcome, StartError> {
        run_machine(self.setup, boot, sink)
    }
}
