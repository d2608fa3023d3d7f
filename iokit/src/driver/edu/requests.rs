//! Requests of the edu driver: who waits, who runs, what came out. No hardware; tested alone.

use crate::ioreturn::{IOResult, IOReturn};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use mach::WaitEvent;

/// Requests at the most, of all clients together: the 64 clients × 256 of a workload.
const REQUESTS_MAX: usize = 64 * 256;

/// What the card is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// n! modulo 2³².
    Factorial(u32),
    /// Copy these bytes to the card and back.
    Copy(Vec<u8>),
}

impl Op {
    fn engine(&self) -> Engine {
        match self {
            Self::Factorial(_) => Engine::Factorial,
            Self::Copy(_) => Engine::Dma,
        }
    }
}

/// What came out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The factorial.
    Number(u32),
    /// The bytes that came back.
    Data(Vec<u8>),
}

/// The card's two engines: each does one thing at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Factorials.
    Factorial,
    /// DMA.
    Dma,
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Factorial, Self::Dma];
}

/// What an engine works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    request: usize,
    /// Machine time of the (last) start, ns.
    pub since: u64,
    /// Copy: the bytes are on the card and come back now.
    pub returning: bool,
    /// The engine is still at something that was given up: this has not begun.
    pub waiting: bool,
}

struct Request {
    op: Op,
    /// What its thread sleeps on.
    event: WaitEvent,
    result: Option<IOResult<Output>>,
}

#[derive(Default)]
struct EngineState {
    queue: VecDeque<usize>,
    running: Option<Running>,
    /// A request was given up while the engine was at it.
    abandoned: bool,
}

/// All requests of one card.
#[derive(Default)]
pub struct Requests {
    table: Vec<Option<Request>>,
    free: Vec<usize>,
    engines: [EngineState; 2],
}

impl Requests {
    /// Queues a request whose thread will sleep on `event`; its number. NoResources if there are too many.
    pub fn insert(&mut self, op: Op, event: WaitEvent) -> IOResult<usize> {
        let engine = op.engine();
        let request = Some(Request { op, event, result: None });
        let number = match self.free.pop() {
            Some(number) => {
                self.table[number] = request;
                number
            }
            None if self.table.len() < REQUESTS_MAX => {
                self.table.push(request);
                self.table.len() - 1
            }
            None => return Err(IOReturn::NoResources),
        };
        self.engines[engine as usize].queue.push_back(number);
        Ok(number)
    }

    /// The next request of an idle engine becomes its work; it [waits](Running::waiting) if another was given up before, until
    /// [`Requests::begin`]. `None`: the engine is busy, or there is nothing to do.
    pub fn start(&mut self, engine: Engine, now: u64) -> Option<(Running, &Op)> {
        let state = &mut self.engines[engine as usize];
        if state.running.is_some() {
            return None;
        }
        let request = state.queue.pop_front()?;
        let running = Running { request, since: now, returning: false, waiting: state.abandoned };
        state.running = Some(running);
        self.table[request].as_ref().map(|r| (running, &r.op))
    }

    /// The engine is free of what was given up: its work begins.
    pub fn begin(&mut self, engine: Engine, now: u64) {
        let state = &mut self.engines[engine as usize];
        state.abandoned = false;
        if let Some(running) = &mut state.running {
            running.waiting = false;
            running.since = now;
        }
    }

    /// Gives the engine's work up, while the engine may be at it; whom to wake.
    pub fn give_up(&mut self, engine: Engine, why: IOReturn) -> Option<WaitEvent> {
        self.engines[engine as usize].abandoned = true;
        self.finish(engine, Err(why))
    }

    /// What the engine works on, and since when.
    pub fn running(&self, engine: Engine) -> Option<(Running, &Op)> {
        let running = self.engines[engine as usize].running?;
        let op = self.table[running.request].as_ref().map(|r| &r.op)?;
        Some((running, op))
    }

    /// The DMA engine has brought the bytes to the card: now they come back.
    pub fn turn(&mut self, now: u64) {
        if let Some(running) = &mut self.engines[Engine::Dma as usize].running {
            running.returning = true;
            running.since = now;
        }
    }

    /// The engine's work is over; whom to wake.
    pub fn finish(&mut self, engine: Engine, result: IOResult<Output>) -> Option<WaitEvent> {
        let running = self.engines[engine as usize].running.take()?;
        let request = self.table[running.request].as_mut()?;
        request.result = Some(result);
        Some(request.event)
    }

    /// Every request that has no result gets `why`; whom to wake.
    pub fn fail_all(&mut self, why: IOReturn) -> Vec<WaitEvent> {
        for state in &mut self.engines {
            *state = EngineState::default();
        }
        let open = self.table.iter_mut().flatten().filter(|r| r.result.is_none());
        open.map(|request| {
            request.result = Some(Err(why));
            request.event
        })
        .collect()
    }

    /// The result of a request, if it has one; then the request is over.
    pub fn take(&mut self, number: usize) -> Option<IOResult<Output>> {
        let slot = self.table.get_mut(number)?;
        let result = slot.as_mut()?.result.take()?;
        *slot = None;
        self.free.push(number);
        Some(result)
    }

    /// Whether an engine works.
    pub fn is_working(&self) -> bool {
        self.engines.iter().any(|e| e.running.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn three() -> Requests {
        let mut r = Requests::default();
        for n in 0..2 {
            assert_eq!(r.insert(Op::Factorial(n), WaitEvent(u64::from(n))), Ok(n as usize));
        }
        assert_eq!(r.insert(Op::Copy(vec![7]), WaitEvent(2)), Ok(2));
        r
    }

    #[test]
    fn engines_work_side_by_side_and_each_in_order() {
        let mut r = three();
        assert_eq!(r.start(Engine::Factorial, 5).map(|(_, op)| op), Some(&Op::Factorial(0)));
        assert_eq!(r.start(Engine::Factorial, 5), None);
        assert_eq!(r.start(Engine::Dma, 6).map(|(_, op)| op), Some(&Op::Copy(vec![7])));
        assert!(r.is_working());
        assert_eq!(r.finish(Engine::Factorial, Ok(Output::Number(1))), Some(WaitEvent(0)));
        assert_eq!(r.finish(Engine::Factorial, Ok(Output::Number(1))), None);
        assert_eq!(r.take(0), Some(Ok(Output::Number(1))));
        assert_eq!(r.take(0), None);
        assert_eq!(r.start(Engine::Factorial, 7).map(|(_, op)| op), Some(&Op::Factorial(1)));
    }

    #[test]
    fn what_follows_a_request_that_was_given_up_waits_for_the_engine() {
        let mut r = three();
        assert!(r.start(Engine::Factorial, 0).is_some_and(|(running, _)| !running.waiting));
        assert_eq!(r.give_up(Engine::Factorial, IOReturn::Timeout), Some(WaitEvent(0)));
        assert_eq!(r.take(0), Some(Err(IOReturn::Timeout)));
        assert!(r.start(Engine::Factorial, 5).is_some_and(|(running, _)| running.waiting));
        assert!(r.start(Engine::Dma, 5).is_some_and(|(running, _)| !running.waiting));
        r.begin(Engine::Factorial, 9);
        let running = r.running(Engine::Factorial).map(|(running, _)| (running.waiting, running.since));
        assert_eq!(running, Some((false, 9)));
        r.finish(Engine::Factorial, Ok(Output::Number(1)));
        assert_eq!(r.insert(Op::Factorial(9), WaitEvent(9)), Ok(0));
        assert!(r.start(Engine::Factorial, 10).is_some_and(|(running, _)| !running.waiting));
    }

    #[test]
    fn a_removal_fails_everything_once() {
        let mut r = three();
        r.start(Engine::Factorial, 0);
        r.finish(Engine::Factorial, Ok(Output::Number(1)));
        r.start(Engine::Dma, 0);
        assert_eq!(r.fail_all(IOReturn::Offline), [WaitEvent(1), WaitEvent(2)]);
        assert_eq!(r.fail_all(IOReturn::Offline), []);
        assert_eq!(r.finish(Engine::Dma, Ok(Output::Data(vec![]))), None);
        assert_eq!(r.take(0), Some(Ok(Output::Number(1))));
        assert_eq!(r.take(2), Some(Err(IOReturn::Offline)));
        assert_eq!(r.insert(Op::Factorial(9), WaitEvent(9)), Ok(2));
    }

    #[test]
    fn there_is_a_limit() {
        let mut r = Requests::default();
        for n in 0..REQUESTS_MAX {
            assert_eq!(r.insert(Op::Factorial(0), WaitEvent(0)), Ok(n));
        }
        assert_eq!(r.insert(Op::Factorial(0), WaitEvent(0)), Err(IOReturn::NoResources));
    }
}
