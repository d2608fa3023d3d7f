//! Re-entry that ends the stack, and the levels of a recursive lock.
//!
//! - Symptom: a double fault, or a panic about a lock's count, when the card goes under load.
//! - Cause: each completion starts the next request, in the gate, which fails at once because the card is gone, and completes.
//! - Fix: a loop.

use crate::driver::common::Parts;
use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Queue;
use crate::ioreturn::IOReturn;

/// Levels at which a kernel's stack would end; the rest of the queue goes without them.
const BOTTOM: u32 = 24;

/// Completes the first of the queue, and then, one level deeper, the others.
fn fail_first(zoo: &Zoo, level: u32) {
    let Some(request) = zoo.queue().with(Queue::pop) else { return };
    zoo.complete(&request, Err(IOReturn::Offline));
    if level < BOTTOM {
        zoo.frame().work_loop().run_action(|| fail_first(zoo, level + 1));
    }
}

/// Comes back to itself.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn fail(&self, zoo: &Zoo) {
        fail_first(zoo, 0);
        zoo.fail_all();
    }
}

/// Goes on.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn fail(&self, zoo: &Zoo) {
        while let Some(request) = zoo.queue().with(Queue::pop) {
            zoo.complete(&request, Err(IOReturn::Offline));
        }
    }
}
