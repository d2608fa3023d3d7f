//! The promise that a request comes back (IOCompletion, and a command's status).

use mach::{KernelRef, SpinLock};
use trace::{Event, Kind};

use crate::service::Service;

/// What one request comes back with, once.
///
/// Whoever takes a request from a client owes it exactly one completion. In the original a second one calls a routine of a request that
/// may be somebody else's by then; here it is reported as a violation of `completed-twice`, and has no effect.
pub struct Completion<T> {
    kernel: KernelRef,
    owner: u32,
    slot: u32,
    state: SpinLock<State<T>>,
}

enum State<T> {
    Open,
    Done(T),
    Taken,
}

impl<T> Completion<T> {
    /// An open promise of `owner`.
    pub fn new(owner: &Service) -> Self {
        Self {
            kernel: owner.kernel().clone(),
            owner: owner.id(),
            slot: owner.slot(),
            state: SpinLock::new(State::Open),
        }
    }

    /// The request comes back with `value`. False, and a violation: it has come back already.
    pub fn complete(&self, value: T) -> bool {
        {
            let mut state = self.state.lock(&self.kernel);
            if matches!(*state, State::Open) {
                *state = State::Done(value);
                return true;
            }
        }
        let event = Event::new(Kind::Violation).object(self.owner).slot(self.slot);
        self.kernel.trace(event.text("completed-twice"));
        false
    }

    /// Whether it has come back, and nobody has taken what it came back with.
    pub fn is_done(&self) -> bool {
        matches!(*self.state.lock(&self.kernel), State::Done(_))
    }

    /// What it came back with, for the first who asks.
    pub fn take(&self) -> Option<T> {
        let mut state = self.state.lock(&self.kernel);
        match core::mem::replace(&mut *state, State::Taken) {
            State::Done(value) => Some(value),
            open => {
                *state = open;
                None
            }
        }
    }
}
