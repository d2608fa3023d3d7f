//! The workload: client threads that keep requests in flight.

use crate::IoKit;

/// Waits for the nubs that have a workload, and starts its clients when they publish; stops them at the end of the run.
pub fn start(_kit: &IoKit) {}
