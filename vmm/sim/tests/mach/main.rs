//! The portable kernel on the simulated machine: what needs the simulator, and what no rule names. The rules' own tests are in the crate `conformance`.

mod interrupts;
mod inversion;
mod lock_order;
mod locks;
mod log;
mod messages;
mod ports;
mod preemption;
mod round_robin;
mod rw_lock;
mod statistics;
mod tasks;
mod threads;
mod vm;
mod waiting;

#[allow(dead_code, reason = "each crate of tests uses what it needs")]
#[path = "../user/mod.rs"]
mod user;

use conformance::threads::{Counter, compute, hog, spawn};
