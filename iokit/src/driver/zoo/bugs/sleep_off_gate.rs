//! A sleep off the gate.
//!
//! - Symptom: a panic in `commandSleep` (CG6); before 10.13 a loop that does not sleep and eats its CPU.
//! - Cause: the helper that waits was moved out of the gated action.
//! - Fix: wait inside of it: the sleep opens the gate by itself.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::{Output, Request};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// Waits after the action.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn transact(&self, zoo: &Zoo, me: &ServiceRef, request: &Arc<Request>) -> IOResult<Output> {
        zoo.frame().call(me, || {
            zoo.enqueue(request);
            Ok(())
        })?;
        zoo.wait(request)
    }
}

/// Waits in the action.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn transact(&self, zoo: &Zoo, me: &ServiceRef, request: &Arc<Request>) -> IOResult<Output> {
        zoo.frame().call(me, || {
            zoo.enqueue(request);
            zoo.wait(request)
        })
    }
}
