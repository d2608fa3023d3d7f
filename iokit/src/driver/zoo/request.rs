//! Requests, and the order in which they come.

use super::ZOO_REQUEST;
use crate::io::Completion;
use crate::ioreturn::IOResult;
use crate::registry::Counted;
use crate::service::ServiceRef;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::WaitEvent;

/// What the card is asked to do.
#[derive(Debug)]
pub enum Op {
    /// n! modulo 2³².
    Factorial(u32),
    /// Copy these bytes to the card and back.
    Copy(Vec<u8>),
}

/// What came out of it.
#[derive(Debug)]
pub enum Output {
    /// The factorial.
    Number(u32),
    /// The bytes that came back.
    Data(Vec<u8>),
}

/// A client's request.
pub struct Request {
    /// What is asked.
    pub op: Op,
    /// What its thread sleeps on.
    pub event: WaitEvent,
    /// What it comes back with.
    pub completion: Completion<IOResult<Output>>,
    /// The request as an object whose references the driver counts by hand: one is the thread's, one the queue's.
    pub object: Counted<()>,
}

impl Request {
    /// A request to driver `me`, with the thread's reference.
    pub fn new(me: &ServiceRef, op: Op) -> Arc<Self> {
        Arc::new(Self {
            op,
            event: me.kernel().new_event(),
            completion: Completion::new(me),
            object: Counted::new(me.kit(), &ZOO_REQUEST, ()),
        })
    }
}

/// What the card works on.
#[derive(Clone)]
pub struct Running {
    /// For whom.
    pub request: Arc<Request>,
    /// Since when, machine ns.
    pub since: u64,
    /// Copy: the bytes are on the card and come back now.
    pub returning: bool,
}

/// One request on the card, the others behind it.
#[derive(Default)]
pub struct Queue {
    /// In order.
    pub waiting: VecDeque<Arc<Request>>,
    /// What the card works on.
    pub running: Option<Running>,
}

impl Queue {
    /// The first that waits becomes the card's work, if the card has none.
    pub fn begin(&mut self, now: u64) -> Option<Arc<Request>> {
        if self.running.is_some() {
            return None;
        }
        let request = self.waiting.pop_front()?;
        self.running = Some(Running { request: request.clone(), since: now, returning: false });
        Some(request)
    }

    /// The next of all that have not come back.
    pub fn pop(&mut self) -> Option<Arc<Request>> {
        self.running.take().map(|r| r.request).or_else(|| self.waiting.pop_front())
    }
}
