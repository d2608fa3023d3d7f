//! Rules of IOKit whose tests need the simulator.
//!
//! All others are in the crate `conformance`, which `../conformance.rs` runs here. These are not, because
//!
//! - a body must hang, so that its machine must be given up (`lines`);
//! - an interrupt that is due must be taken with the very instruction that unmasks it, which a host that interprets the guest's ring 0 does not
//!   promise (`timer`).

mod lines;
mod timer;

/// Schedules that each rule is tried under.
const SEEDS: u64 = 1_000;
