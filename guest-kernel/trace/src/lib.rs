//! The record of what a Workgate machine did, shared by guest and host.
//!
//! The kernel writes one [`Event`] for each thing that somebody may want to know later: a thread
//! dispatched, a gate closed, a life-cycle callback entered, a request completed. In the simulator
//! the record is handed over directly; on KVM it is stored into a ring in guest memory
//! ([`ring`]). Oracles, triggers, reports and the trace hash all read this one stream.
//!
//! A record is 64 bytes with explicit little-endian fields, so that host and guest agree on it
//! whatever compiled them.
#![no_std]
#![forbid(unsafe_code)]

mod census;
mod clock;
mod event;
mod kind;
mod lending;
pub mod ring;
mod scarcity;
mod subject;

pub use census::Counted;
pub use clock::TscClock;
pub use event::{EVENT_BYTES, EVENT_WORDS, Event, NO_OBJECT, TEXT_BYTES};
pub use kind::{KINDS, Kind, UnknownKind};
pub use lending::Lending;
pub use scarcity::Scarcity;
pub use subject::{BRIEF_WORDS, Place, Subject};
