//! What the fuzz targets do with their input. Here rather than in the targets, so that tests and the seeds' example share it.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod case;
mod encode;
pub mod pci;
pub mod tasks;
pub mod teardown;
pub mod text;
