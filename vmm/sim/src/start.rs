//! From a setup to an outcome.

use std::{
    io::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use devices::{fault::plan::Plan, platform::PlatformError};
use thiserror::Error;
use trace::ring::Command;

use crate::{
    Chooser, Limits, MAX_CPUS, Outcome, SimMachine, Steer, Upcalls,
    bus::Bus,
    console::Console,
    ending,
    faults::Faults,
    fibre::{Context, USUAL_CONTEXTS},
    hub::{self, Hub, Sink, Totals},
    interrupts::Interrupts,
    outcome::Ended,
    panics,
    plan::PlanClock,
    recorder::Recorder,
    state::{Cold, Mode, cold, hot, replace_cold},
    steer::{Attention, Held},
};

/// Virtual time that the guest has to end after a plan, in nanoseconds: more than all of its own limits together (the workload 20 s, a
/// synchronous termination 15 s, quiet 15 s), so that one that waits in vain says itself what is left.
const GRACE: u64 = 60_000_000_000;

/// A machine that cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    /// The number of CPUs is not 1–8.
    #[error("a simulated machine has 1 to {MAX_CPUS} CPUs, not {0}")]
    Cpus(usize),
    /// No memory for the machine's memory.
    #[error("no memory for the simulated machine: {0}")]
    Memory(String),
    /// The plan's devices cannot be made.
    #[error("the plan's devices: {0}")]
    Platform(#[from] PlatformError),
    /// This OS thread already runs a machine: a run was started from a sink or from kernel code.
    #[error("a simulated machine already runs on this OS thread")]
    Nested,
}

/// What a machine is made of.
pub struct Setup<'p> {
    /// Virtual CPUs, 1–8.
    pub cpus: usize,
    /// Bytes of memory for DMA.
    pub memory: u64,
    /// Who decides.
    pub chooser: Box<dyn Chooser>,
    /// Bounds.
    pub limits: Limits,
    /// What the plan's probabilities and altered bytes are drawn from.
    pub seed: u64,
    /// The plan whose devices, rules and clock the machine has.
    pub plan: Option<&'p Plan>,
    /// Whether the kernel records events.
    pub traced: bool,
    /// Points are passed; without, nothing is chosen at locks, and taking one takes no machine time.
    pub points: bool,
    /// Who holds and changes the run from outside.
    pub steer: Option<&'p mut dyn Steer>,
    /// Where else the console goes.
    pub tap: Option<Box<dyn Write>>,
}

/// Takes the run off this OS thread again, whatever happens.
struct Occupied;

impl Drop for Occupied {
    fn drop(&mut self) {
        hot(|h| h.reset(0, 0));
        drop(replace_cold(None));
    }
}

/// Runs a machine on this OS thread until it ends.
///
/// `boot` makes the kernel; it runs before the first CPU starts and may call the machine, but not wait.
///
/// # Errors
/// See [`StartError`].
pub(crate) fn run_machine(
    mut setup: Setup<'_>,
    boot: impl FnOnce(Box<SimMachine>) -> Box<dyn Upcalls>,
    sink: &mut Sink<'_>,
) -> Result<Outcome, StartError> {
    if setup.cpus == 0 || setup.cpus > MAX_CPUS {
        return Err(StartError::Cpus(setup.cpus));
    }
    if hot(|h| h.mode.get()) != Mode::Off {
        return Err(StartError::Nested);
    }
    let bus = Bus::new(setup.memory, setup.plan, setup.seed)?;
    let clock = setup.plan.map_or(PlanClock::NONE, |plan| PlanClock::new(plan.run_for, GRACE));
    panics::install_hook();
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let cpus = setup.cpus;
    let (traced, points) = (setup.traced, setup.points);
    let mut steer = setup.steer.take();
    let board = steer.as_ref().and_then(|steer| steer.board());
    let attention = steer
        .as_ref()
        .map(|steer| Box::new(Attention::new(steer.attention(), board.clone(), steer.passes())));
    hot(|h| {
        h.reset(number, cpus);
        h.at_locks.set(setup.chooser.at_locks());
    });
    replace_cold(Some(fresh_state(setup, bus, clock, attention)));
    let _occupied = Occupied;
    let kernel = boot(Box::new(SimMachine::new(number, cpus, traced, points, board.is_some())));
    if let Some(board) = &board {
        board.directory.set(kernel.directory().unwrap_or(0));
    }
    let mut look = || {
        if let Some(steer) = steer.as_deref_mut() {
            steer.look(&mut Held::new());
        }
    };
    let totals = Hub::new(&*kernel, sink, &mut look).run();
    let trouble = hub::close(kernel);
    let mut outcome = collect(totals);
    if let Some(trouble) = trouble
        && outcome.ended == Ended::Done
    {
        outcome.ended = Ended::Fatal { message: format!("while the machine was torn down: {trouble}") };
    }
    Ok(outcome)
}

fn fresh_state(setup: Setup<'_>, bus: Bus, plan: PlanClock, attention: Option<Box<Attention>>) -> Box<Cold> {
    let boot = |cpu| Context { thread: 0, live: true, cpu: Some(cpu as u8) };
    let mut contexts = Vec::with_capacity(USUAL_CONTEXTS);
    contexts.extend((0..setup.cpus).map(boot));
    let mut state = Box::new(Cold {
        cpus: setup.cpus,
        chooser: setup.chooser,
        interrupts: Interrupts::new(),
        contexts,
        free: Vec::new(),
        dead: Vec::new(),
        recorder: Recorder::new(),
        console: Console::new(setup.tap),
        bus,
        command: Command::None,
        faults: Faults::default(),
        limits: setup.limits,
        decide_at: 0,
        plan,
        due: 0,
        snapshot: None,
        attention,
        look_at: u64::MAX,
    });
    state.refresh_due();
    state
}

impl Cold {
    /// A plan is done when the guest said so, not when it just powered off.
    fn check_done(&mut self) {
        let early = self.plan.planned && !self.recorder.done;
        if let Some(snapshot) = self.snapshot.as_mut().filter(|s| early && s.ended == Ended::Done) {
            let message = "the guest powered off before run.done".to_owned();
            snapshot.ended = Ended::Fatal { message };
        }
    }
}

fn collect(totals: Totals) -> Outcome {
    let (snapshot, console, waiting, sites) = cold(|c| {
        c.check_done();
        let waiting = c.contexts.iter().filter(|x| x.live && x.cpu.is_none()).map(|x| x.thread).collect();
        (c.snapshot.take(), std::mem::take(&mut c.console), waiting, c.bus.site_counts())
    });
    let snapshot = snapshot.unwrap_or_else(|| ending::Snapshot {
        ended: Ended::Fatal { message: "the simulator lost its end".to_owned() },
        time: 0,
        points: 0,
        cpus: Vec::new(),
    });
    Outcome {
        ended: snapshot.ended,
        trace_hash: totals.trace_hash,
        events: totals.events,
        virtual_time: snapshot.time,
        points: snapshot.points,
        console: console.into_lines(),
        cpus: snapshot.cpus,
        waiting,
        sites,
        abandoned: totals.abandoned,
        kernel_references: 0,
    }
}
