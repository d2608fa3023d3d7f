//! How a run ended.

use devices::fault::plane::SITES;
use mach::seam::ThreadId;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The guest powered off in order (a plan: after `run.done`).
    Done,
    /// The kernel could not go on, or Rust code in it panicked.
    Fatal {
        /// What it said.
        message: String,
    },
    /// Whoever steers the machine ([`crate::Steer`]) ended it.
    Stopped,
    /// All CPUs are idle, nothing is pending or armed, and the run is not done.
    Deadlock,
    /// A bound was passed without progress.
    Stuck {
        /// Which, and where.
        reason: String,
    },
}

/// What a CPU did when the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuState {
    /// The thread that ran there; 0 = none.
    pub thread: ThreadId,
    /// Interrupts masked.
    pub masked: bool,
    /// Halted in idle.
    pub halted: bool,
}

/// The result of a run. Equal for equal plans, programs and seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// xxh3 (64 bits) over the encoded events, in order.
    pub trace_hash: u64,
    /// Number of events.
    pub events: u64,
    /// Virtual time at the end, in nanoseconds.
    pub virtual_time: u64,
    /// Points passed.
    pub points: u64,
    /// The last console lines.
    pub console: Vec<String>,
    /// What each CPU did at the end.
    pub cpus: Vec<CpuState>,
    /// Threads that had a context at the end and were not running, in order of contexts.
    pub waiting: Vec<ThreadId>,
    /// How often each site of each card was passed: number of the slot, and counts in the order of
    /// [`Site::ALL`](devices::fault::plane::Site::ALL). Empty without a plan.
    pub sites: Vec<(u32, [u64; SITES])>,
    /// Fibres whose stacks could not be unwound at the end (what they own is leaked). 0 after an orderly end.
    pub abandoned: usize,
    /// References to the kernel that are left after all of it was torn down; 0 unless something leaks (or the caller keeps one).
    pub kernel_references: usize,
}

/// Bounds of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Turns of a spin loop that one CPU may make in a row.
    pub spins: u32,
    /// Points without progress (an event other than dispatch, wake and interrupt).
    pub idle_points: u64,
    /// Points in all.
    pub points: u64,
    /// Virtual time at which the run must have ended, in nanoseconds.
    pub time: u64,
}

impl Limits {
    /// No bounds: for benchmarks, whose loops are known to end.
    pub const NONE: Self = Self { spins: u32::MAX, idle_points: u64::MAX, points: u64::MAX, time: u64::MAX };
}

/// Virtual nanoseconds of an hour: enough for any test, and soon over for a machine whose only work is a periodic timer.
const HOUR: u64 = 3_600_000_000_000;

impl Default for Limits {
    fn default() -> Self {
        Self { spins: 4_000_000, idle_points: 50_000_000, points: u64::MAX, time: HOUR }
    }
}
