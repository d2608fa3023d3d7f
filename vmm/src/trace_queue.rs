//! The way of events from the guest's ring and from the platform to the caller's sink.

use crate::lending::{Access, Loans};
use crate::ring::Ring;
use crate::wanted::Wanted;
use crate::watch;
use devices::platform::Lent;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use trace::Event;

/// Events that may wait for the sink before the guest is held up.
const MAX_WAITING: usize = 1 << 16;

#[derive(Default)]
struct State {
    ring: Option<Ring>,
    loans: Loans,
    waiting: Vec<Event>,
    /// Among those that wait are some that the watchdog looks at.
    is_watched: bool,
}

/// Events on their way. Any thread puts them in; the thread that runs the machine takes them out.
pub struct TraceQueue {
    state: Mutex<State>,
    room: Condvar,
}

impl TraceQueue {
    /// A queue fed from `ring`, if the guest has one.
    pub fn new(ring: Option<Ring>) -> Self {
        Self::resume(ring, Lent::default())
    }

    /// The same for a guest that has lent this much memory before.
    pub fn resume(ring: Option<Ring>, lent: Lent) -> Self {
        let state = State { ring, loans: Loans::of(lent), ..State::default() };
        Self { state: Mutex::new(state), room: Condvar::new() }
    }

    /// What the guest has lent to devices, as far as its ring was read.
    pub fn lent(&self) -> Lent {
        self.lock().loans.lent().clone()
    }

    /// The record that the guest is at, if it has a ring: where the window of what devices reach begins.
    pub fn head(&self) -> Option<u64> {
        self.lock().ring.as_ref().map(Ring::head)
    }

    /// Records that the guest has published and nobody has taken out yet.
    pub fn unread(&self) -> u64 {
        self.lock().ring.as_ref().map_or(0, |ring| ring.head().wrapping_sub(ring.tail()))
    }

    /// Devices have reached memory since the guest was at record `from`. Judged when the ring is read next.
    pub fn went(&self, from: u64, accesses: impl IntoIterator<Item = Access>) {
        let State { ring, loans, .. } = &mut *self.lock();
        if let Some(ring) = ring {
            loans.went(from, ring.head(), accesses);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the guest has published; `look` sees events of the kinds that somebody waits for, and those for which it answers true come back.
    pub fn drain(&self, wanted: &Wanted, mut look: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut chosen = Vec::new();
        let mut state = self.lock();
        let State { ring, loans, waiting, is_watched } = &mut *state;
        let mut notice = |event: &Event| {
            *is_watched |= wanted.is_watched(event.kind);
            chosen.extend((wanted.has(event.kind) && look(event)).then_some(*event));
        };
        if let Some(ring) = ring {
            ring.drain(loans, |event| {
                let kind = event.kind;
                waiting.push(event);
                if wanted.concerns(kind) {
                    notice_last(waiting, &mut notice);
                }
            });
            loans.judge(ring.tail()).into_iter().for_each(|stray| insert(waiting, stray));
        }
        chosen
    }

    /// Puts in an event of the host's own, where its time belongs among those that still wait.
    pub fn push(&self, event: Event) {
        let state = &mut *self.lock();
        state.is_watched |= watch::KINDS.contains(&event.kind);
        insert(&mut state.waiting, event);
    }

    /// Holds up the caller, a processor's thread, while the sink is far behind; for a bounded time, so that an end is never missed.
    pub fn wait_for_room(&self) {
        let state = self.lock();
        if state.waiting.len() > MAX_WAITING {
            let _ = self.room.wait_timeout(state, Duration::from_millis(100));
        }
    }

    /// Everything that waits, in order, in place of what `batch` held. Its room is used for what comes next. Whether the watchdog has something to look at
    /// among it.
    pub fn take(&self, batch: &mut Vec<Event>) -> bool {
        batch.clear();
        let mut state = self.lock();
        std::mem::swap(batch, &mut state.waiting);
        self.room.notify_all();
        std::mem::take(&mut state.is_watched)
    }

    /// Calls `f` with the ring, if there is one.
    pub fn with_ring(&self, f: impl FnOnce(&mut Ring)) {
        if let Some(ring) = &mut self.lock().ring {
            f(ring);
        }
    }
}

/// The last of `events` is of a kind about which there is something to do. Out of line: few are, and each instruction that the others take counts in what
/// the trace costs.
#[cold]
#[inline(never)]
fn notice_last(events: &[Event], notice: &mut impl FnMut(&Event)) {
    events.last().into_iter().for_each(notice);
}

/// Puts an event of the host's own where its time belongs.
fn insert(waiting: &mut Vec<Event>, event: Event) {
    let at = waiting.iter().rposition(|other| other.time <= event.time).map_or(0, |at| at + 1);
    waiting.insert(at, event);
}
