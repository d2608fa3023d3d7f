//! Workgate's KVM machine.
//!
//! [`run`] puts a plan's hardware around a guest image and runs it: one thread a processor, one event loop on the calling
//! thread. Exits go to the platform ([`devices::platform`]) behind one lock; interrupts go in by irqfd; events come out through
//! the bench page ([`trace::ring`]). Whatever the guest does, a run ends: see [`Ending`].

extern crate alloc;

mod acpi;
mod armed;
pub mod bench;
mod bus;
mod clock;
mod console;
mod debug;
mod disk;
mod doorbells;
mod ending;
mod error;
mod events;
mod faults;
pub mod gdb;
mod guest;
mod halt;
mod hold;
mod image;
mod interrupts;
mod large_page;
mod lending;
mod linux;
mod machine;
mod memory;
mod options;
mod outcome;
pub mod probe;
mod processor;
mod punctual;
mod ring;
mod run;
mod serial;
mod snapshot;
mod steer;
mod symbols;
mod tap;
mod threads;
mod trace_queue;
mod wanted;
mod watch;

pub use debug::CoreFile;
pub use ending::{CpuReport, Ending};
pub use error::VmmError;
pub use inspect::core::{CoreError, Written};
pub use options::{Limits, Options};
pub use outcome::Outcome;
pub use run::{boot, boot_steered, run, run_steered};
pub use snapshot::Snapshot;
pub use steer::{Held, Steer};
pub use tap::Tap;
