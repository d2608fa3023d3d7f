//! The portable kernel on the simulated machine: what needs the simulator, and what no rule names. The rules' own tests are in the crate `conformance`.

mod interrupts;
mod lock_order;
mod locks;
mod round_robin;
mod rw_lock;
mod statistics;
mod threads;
mod waiting;

use conformance::threads::{Counter, compute, hog, spawn};
