//! A wake-up that is lost between the test and the sleep.
//!
//! - Symptom: a client hangs although its request is done; the more CPUs, the sooner.
//! - Cause: the request is looked at in one closing of the gate, and slept for in another: what completes it between the two wakes nobody.
//! - Fix: test and sleep in the same closing of the gate.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::{Output, Request};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// Opens the gate between the test and the sleep.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn transact(&self, zoo: &Zoo, me: &ServiceRef, request: &Arc<Request>) -> IOResult<Output> {
        let gate = zoo.frame().work_loop();
        zoo.frame().call(me, || {
            zoo.enqueue(request);
            Ok(())
        })?;
        loop {
            if let Some(result) = gate.run_action(|| request.completion.take()) {
                return result;
            }
            gate.run_action(|| self.sleep(zoo, request));
        }
    }
}

/// Tests and sleeps in one.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn transact(&self, zoo: &Zoo, me: &ServiceRef, request: &Arc<Request>) -> IOResult<Output> {
        zoo.frame().call(me, || {
            zoo.enqueue(request);
            loop {
                if let Some(result) = request.completion.take() {
                    return result;
                }
                self.sleep(zoo, request);
            }
        })
    }
}
