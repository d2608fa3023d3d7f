//! An interrupt source that is torn down twice.
//!
//! - Symptom: at a removal an interrupt of somebody else falls silent: it had the vector next.
//! - Cause: `stop` unregisters the interrupt that `willTerminate` has unregistered with its event source.
//! - Fix: one place takes it down; the event source does it when it leaves the work loop.

use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::service::ServiceRef;

/// Takes it down once more.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn stop(&self, _zoo: &Zoo, provider: &ServiceRef) {
        if let Some(interrupts) = provider.interrupts() {
            // To make sure that it is off.
            let _ = interrupts.unregister(0);
        }
    }
}

/// Leaves it to the event source.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn stop(&self, _zoo: &Zoo, _provider: &ServiceRef) {}
}
