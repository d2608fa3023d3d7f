//! Finding bugs, replaying them, and making them small.
//!
//! A plan leaves open when CPUs take turns, how late interrupts come, and when time passes: a [`Schedule`] says it. [`execute`] runs a plan
//! under a schedule in the simulator and says what broke ([`Cause`]). On top of it:
//!
//! - [`campaign`] runs many schedules on all cores: random, PCT, partial order sampling, bounded exhaustive;
//! - [`removal`] pulls a card out at every event of a reference run;
//! - [`hunt`] looks for one bug in one way, and counts the runs;
//! - [`teardown`] counts what was exercised;
//! - [`shrink`] makes plan and schedule small while the same rule breaks;
//! - [`Capsule`] keeps the result in a file that gives the same trace every time.
//!
//! Nothing here knows KVM, a clock or a terminal.
#![forbid(unsafe_code)]

mod bytes;
pub mod campaign;
pub mod capsule;
mod cause;
pub mod coverage;
pub mod execute;
pub mod exhaustive;
pub mod hunt;
mod list;
pub mod matrix;
mod pct;
pub mod phase;
mod pos;
pub mod removal;
mod schedule;
pub mod shrink;
pub mod teardown;

pub use bytes::{FuzzChooser, MAX_SCHEDULE_BYTES};
pub use capsule::Capsule;
pub use cause::Cause;
pub use execute::{Run, run};
pub use list::{Fine, ListChooser, Record, Recording};
pub use pct::Pct;
pub use pos::Pos;
pub use schedule::{Deviation, Schedule, Twins};

#[cfg(test)]
mod tests;
