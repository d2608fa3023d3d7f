//! Every limit of the plan language, in one place. The numbers keep a hostile or mistaken plan from costing
//! memory or time; none is near what a useful plan needs.

use super::Nanos;
use std::ops::RangeInclusive;

/// Bytes of a plan's text.
pub const TEXT_BYTES: usize = 1 << 20;
/// Lines of a plan's text, comments and empty lines included.
pub const LINES: usize = 16_384;
/// Bytes of one line.
pub const LINE_BYTES: usize = 4096;
/// Characters of a name.
pub const NAME_CHARS: usize = 16;
/// Characters of the word of a driver.
pub const DRIVER_CHARS: usize = 32;
/// Bytes of a dotted site.
pub const SITE_BYTES: usize = 32;
/// Bytes of the value of one option (the longest is a path).
pub const VALUE_BYTES: usize = 1024;
/// Options of one `plug`.
pub const OPTIONS: usize = 16;
/// Triggered actions in a plan.
pub const RULES: usize = 1024;
/// Threads of a plan.
pub const THREADS: usize = 16;
/// Priorities.
pub const PRIORITY: RangeInclusive<u64> = 0..=127;
/// What a thread may compute until the fail-safe demotes it: at least a quantum.
pub const FAIL_SAFE: RangeInclusive<Nanos> = 10_000_000..=3_600_000_000_000;
/// Expectations in a plan.
pub const EXPECTS: usize = 64;
/// Errors that one parse reports before it gives up.
pub const ERRORS: usize = 32;

/// Root port numbers, and so the number of devices.
pub const SLOTS: RangeInclusive<u64> = 1..=31;
/// Ports of a controller or hub.
pub const PORTS: RangeInclusive<u64> = 1..=15;
/// Hubs on the way to a device at the most (USB 2.0, 4.1.1: seven tiers, of which the root and the device are two).
pub const TIERS: usize = 5;
/// Processors.
pub const CPUS: RangeInclusive<u64> = 1..=8;
/// Guest memory in bytes.
pub const MEMORY: RangeInclusive<u64> = 16 << 20..=16 << 30;
/// Guest memory comes in units of this many bytes.
pub const MEMORY_UNIT: u64 = 1 << 20;
/// Client threads of a load.
pub const CLIENTS: RangeInclusive<u64> = 1..=64;
/// Requests in flight of one client.
pub const DEPTH: RangeInclusive<u64> = 1..=256;
/// Bytes of one request of a load on a disk.
pub const REQUEST: RangeInclusive<u64> = 512..=1 << 20;
/// A point of plan time.
pub const TIME: RangeInclusive<Nanos> = 0..=3_600_000_000_000;
/// A stretch of plan time: of a run, a storm, an expectation.
pub const DURATION: RangeInclusive<Nanos> = 1..=3_600_000_000_000;
/// The period of `every`. Shorter ones would leave the machine no time between two actions.
pub const PERIOD: RangeInclusive<Nanos> = 1_000..=3_600_000_000_000;
/// Interrupts per second of a storm.
pub const RATE: RangeInclusive<u64> = 1..=10_000_000;
/// The N of `#N`.
pub const COUNT: RangeInclusive<u64> = 1..=1_000_000_000_000;
/// Accesses that one fault happens to, its `count=`.
pub const FAULTS: RangeInclusive<u64> = 1..=1024;
/// Allocations until the one that fails.
pub const ALLOCATIONS: RangeInclusive<u64> = 1..=1_000_000_000;
/// A stretch of time for which a CPU executes nothing, a line is stuck, or by which the clock jumps. Longer ones say nothing new, and a
/// line that interrupts all the time costs the simulator much.
pub const SHORT: RangeInclusive<Nanos> = 1..=10_000_000_000;
/// Numbers of processors.
pub const CPU_NUMBERS: RangeInclusive<u64> = 0..=7;
/// Bytes of a device's `size=`.
pub const SIZE: RangeInclusive<u64> = 512..=64 << 30;

/// Processors where the plan does not say.
pub const DEFAULT_CPUS: usize = 2;
/// Guest memory in bytes where the plan does not say.
pub const DEFAULT_MEMORY: u64 = 64 << 20;
/// Length of a run where the plan does not say.
pub const DEFAULT_RUN: Nanos = 100_000_000;
