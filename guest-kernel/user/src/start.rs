//! Which program a task runs, and what it is told.

use crate::os::Os;
use crate::programs;
use abi::Trap;
pub use abi::start::{info, program};

/// A program. `argument` is 0 on the task's first thread, and what [`crate::thread::spawn`] was told on others. What it returns is the thread's exit
/// code: 0 if all was well.
pub type Program = fn(&dyn Os, argument: u64) -> u64;

/// The programs, by number.
pub const PROGRAMS: [Program; 3] =
    [programs::block_tester::run, programs::daq_reader::run, programs::hostile::run];

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
