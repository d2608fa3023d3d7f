//! The way of events from the guest's ring and from the platform to the caller's sink.

use crate::ring::Ring;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use trace::Event;

/// Events that may wait for the sink before the guest is held up.
const MAX_WAITING: usize = 1 << 16;

#[derive(Default)]
struct State {
    ring: Option<Ring>,
    waiting: Vec<Event>,
}

/// Events on their way. Any thread puts them in; the thread that runs the machine takes them out.
pub struct TraceQueue {
    state: Mutex<State>,
    room: Condvar,
}

impl TraceQueue {
    /// A queue fed from `ring`, if the guest has one.
    pub fn new(ring: Option<Ring>) -> Self {
        Self { state: Mutex::new(State { ring, waiting: Vec::new() }), room: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the guest has published; `look` sees each event, and true from it means that it is answered as wanted.
    pub fn drain(&self, mut look: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut wanted = Vec::new();
        let mut state = self.lock();
        let State { ring, waiting } = &mut *state;
        if let Some(ring) = ring {
            ring.drain(|event| {
                if look(&event) {
                    wanted.push(event);
                }
                waiting.push(event);
            });
        }
        wanted
    }

    /// Puts in an event of the host's own, where its time belongs among those that still wait.
    pub fn push(&self, event: Event) {
        let mut state = self.lock();
        let at = state.waiting.iter().rposition(|other| other.time <= event.time).map_or(0, |at| at + 1);
        state.waiting.insert(at, event);
    }

    /// Holds up the caller, a processor's thread, while the sink is far behind; for a bounded time, so that an end is never missed.
    pub fn wait_for_room(&self) {
        let state = self.lock();
        if state.waiting.len() > MAX_WAITING {
            let _ = self.room.wait_timeout(state, Duration::from_millis(100));
        }
    }

    /// Everything that waits, in order.
    pub fn take(&self) -> Vec<Event> {
        let waiting = std::mem::take(&mut self.lock().waiting);
        self.room.notify_all();
        waiting
    }

    /// Calls `f` with the ring, if there is one.
    pub fn with_ring(&self, f: impl FnOnce(&mut Ring)) {
        if let Some(ring) = &mut self.lock().ring {
            f(ring);
        }
    }
}
