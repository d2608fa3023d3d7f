//! One endpoint of one device: its ring, and the transfers that are in flight on it.
//!
//! How an endpoint comes to rest and goes on (4.6.9, 4.6.10, 4.8.3):
//!
//! ```text
//!            error event             command done             command done
//! Running ───────────────► Stopping ──────────────► Moving ───────────────► Running
//!    └── abort, timeout ──►   stop, or reset           set dequeue    ▲        doorbell, if anything is left
//!                             while it is halted       behind what failed
//! ```

use super::flight::{self, Finished, Flight, Staged};
use super::regs::{self, code};
use super::ring::Ring;
use super::trb::Trb;
use crate::IoKit;
use crate::family::usb::Transfer;
use crate::ioreturn::{IOResult, IOReturn};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use mach::DmaBuffer;

/// Attempts to bring an endpoint to rest.
const TRIES_MAX: u8 = 4;

/// What the endpoint is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Rings and carries out.
    Running,
    /// A command brings it to rest.
    Stopping,
    /// A command moves it on.
    Moving,
    /// It did not come to rest: nothing more is done with it.
    Dead,
}

/// What is to be done for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Ring its doorbell.
    Ring,
    /// Stop it.
    Stop,
    /// Reset it: it is halted.
    Reset,
    /// It goes on at this address, with the cycle in bit 0.
    Move(u64),
}

/// One endpoint.
pub struct Channel {
    ring: Ring,
    control: bool,
    packet: u32,
    mode: Mode,
    tries: u8,
    flights: VecDeque<Flight>,
}

impl Channel {
    /// An endpoint whose ring is in `memory`.
    pub fn new(memory: DmaBuffer, control: bool, packet: u16) -> Self {
        Self {
            ring: Ring::new(memory),
            control,
            packet: u32::from(packet.max(1)),
            mode: Mode::Running,
            tries: 0,
            flights: VecDeque::new(),
        }
    }

    /// Where the controller begins.
    pub fn pointer(&self) -> u64 {
        self.ring.pointer(self.ring.next())
    }

    /// Whether anything is in flight.
    pub fn is_busy(&self) -> bool {
        !self.flights.is_empty()
    }

    /// Makes the transfers of a chain; nothing is on the ring yet.
    /// NotResponding: the endpoint is dead. NoResources: too much is in flight. BadArgument: too long, or a setup stage is missing or too much.
    pub fn stage(&self, kit: &IoKit, now: u64, chain: Vec<Transfer>) -> IOResult<Vec<Staged>> {
        if self.mode == Mode::Dead {
            return Err(IOReturn::NotResponding);
        }
        if chain.iter().any(|transfer| transfer.setup.is_some() != self.control) {
            return Err(IOReturn::BadArgument);
        }
        let mut staged = Vec::with_capacity(chain.len());
        for (n, transfer) in chain.into_iter().enumerate() {
            match Staged::new(kit, now, self.packet, transfer, n != 0) {
                Ok(made) => staged.push(made),
                Err(why) => {
                    flight::give_back(staged);
                    return Err(why);
                }
            }
        }
        if !self.ring.has_room(staged.iter().map(|staged| staged.blocks.len()).sum()) {
            flight::give_back(staged);
            return Err(IOReturn::NoResources);
        }
        Ok(staged)
    }

    /// Puts a chain on the ring, for which there is room. Ring the doorbell if true.
    pub fn begin(&mut self, staged: Vec<Staged>) -> bool {
        for Staged { blocks, mut flight } in staged {
            flight.first = self.ring.next();
            let mut blocks_of = flight.blocks.iter_mut();
            self.ring.push(&blocks, |index| {
                if let Some(block) = blocks_of.next() {
                    block.0 = index;
                }
            });
            self.flights.push_back(flight);
        }
        self.mode == Mode::Running
    }

    /// A transfer event about the block at `event.parameter`. `state`: the endpoint's, in its context.
    pub fn event(&mut self, event: &Trb, state: u32, finished: &mut Vec<Finished>) -> Step {
        if code::STOPPED.contains(&event.code()) {
            // The command that stopped it tells, too.
            return Step::Rest;
        }
        let good = matches!(event.code(), code::SUCCESS | code::SHORT_PACKET);
        if matches!(event.code(), code::RING_UNDERRUN | code::RING_OVERRUN) {
            return Step::Rest;
        }
        let index = self.ring.index_of(event.parameter);
        let found = index.and_then(|index| {
            let at = self.flights.iter().position(|f| f.blocks.iter().any(|&(i, _)| i == index))?;
            Some((at, index))
        });
        let broken = found.is_some_and(|(at, index)| self.come_back(at, index, event, finished));
        if good || state == regs::state::RUNNING && !broken || self.mode != Mode::Running {
            return Step::Rest;
        }
        self.recover(state, finished)
    }

    /// True: it failed, and what is chained to it must not happen.
    fn come_back(&mut self, at: usize, index: u16, event: &Trb, finished: &mut Vec<Finished>) -> bool {
        let flight = &mut self.flights[at];
        let bytes = flight.bytes_until(index, event.residue()).unwrap_or(0);
        let result = match event.code() {
            code::SUCCESS | code::SHORT_PACKET => {
                if !flight.is_last(index) && flight.control {
                    // The data stage was short; the status stage is to come.
                    flight.short = Some(bytes);
                    return false;
                }
                if flight.control { Ok(flight.short.unwrap_or_else(|| flight.total())) } else { Ok(bytes) }
            }
            code::STALL => Err(IOReturn::PipeStalled),
            code::BABBLE => Err(IOReturn::Overrun),
            _ => Err(IOReturn::NotResponding),
        };
        if let Some(flight) = self.flights.remove(at) {
            self.ring.free(flight.blocks.len() as u16);
            finished.push(flight.finish(result));
        }
        result.is_err() && self.break_chain(at)
    }

    /// The transfer in front of the one at `at` failed: what is chained to it shall come back. Whether there is any.
    fn break_chain(&mut self, at: usize) -> bool {
        let mut any = false;
        for flight in self.flights.range_mut(at..).take_while(|flight| flight.chained) {
            flight.doom.get_or_insert(IOReturn::Aborted);
            any = true;
        }
        any
    }

    /// Brings the endpoint to rest. `state`: what its context says.
    pub fn recover(&mut self, state: u32, finished: &mut Vec<Finished>) -> Step {
        if self.mode != Mode::Running {
            return Step::Rest;
        }
        self.tries = 0;
        self.come_to_rest(state, finished)
    }

    fn come_to_rest(&mut self, state: u32, finished: &mut Vec<Finished>) -> Step {
        self.mode = Mode::Stopping;
        match state {
            regs::state::RUNNING => Step::Stop,
            regs::state::HALTED => Step::Reset,
            _ => self.move_on(finished),
        }
    }

    /// It is at rest: what is doomed comes back, and it goes on behind that.
    fn move_on(&mut self, finished: &mut Vec<Finished>) -> Step {
        while self.flights.front().is_some_and(|flight| flight.doom.is_some()) {
            self.drop_front(None, finished);
        }
        self.mode = Mode::Moving;
        let to = self.flights.front().map_or(self.ring.next(), |flight| flight.first);
        Step::Move(self.ring.pointer(to))
    }

    /// Everything that is in flight shall come back, as `why`, as soon as the controller has let go of it. Follow with [`Channel::recover`].
    pub fn doom(&mut self, why: IOReturn) {
        self.flights.iter_mut().for_each(|flight| {
            flight.doom.get_or_insert(why);
        });
    }

    /// What has been in flight for too long shall come back as Timeout, and the rest as Aborted. Whether there is any, or something doomed is left. Follow with
    /// [`Channel::recover`].
    pub fn expire(&mut self, now: u64) -> bool {
        let late = |f: &Flight| f.doom.is_none() && f.deadline.is_some_and(|deadline| now >= deadline);
        if !self.flights.iter().any(late) {
            return self.flights.iter().any(|flight| flight.doom.is_some());
        }
        self.flights.iter_mut().filter(|f| late(f)).for_each(|f| f.doom = Some(IOReturn::Timeout));
        self.doom(IOReturn::Aborted);
        true
    }

    /// The command that was to bring it to rest is done; `state`: what its context says now.
    pub fn rested(&mut self, state: u32, finished: &mut Vec<Finished>) -> Step {
        if self.mode != Mode::Stopping {
            return Step::Rest;
        }
        if matches!(state, regs::state::RUNNING | regs::state::HALTED) {
            self.tries += 1;
            if self.tries > TRIES_MAX {
                self.die(finished);
                return Step::Rest;
            }
            return self.come_to_rest(state, finished);
        }
        self.move_on(finished)
    }

    /// The command that moved it on is done.
    pub fn moved(&mut self, good: bool, state: u32, finished: &mut Vec<Finished>) -> Step {
        if self.mode != Mode::Moving {
            return Step::Rest;
        }
        if !good {
            self.die(finished);
            return Step::Rest;
        }
        self.mode = Mode::Running;
        match self.flights.front() {
            Some(flight) if flight.doom.is_some() => self.recover(state, finished),
            Some(_) => Step::Ring,
            None => Step::Rest,
        }
    }

    fn drop_front(&mut self, why: Option<IOReturn>, finished: &mut Vec<Finished>) {
        if let Some(flight) = self.flights.pop_front() {
            self.ring.free(flight.blocks.len() as u16);
            let why = why.or(flight.doom).unwrap_or(IOReturn::Aborted);
            finished.push(flight.finish(Err(why)));
        }
    }

    fn die(&mut self, finished: &mut Vec<Finished>) {
        self.mode = Mode::Dead;
        self.fail(IOReturn::NotResponding, finished);
    }

    /// The controller has let go of everything: it comes back as `why`.
    pub fn fail(&mut self, why: IOReturn, finished: &mut Vec<Finished>) {
        while self.is_busy() {
            self.drop_front(Some(why), finished);
        }
    }
}
