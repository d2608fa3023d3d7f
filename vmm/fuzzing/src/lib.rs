//! Fuzzing: inputs of bytes, what must hold whatever they are, and an engine that looks for the ones for which it does not.
//!
//! ```text
//!  bytes ─► target ─► plan + schedule ─► the whole kernel in the simulator ─► verdict
//!    ▲         └────► accesses of a hostile guest ─► device models                │
//!    │                                                                           cause, features
//!  corpus ◄── what reached something new ◄─────────────────────────────────────── ┘
//! ```
//!
//! A [`Target`] gives any bytes a meaning, runs them, and tells what they reached ([`Features`]) and what broke ([`Trouble`]). Two engines drive it:
//! [`engine`], which is guided by the trace and needs nothing but this crate, and libFuzzer, by way of the targets in `fuzz/`
//! ([`libfuzzer`]), which is guided by instrumented code.
//!
//! Every run starts from nothing and must leave nothing: a run in the simulator that leaves a reference to its kernel, a fibre or an instance of a class
//! behind has leaked, and that is a finding like any other.
#![forbid(unsafe_code)]

pub mod engine;
pub mod libfuzzer;
pub mod plans;
mod target;
pub mod targets;

pub use target::{Features, Target, Trouble};
