//! A filter that takes a lock that blocks.
//!
//! - Symptom: a panic at interrupt level, whenever the interrupt comes while somebody holds the lock.
//! - Cause: the filter closes the gate, to look at the queue; at primary interrupt level nothing may block.
//! - Fix: the filter only acknowledges; the queue is the action's business, which has the gate.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;

/// Closes the gate at primary interrupt level.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn filter(&self, zoo: &Zoo) -> bool {
        let working = zoo.frame().work_loop().run_action(|| zoo.queue().with(|q| q.running.is_some()));
        zoo.acknowledge() && working
    }
}

/// Leaves it to the action.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn filter(&self, zoo: &Zoo) -> bool {
        zoo.acknowledge()
    }
}
