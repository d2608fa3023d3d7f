//! Termination in three phases.
//!
//! 1. On the caller's thread, without any gate, breadth-first: inactive, notified, user ports dead (`phase_1`).
//! 2. On the one termination thread, in the victims' gates: all wills from the provider up, then all dids
//!    in exact reverse order (`worker`).
//! 3. On the same thread: finalize the leaves, stop and detach what waits for nothing any more, until nothing is left to do.

mod defaults;
mod lists;
mod phase_1;
mod schedule;
mod stop_list;
mod worker;

pub(crate) use lists::Terminator;
