//! An over-release.
//!
//! - Symptom: a panic in `release`, or memory that changes under somebody else.
//! - Cause: the removal drops the queue's reference on each request, which its completion drops too.
//! - Fix: one owner, one release: whoever completes a request drops the queue's reference.

use crate::driver::zoo::habits::Habits;
use crate::driver::zoo::parts::Zoo;
use crate::driver::zoo::request::Queue;
use crate::ioreturn::IOReturn;

/// Completes, and releases once more.
#[derive(Default)]
pub struct Broken;

impl Habits for Broken {
    fn fail(&self, zoo: &Zoo) {
        while let Some(request) = zoo.queue().with(Queue::pop) {
            zoo.complete(&request, Err(IOReturn::Offline));
            request.object.release();
        }
    }
}

/// Completes.
#[derive(Default)]
pub struct Fixed;

impl Habits for Fixed {
    fn fail(&self, zoo: &Zoo) {
        while let Some(request) = zoo.queue().with(Queue::pop) {
            zoo.complete(&request, Err(IOReturn::Offline));
        }
    }
}
