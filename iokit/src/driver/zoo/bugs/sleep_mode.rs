//! A deadline that is passed where `commandSleep` wants the mode.
//!
//! - Symptom: a wait that should give up after a millisecond never does; a killed client cannot be got rid of.
//! - Cause: `commandSleep(event, deadline)` compiles, and means `commandSleep(event, mode)`: the number is taken for the mode.
//! - Fix: the form with three arguments.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Request;
use mach::WaitMode;

/// How long to sleep before looking at the request again, machine ns.
const PATIENCE: u64 = 1_000_000;

/// Passes the deadline as the second of two arguments.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn sleep(&self, zoo: &Zoo, request: &Request) {
        let deadline = zoo.kernel().now() + PATIENCE;
        zoo.frame().gate().command_sleep_in_mode(request.event, deadline as u32);
    }
}

/// Passes it where it belongs.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn sleep(&self, zoo: &Zoo, request: &Request) {
        let deadline = zoo.kernel().now() + PATIENCE;
        zoo.frame().gate().command_sleep(request.event, WaitMode::Uninterruptible, Some(deadline));
    }
}
