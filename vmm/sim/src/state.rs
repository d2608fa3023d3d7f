//! The state of the run on this OS thread.
//!
//! [`Hot`] is what every seam call touches: plain cells without a destructor, so that reaching them costs one offset
//! from the thread pointer. [`Cold`] is the rest, behind one `RefCell` that is never borrowed across an upcall or a fibre switch.

use std::{
    cell::{Cell, RefCell},
    mem::ManuallyDrop,
};

use mach::seam::{Point, ThreadId};
use trace::ring::Command;

use crate::{
    bus::Bus,
    chooser::Chooser,
    console::Console,
    ending::Snapshot,
    faults::Faults,
    fibre::{Context, Links},
    interrupts::Interrupts,
    outcome::Limits,
    plan::PlanClock,
    recorder::Recorder,
    steer::Attention,
};

/// Most virtual CPUs of a machine.
pub const MAX_CPUS: usize = 8;

/// What the run on this OS thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// No run.
    Off,
    /// Kernel code runs on fibres.
    Running,
    /// The run has ended: fibres unwind, points do nothing, interrupts do not come.
    Ending,
}

/// The cells that every seam call touches.
pub(crate) struct Hot {
    /// Number of the machine that runs on this OS thread; 0 = none.
    pub machine: Cell<u64>,
    /// Virtual time, in nanoseconds.
    pub now: Cell<u64>,
    /// Virtual time of the next thing to look at: the chooser's turn, a deadline, an interrupt to deliver.
    pub alarm: Cell<u64>,
    /// The virtual CPU that runs. Changed by [`Hot::run_cpu`] only.
    pub cpu: Cell<usize>,
    /// Its bit in the masks below.
    bit: Cell<u8>,
    /// Contexts below this number are the boot contexts of the CPUs: their idle threads.
    pub boots: Cell<usize>,
    /// CPUs with interrupts masked, a bit each.
    pub masked: Cell<u8>,
    /// CPUs that halt in idle, a bit each.
    pub halted: Cell<u8>,
    /// CPUs with a pending interrupt, a bit each.
    pub pending: Cell<u8>,
    /// What the run is doing.
    pub mode: Cell<Mode>,
    /// The thread of each CPU.
    pub thread: [Cell<ThreadId>; MAX_CPUS],
    /// The context (fibre) that each CPU runs.
    pub current: [Cell<usize>; MAX_CPUS],
    /// Points that each CPU has passed.
    pub points: [Cell<u64>; MAX_CPUS],
    /// The value of `points` after the CPU's last turn of a spin loop.
    pub relaxed: [Cell<u64>; MAX_CPUS],
    /// Turns of a spin loop that each CPU has made one after another.
    pub spins: [Cell<u32>; MAX_CPUS],
    /// A context was destroyed: the hub has a stack to take back.
    pub reap: Cell<bool>,
    /// The run has ended, and the kernel's idle threads find the way out themselves.
    pub orderly: Cell<bool>,
    /// The chooser wants its turn at blocking locks.
    pub at_locks: Cell<bool>,
    /// Where the running fibre finds its hub.
    pub links: Cell<Links>,
}

impl Hot {
    const fn new() -> Self {
        Self {
            machine: Cell::new(0),
            now: Cell::new(0),
            alarm: Cell::new(0),
            cpu: Cell::new(0),
            bit: Cell::new(1),
            boots: Cell::new(0),
            masked: Cell::new(0),
            halted: Cell::new(0),
            pending: Cell::new(0),
            mode: Cell::new(Mode::Off),
            thread: [const { Cell::new(0) }; MAX_CPUS],
            current: [const { Cell::new(0) }; MAX_CPUS],
            points: [const { Cell::new(0) }; MAX_CPUS],
            relaxed: [const { Cell::new(0) }; MAX_CPUS],
            spins: [const { Cell::new(0) }; MAX_CPUS],
            reap: Cell::new(false),
            orderly: Cell::new(false),
            at_locks: Cell::new(false),
            links: Cell::new(Links::NONE),
        }
    }

    /// Starts over for machine `machine` with `cpus` CPUs, all masked on their boot contexts.
    pub fn reset(&self, machine: u64, cpus: usize) {
        self.machine.set(machine);
        self.now.set(0);
        self.alarm.set(u64::MAX);
        self.run_cpu(0);
        self.boots.set(cpus);
        self.masked.set(mask_of(cpus));
        self.halted.set(0);
        self.pending.set(0);
        self.mode.set(if machine == 0 { Mode::Off } else { Mode::Running });
        for cpu in 0..MAX_CPUS {
            self.thread[cpu].set(0);
            self.current[cpu].set(cpu);
            self.points[cpu].set(0);
            self.relaxed[cpu].set(u64::MAX);
            self.spins[cpu].set(0);
        }
        self.reap.set(false);
        self.orderly.set(false);
        self.at_locks.set(false);
        self.links.set(Links::NONE);
    }

    /// Whether the running CPU is on its boot context.
    pub fn on_boot_context(&self) -> bool {
        self.current[self.cpu.get() & 7].get() < self.boots.get()
    }

    /// Makes `cpu` the one that runs.
    #[inline]
    pub fn run_cpu(&self, cpu: usize) {
        self.cpu.set(cpu);
        self.bit.set(1 << cpu);
    }

    /// Bit of the running CPU.
    #[inline(always)]
    pub fn bit(&self) -> u8 {
        self.bit.get()
    }

    /// A point of the running CPU that costs `cost` ns; true if there is something to look at.
    #[inline(always)]
    pub fn pass(&self, cost: u64) -> bool {
        let points = &self.points[self.cpu.get() & 7];
        points.set(points.get() + 1);
        let now = self.now.get() + cost;
        self.now.set(now);
        now >= self.alarm.get()
    }

    /// A point of the running CPU that has a name; true if there is something to look at.
    #[inline(always)]
    pub fn pass_at(&self, point: Point) -> bool {
        let due = self.pass(crate::cost::POINT);
        if point == Point::Lock && self.at_locks.get() { self.pass_lock(due) } else { due }
    }

    /// The chooser's turn comes now, if the run still goes on.
    #[cold]
    fn pass_lock(&self, due: bool) -> bool {
        let running = self.mode.get() == Mode::Running;
        if running {
            cold(|c| c.decide_at = 0);
        }
        due || running
    }

    /// Whether `cpu` has done nothing but spin for a while.
    pub fn is_spinning(&self, cpu: usize) -> bool {
        let points_since = self.points[cpu].get().wrapping_sub(self.relaxed[cpu].get());
        self.spins[cpu].get() >= crate::cost::SPINS && points_since <= 1
    }

    /// Makes the next point at or after `time` a slow one, if the run still goes on.
    #[inline]
    pub fn hurry(&self, time: u64) {
        if self.mode.get() == Mode::Running && time < self.alarm.get() {
            self.alarm.set(time);
        }
    }

    /// Points passed by all CPUs.
    #[inline]
    pub fn total_points(&self) -> u64 {
        // Asked at almost every event: CPUs that there are not have passed none.
        self.points[1..].iter().take(self.boots.get().wrapping_sub(1)).map(Cell::get).sum::<u64>()
            + self.points[0].get()
    }
}

/// A bit for each of the first `cpus` CPUs.
pub(crate) fn mask_of(cpus: usize) -> u8 {
    ((1_u16 << cpus.min(MAX_CPUS)) - 1) as u8
}

/// The state that only slow paths touch.
pub(crate) struct Cold {
    /// Number of CPUs.
    pub cpus: usize,
    /// Who decides.
    pub chooser: Box<dyn Chooser>,
    /// Pending vectors, timers and lines.
    pub interrupts: Interrupts,
    /// Contexts by number.
    pub contexts: Vec<Context>,
    /// Numbers of freed contexts.
    pub free: Vec<usize>,
    /// Destroyed contexts whose fibres the hub has still to take back.
    pub dead: Vec<usize>,
    /// Events on their way to the sink.
    pub recorder: Recorder,
    /// Console lines.
    pub console: Console,
    /// Memory and devices.
    pub bus: Bus,
    /// What the host asks of the kernel with the next command interrupt.
    pub command: Command,
    /// What the plan has done to processors and memory.
    pub faults: Faults,
    /// Bounds of the run.
    pub limits: Limits,
    /// When the chooser's next turn comes.
    pub decide_at: u64,
    /// When the plan ends, and what it allows.
    pub plan: PlanClock,
    /// The next deadline of a timer, device or the run itself.
    pub due: u64,
    /// How the run ended, once it has.
    pub snapshot: Option<Snapshot>,
    /// What whoever steers the machine waits for; `None`: nobody does. Boxed: most machines are steered by nobody.
    pub attention: Option<Box<Attention>>,
    /// Machine time at which whoever steers the machine looks, whatever happens; `u64::MAX` = none.
    pub look_at: u64,
}

thread_local! {
    static HOT: Hot = const { Hot::new() };
    /// Without a destructor, so that reaching it needs no look whether it has run: whoever puts a state in place takes it away.
    static COLD: ManuallyDrop<RefCell<Option<Box<Cold>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Calls `f` with the cells of this OS thread.
#[inline(always)]
pub(crate) fn hot<R>(f: impl FnOnce(&Hot) -> R) -> R {
    HOT.with(f)
}

/// Calls `f` with the slow state of the run on this OS thread. `f` must not call into the kernel or switch fibres.
#[inline]
pub(crate) fn cold<R>(f: impl FnOnce(&mut Cold) -> R) -> R {
    COLD.with(|cold| f(cold.borrow_mut().as_mut().expect("a simulated machine runs on this OS thread")))
}

/// [`cold`], or nothing if there is no run or its state is in use (a panic inside of the simulator itself).
pub(crate) fn try_cold<R>(f: impl FnOnce(&mut Cold) -> R) -> Option<R> {
    COLD.with(|cold| cold.try_borrow_mut().ok()?.as_deref_mut().map(f))
}

/// Puts the slow state in place, or takes it away.
pub(crate) fn replace_cold(state: Option<Box<Cold>>) -> Option<Box<Cold>> {
    COLD.with(|cold| cold.replace(state))
}
