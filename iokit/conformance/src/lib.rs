//! The rules of IOKit and of the kernel as tests, written once and run on every machine.
//!
//! A test is a function of a [`Lab`]. It asks the lab to run a body, which is kernel code, and looks at the [`Run`]s that come back: at the
//! events that were recorded, and at how the run ended. The machines differ in what a lab does ([`Site`]):
//!
//! - **simulator** (`vmm/sim/tests/conformance.rs`): the body runs under many schedules, each on a machine of its own, and every one of these runs comes
//!   back;
//! - **guest** ([`guest`]): inside the guest image the body runs once, as it is, with a fresh [`iokit::IoKit`] on the one kernel. No run comes back: what looks
//!   at the trace has nothing to look at yet;
//! - **host** (`vmm/tests/conformance.rs`): the same test once more, outside of the machine. No body runs; what comes back is what the guest's run of
//!   it left in the trace ring.
//!
//! So assertions inside a body are made on both machines by the kernel itself, and assertions about the trace are made on both by the test's
//! process, and no test is written twice.
//!
//! Some rules are about devices, which a plan has ([`PlanJob`]): the simulator runs it under many schedules, the host boots the ordinary guest image with it.
//!
//! A test that needs a machine of its own kind is not here but with that machine's tests.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod guest;
mod lab;
pub mod mock;
pub mod rules;
mod run;
pub mod sync;
mod table;
pub mod threads;
pub mod user;
pub mod world;

pub use lab::{Body, Cpus, Job, Lab, PlanJob, Site};
pub use run::{Ended, Judged, Run, TEARDOWN};
pub use table::{Test, tests};

/// What every file of rules needs in a crate without `std`.
mod prelude {
    pub(crate) use crate::lab::Lab;
    pub(crate) use crate::table::{Test, table};
    #[allow(unused_imports, reason = "every file takes what it needs")]
    pub(crate) use alloc::{
        borrow::ToOwned,
        boxed::Box,
        format,
        string::{String, ToString},
        vec,
        vec::Vec,
    };
}
