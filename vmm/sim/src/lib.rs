//! Workgate's deterministic simulator: the same kernel in one process.
//!
//! A [`SimMachine`] answers the kernel's seam ([`mach::seam::Machine`]) with fibres instead of stacks and registers, a virtual clock instead of a
//! timer chip, and device models called directly. One OS thread runs one machine at a time; other OS threads may run others
//! beside it. At every point the [`chooser`] may let another virtual CPU run, deliver an interrupt late, or let time pass; nothing
//! else varies, so the same program and the same decisions give the same trace, bit for bit.
//!
//! # How a run goes
//!
//! The hub (`hub`) runs on the OS thread's own stack and resumes the fibre of the virtual CPU that has the turn. Kernel code
//! calls the seam (`machine`); most calls cost one comparison with the next alarm. When it is due, `decide` looks at
//! deadlines, asks the chooser, and then runs on, gives way to another CPU (back to the hub), or takes an interrupt right there, on the running
//! fibre's stack.
//!
//! # Who steers
//!
//! A machine may be given somebody who holds it and changes it from outside ([`Steer`]). While nothing is asked of it, the run is the same, bit for
//! bit: the machine looks at a flag in places where it stops to think anyway.
//!
//! # Who debugs
//!
//! Whoever steers may have the machine stand on the stack of the thread that runs, and of every other one, for a debugger on this process
//! ([`debug`]).
//!
//! # How a run ends
//!
//! The hub unwinds every fibre from where it is, so that what the stacks own is dropped. Destructors of kernel code must stand being called in
//! the middle of a wait: they must not panic (a panic in a destructor during unwinding aborts the process, that is Rust's rule), and one that
//! would wait for another thread is given up with its stack ([`Outcome::abandoned`]). Meanwhile the machine answers, but records nothing,
//! delivers nothing and switches to nobody. A fibre that overflows its stack hits a guard page, which ends the process.
#![deny(unsafe_code)]

mod builder;
mod bus;
pub mod chooser;
mod console;
mod cost;
pub mod debug;
mod decide;
mod ending;
mod faults;
mod fibre;
pub mod harness;
pub mod hostile;
mod hub;
mod interrupts;
mod kernel;
mod machine;
mod outcome;
mod panics;
mod plan;
mod recorder;
mod rng;
mod run;
mod start;
mod state;
mod steer;
mod upcalls;

pub use builder::Sim;
pub use chooser::Chooser;
pub use fibre::pooled_stacks;
pub use machine::SimMachine;
pub use outcome::{CpuState, Ended, Limits, Outcome};
pub use rng::Rng;
pub use run::{run, run_on, run_with};
pub use start::StartError;
pub use state::MAX_CPUS;
pub use steer::{Held, Pass, Passes, Steer};
pub use upcalls::Upcalls;
