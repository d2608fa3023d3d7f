//! A gate, a card, two clients and a termination: what every driver's removal comes down to.
//!
//! A client is admitted, queues its request and sleeps; the card's thread takes requests and completes them; the termination refuses new ones, fails
//! what is queued, waits until all are back, closes the provider and lets the card's thread end. Nothing of it knows in which world it runs.

use crate::world::{World, rule};
use std::collections::VecDeque;
use std::sync::Arc;

/// Clients, one request each.
const CLIENTS: usize = 2;

/// What is wrong with the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Nothing.
    None,
    /// Depth 2: a request that the card's thread has in hand when the removal comes is completed by nobody.
    LostOnError,
    /// Depth 3: a client is admitted in one closing of the gate and counted in the next; the termination finds nobody in one closing and closes the
    /// provider in the next. It needs a loss of the turn in each of the two gaps.
    AdmittedLate,
    /// Depth 3: three threads take three gates, each two of them, in a circle.
    Circle,
}

impl Bug {
    /// All but none.
    pub const ALL: [Self; 3] = [Self::LostOnError, Self::AdmittedLate, Self::Circle];

    /// The word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "fixed",
            Self::LostOnError => "lost-on-error",
            Self::AdmittedLate => "admitted-late",
            Self::Circle => "circle",
        }
    }

    /// Events that must come in the right order, as PCT counts them.
    pub const fn depth(self) -> u32 {
        match self {
            Self::None => 0,
            Self::LostOnError => 2,
            Self::AdmittedLate | Self::Circle => 3,
        }
    }
}

/// How a request came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Back {
    Done,
    Offline,
}

/// What the gate protects.
#[derive(Default)]
struct State {
    gone: bool,
    closed: bool,
    admitted: usize,
    queue: VecDeque<usize>,
    back: [Option<Back>; CLIENTS],
    over: bool,
}

impl State {
    fn complete(&mut self, client: usize, back: Back) {
        rule(self.back[client].is_none(), "a request comes back once");
        self.back[client] = Some(back);
    }
}

/// The driver, its power management and its provider: three gates.
struct Driver<W: World> {
    world: W,
    bug: Bug,
    gate: W::Gate<State>,
    power: W::Gate<u32>,
    provider: W::Gate<u32>,
}

/// Runs the model once.
pub fn run<W: World>(world: &W, bug: Bug) {
    let driver = Arc::new(Driver {
        world: world.clone(),
        bug,
        gate: world.gate(State::default()),
        power: world.gate(0),
        provider: world.gate(0),
    });
    let start = |name, body: Box<dyn FnOnce(&Driver<W>) + Send>| {
        let driver = driver.clone();
        world.spawn(name, move || body(&driver))
    };
    let mut threads = vec![start("card", Box::new(Driver::card))];
    threads.extend((0..CLIENTS).map(|n| start("client", Box::new(move |driver| driver.client(n)))));
    driver.terminate();
    threads.into_iter().for_each(|thread| world.join(thread));
    driver.world.run(&driver.gate, |state| {
        rule(state.closed && state.admitted == 0 && state.queue.is_empty(), "nothing is left behind");
    });
}

impl<W: World> Driver<W> {
    fn client(&self, client: usize) {
        if !self.admit(client) {
            return;
        }
        let _: Back = self.world.sleep(&self.gate, |state| state.back[client].take());
        if self.bug == Bug::Circle && client == 0 {
            self.world.nested(&self.gate, &self.power);
        }
        self.world.change(&self.gate, |state| {
            rule(!state.closed, "no call in flight when the provider is closed");
            state.admitted -= 1;
        });
    }

    fn admit(&self, client: usize) -> bool {
        if self.bug == Bug::AdmittedLate {
            let may = self.world.run(&self.gate, |state| !state.gone);
            return may && self.world.change(&self.gate, |state| enqueue(state, client));
        }
        self.world.change(&self.gate, |state| !state.gone && enqueue(state, client))
    }

    /// The interrupt's side.
    fn card(&self) {
        loop {
            let next = self.world.sleep(&self.gate, |state| match state.queue.pop_front() {
                Some(client) => Some(Some(client)),
                None => state.over.then_some(None),
            });
            let Some(client) = next else { return };
            if self.bug == Bug::Circle && client == 1 {
                self.world.nested(&self.power, &self.provider);
            }
            self.world.change(&self.gate, |state| {
                match state.gone {
                    // Whoever has a request in hand completes it.
                    true if self.bug == Bug::LostOnError => {}
                    true => state.complete(client, Back::Offline),
                    false => state.complete(client, Back::Done),
                }
            });
        }
    }

    fn terminate(&self) {
        self.world.change(&self.gate, |state| {
            state.gone = true;
            while let Some(client) = state.queue.pop_front() {
                state.complete(client, Back::Offline);
            }
        });
        if self.bug == Bug::Circle {
            self.world.nested(&self.provider, &self.gate);
        }
        let close = |state: &mut State| {
            state.closed = true;
            state.over = true;
        };
        if self.bug == Bug::AdmittedLate {
            self.world.sleep(&self.gate, |state| (state.admitted == 0).then_some(()));
            return self.world.change(&self.gate, close);
        }
        self.world.sleep(&self.gate, |state| (state.admitted == 0).then(|| close(state)));
        self.world.change(&self.gate, |_| {});
    }
}

/// A client that comes too late is refused; what is closed is seen.
fn enqueue(state: &mut State, client: usize) -> bool {
    if state.closed {
        return false;
    }
    state.admitted += 1;
    state.queue.push_back(client);
    true
}
