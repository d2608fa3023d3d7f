//! IOKit for Workgate: registry, matching, work loops, event sources, termination, families, drivers.
//!
//! The behaviour is that of macOS's IOKit, rule by rule; rule names (WL3, T4, order (a) …) refer to the project's
//! description of those semantics. All state hangs off one [`IoKit`] value; there are no mutable statics.
//!
//! - [`service`]: registry entries and their drivers; attach, open, busy.
//! - [`registry`]: planes, properties, collections.
//! - [`matching`]: personalities, matching threads, notifications.
//! - [`termination`]: the three phases.
//! - [`work_loop`]: gates and event sources.
//! - [`io`]: memory descriptors, DMA commands, pools, queues, asynchronous results.
//! - [`user_client`]: connections of clients.
//! - [`ports`]: how user tasks reach services and connections.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bootargs;
pub mod class;
pub mod driver;
pub mod family;
pub mod interrupts;
pub mod io;
pub mod load;
pub mod matching;
pub mod ports;
pub mod registry;
pub mod service;
pub mod termination;
pub mod user_client;
pub mod work_loop;

mod boot;
mod census;
mod cycle;
mod finish;
mod in_flight;
mod ioreturn;
mod kit;
mod message;
mod orders;
mod value;

pub use boot::{boot, boot_kept, boot_with, start};
pub use bootargs::BootArgs;
pub use class::Class;
pub use ioreturn::{IOResult, IOReturn, code_of};
pub use kit::{FinishHook, IoKit};
pub use message::Message;
pub use registry::{Array, Counted, Dictionary, Plane};
pub use service::{Driver, Options, Probe, Service, ServiceBuilder, ServiceRef, State};
pub use value::{Properties, Value};
