//! A circle of two gates.
//!
//! - Symptom: two threads wait for each other for ever; seldom, and only with more than one CPU or a preemption at the wrong place.
//! - Cause: requests close the driver's gate and then that of its power management; liveness checks close them the other way round.
//! - Fix: one order for all.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Request;
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use crate::work_loop::WorkLoop;
use alloc::sync::Arc;
use spin::Once;

/// The second work loop: that of the driver's power management, where every use of the card is noted.
#[derive(Default)]
struct Power(Once<Arc<WorkLoop>>);

impl Power {
    fn begin(&self, me: &ServiceRef) {
        self.0.call_once(|| WorkLoop::new(me));
    }

    /// Calls `action` in the gate of power management.
    fn run<R>(&self, action: impl FnOnce() -> R) -> R {
        match self.0.get() {
            Some(gate) => gate.run_action(action),
            None => action(),
        }
    }
}

/// Requests: the driver's gate, then that of power management.
fn start(zoo: &Zoo, power: &Power, request: &Request) {
    power.run(|| zoo.start(request));
}

/// Liveness checks take them the other way round.
#[derive(Default)]
pub struct Broken {
    power: Power,
}

impl Habits for Broken {
    fn begin(&self, _zoo: &Zoo, me: &ServiceRef) -> IOResult {
        self.power.begin(me);
        Ok(())
    }

    fn start(&self, zoo: &Zoo, request: &Arc<Request>) -> bool {
        start(zoo, &self.power, request);
        true
    }

    fn liveness(&self, zoo: &Zoo, me: &ServiceRef, value: u32) -> IOResult<u32> {
        self.power.run(|| zoo.frame().call(me, || zoo.card().liveness(value)))
    }
}

/// So do liveness checks.
#[derive(Default)]
pub struct Fixed {
    power: Power,
}

impl Habits for Fixed {
    fn begin(&self, _zoo: &Zoo, me: &ServiceRef) -> IOResult {
        self.power.begin(me);
        Ok(())
    }

    fn start(&self, zoo: &Zoo, request: &Arc<Request>) -> bool {
        start(zoo, &self.power, request);
        true
    }

    fn liveness(&self, zoo: &Zoo, me: &ServiceRef, value: u32) -> IOResult<u32> {
        zoo.frame().call(me, || self.power.run(|| zoo.card().liveness(value)))
    }
}
