//! The programs.

pub mod block_tester;
pub mod daq_reader;
pub mod hostile;
mod print;
mod workers;

pub use workers::Counts;
