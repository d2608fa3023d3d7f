//! Requests in flight, each completed exactly once, whatever the device writes into the used ring. Tested alone.

use super::layout::CHAIN;
use crate::ioreturn::{IOResult, IOReturn};
use alloc::vec::Vec;
use mach::WaitEvent;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    /// The device has it, since this machine time (ns).
    Flying(u64),
    /// It is complete, its thread has not seen it yet.
    Complete(IOResult),
}

/// The requests of one queue.
pub struct Table {
    slots: Vec<(State, WaitEvent)>,
    flying: u16,
}

impl Table {
    /// As many requests as there are events, one for each.
    pub fn new(events: impl IntoIterator<Item = WaitEvent>) -> Self {
        Self { slots: events.into_iter().map(|event| (State::Free, event)).collect(), flying: 0 }
    }

    /// Takes a free request; `None` if all are in use.
    pub fn take(&mut self, now: u64) -> Option<(u16, WaitEvent)> {
        let at = self.slots.iter().position(|(state, _)| *state == State::Free)?;
        self.slots[at].0 = State::Flying(now);
        self.flying += 1;
        Some((at as u16, self.slots[at].1))
    }

    /// The device says that the chain with head `id` is done: which request's chain that is, in flight or not. `None`: none begins there.
    pub fn used(&self, id: u32) -> Option<u16> {
        let request = usize::try_from(id / u32::from(CHAIN)).ok()?;
        let head = id.is_multiple_of(u32::from(CHAIN));
        (head && request < self.slots.len()).then_some(request as u16)
    }

    /// Completes a request in flight; whom to wake. `None` if it is not in flight.
    pub fn complete(&mut self, request: u16, result: IOResult) -> Option<WaitEvent> {
        let (state, event) = self.slots.get_mut(usize::from(request))?;
        if !matches!(state, State::Flying(_)) {
            return None;
        }
        *state = State::Complete(result);
        self.flying -= 1;
        Some(*event)
    }

    /// Completes everything in flight with `why`; whom to wake.
    pub fn fail_all(&mut self, why: IOReturn) -> Vec<WaitEvent> {
        (0..self.slots.len() as u16).filter_map(|request| self.complete(request, Err(why))).collect()
    }

    /// The result of a request that is complete. It stays taken until [`Table::free`].
    pub fn result(&self, request: u16) -> Option<IOResult> {
        match self.slots.get(usize::from(request))?.0 {
            State::Complete(result) => Some(result),
            _ => None,
        }
    }

    /// A complete request can be used again.
    pub fn free(&mut self, request: u16) {
        if let Some((state @ State::Complete(_), _)) = self.slots.get_mut(usize::from(request)) {
            *state = State::Free;
        }
    }

    /// Machine time (ns) since which the oldest request flies.
    pub fn oldest(&self) -> Option<u64> {
        let since = |state: &State| if let State::Flying(since) = state { Some(*since) } else { None };
        self.slots.iter().filter_map(|(state, _)| since(state)).min()
    }

    /// Requests in flight.
    pub fn flying(&self) -> u16 {
        self.flying
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new((0..2).map(WaitEvent))
    }

    #[test]
    fn a_request_completes_once() {
        let mut t = table();
        assert_eq!(t.take(5), Some((0, WaitEvent(0))));
        assert_eq!(t.used(0), Some(0));
        assert_eq!(t.complete(0, Ok(())), Some(WaitEvent(0)));
        assert_eq!((t.used(0), t.complete(0, Ok(()))), (Some(0), None), "told twice");
        assert_eq!(t.take(6), Some((1, WaitEvent(1))));
        assert_eq!(t.take(6), None);
        assert_eq!(t.result(0), Some(Ok(())));
        t.free(0);
        t.free(1);
        assert_eq!((t.take(7), t.oldest(), t.flying()), (Some((0, WaitEvent(0))), Some(6), 2));
    }

    #[test]
    fn nonsense_from_the_device_names_nothing() {
        let mut t = table();
        t.take(0);
        for id in [1, 2, 4, 6, 1000, u32::MAX] {
            assert_eq!(t.used(id), None, "{id}");
        }
    }

    #[test]
    fn a_removal_fails_what_flies_and_nothing_else() {
        let mut t = table();
        t.take(0);
        t.take(0);
        t.complete(1, Ok(()));
        assert_eq!(t.fail_all(IOReturn::Offline), [WaitEvent(0)]);
        assert_eq!((t.result(0), t.result(1)), (Some(Err(IOReturn::Offline)), Some(Ok(()))));
    }
}
