//! Which program a task runs, and what it is told.

use crate::os::Os;
use crate::programs;
use abi::Trap;

/// A program. `argument` is 0 on the task's first thread, and what [`crate::thread::spawn`] was told on others. What it returns is the thread's exit
/// code: 0 if all was well.
pub type Program = fn(&dyn Os, argument: u64) -> u64;

/// The programs, by number.
pub const PROGRAMS: [Program; 3] =
    [programs::block_tester::run, programs::daq_reader::run, programs::hostile::run];

/// Places of the numbers that a task is started with (`Trap::TaskInfo`).
pub mod info {
    /// Number of the program in [`super::PROGRAMS`].
    pub const PROGRAM: u64 = 0;
    /// Slot of the device.
    pub const SLOT: u64 = 1;
    /// Number of this task among those for the device.
    pub const CLIENT: u64 = 2;
    /// Number of tasks for the device.
    pub const CLIENTS: u64 = 3;
    /// Threads of each task that make requests.
    pub const DEPTH: u64 = 4;
    /// What random numbers follow from.
    pub const SEED: u64 = 5;
    /// Requests of each thread; 0 = as many as it can until the device or the run ends.
    pub const ROUNDS: u64 = 6;
}

/// Numbers of programs.
pub mod program {
    /// [`crate::programs::block_tester`].
    pub const BLOCK_TESTER: u64 = 0;
    /// [`crate::programs::daq_reader`].
    pub const DAQ_READER: u64 = 1;
    /// [`crate::programs::hostile`].
    pub const HOSTILE: u64 = 2;
}

/// One of the numbers that the task was started with.
pub fn told(os: &dyn Os, index: u64) -> u64 {
    os.call(Trap::TaskInfo, &[index]).unwrap_or(0)
}

/// Runs the task's program on the calling thread; its exit code.
pub fn run(os: &dyn Os, argument: u64) -> u64 {
    let number = usize::try_from(told(os, info::PROGRAM)).ok();
    match number.and_then(|number| PROGRAMS.get(number)) {
        Some(program) => program(os, argument),
        None => NO_PROGRAM,
    }
}

/// Exit code of a thread whose task has no such program.
pub const NO_PROGRAM: u64 = 127;
