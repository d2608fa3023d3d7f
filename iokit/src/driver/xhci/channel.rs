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

use super::regs::{self, code};
use super::ring::{Position, Ring};
use super::trb::{self, Trb};
use crate::IoKit;
use crate::family::usb::{Data, Done, Transfer};
use crate::io::{DmaCommand, DmaSpecification, MemoryDescriptor, Segment};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::DmaBuffer;

/// Data blocks of one transfer at the most.
const BLOCKS_MAX: usize = 16;
/// No block's data crosses a multiple of this (6.4.1).
const BOUNDARY: u64 = 0x1_0000;
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

/// A transfer in flight.
struct Flight {
    first: Position,
    /// Index of each block and the bytes of data that it has.
    blocks: Vec<(u16, u32)>,
    control: bool,
    /// Bytes that a data stage came to, if less than all.
    short: Option<u32>,
    dma: Option<(DmaCommand, Arc<MemoryDescriptor>)>,
    deadline: Option<u64>,
    /// What it will have failed with once the controller has let go of it.
    doom: Option<IOReturn>,
    done: Done,
}

impl Flight {
    fn total(&self) -> u32 {
        self.blocks.iter().map(|&(_, bytes)| bytes).sum()
    }

    /// Bytes up to the block with this index, of whose data `residue` was not transferred. `None`: it has no such block.
    fn bytes_until(&self, index: u16, residue: u32) -> Option<u32> {
        let place = self.blocks.iter().position(|&(i, _)| i == index)?;
        let before: u32 = self.blocks[..place].iter().map(|&(_, bytes)| bytes).sum();
        Some(before + self.blocks[place].1.saturating_sub(residue))
    }

    fn is_last(&self, index: u16) -> bool {
        self.blocks.last().is_some_and(|&(i, _)| i == index)
    }

    /// The controller is done with its memory.
    fn finish(self, result: IOResult<u32>) -> Finished {
        if let Some((command, memory)) = self.dma {
            // Both were prepared when it began: there is nothing to refuse.
            let _ = command.complete();
            let _ = command.clear_memory_descriptor(false);
            let _ = memory.complete();
        }
        Finished { done: self.done, result }
    }
}

/// A transfer that has come back, and nobody has been told yet.
pub struct Finished {
    /// Who is to be told.
    pub done: Done,
    /// What.
    pub result: IOResult<u32>,
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

    /// Puts a transfer on the ring. Ring the doorbell if true.
    /// NotResponding: the endpoint is dead. NoResources: too much is in flight. BadArgument: too long, or a setup stage is missing or too much.
    pub fn submit(&mut self, kit: &IoKit, now: u64, transfer: Transfer) -> IOResult<bool> {
        if self.mode == Mode::Dead {
            return Err(IOReturn::NotResponding);
        }
        if transfer.setup.is_some() != self.control {
            return Err(IOReturn::BadArgument);
        }
        let data = transfer.data.filter(|data| data.length != 0);
        let (dma, pieces) = match &data {
            Some(data) => {
                let (command, pieces) = prepare(kit, data)?;
                (Some((command, data.memory.clone())), pieces)
            }
            None => (None, Vec::new()),
        };
        let blocks = self.blocks(transfer.setup.as_ref(), &pieces);
        let mut flight = Flight {
            first: self.ring.next(),
            blocks: Vec::with_capacity(blocks.len()),
            control: self.control,
            short: None,
            dma,
            deadline: transfer.timeout.map(|timeout| now.saturating_add(timeout)),
            doom: None,
            done: transfer.done,
        };
        if !self.ring.has_room(blocks.len()) {
            // Gives the memory back; nobody is told, because this call tells.
            drop(flight.finish(Err(IOReturn::NoResources)));
            return Err(IOReturn::NoResources);
        }
        let lengths = blocks.iter().map(|block| match block.kind() {
            regs::kind::NORMAL | regs::kind::DATA => block.status & 0x1_ffff,
            _ => 0,
        });
        let mut lengths = lengths.collect::<Vec<u32>>().into_iter();
        self.ring.push(&blocks, |index| flight.blocks.push((index, lengths.next().unwrap_or(0))));
        self.flights.push_back(flight);
        Ok(self.mode == Mode::Running)
    }

    /// The blocks of one transfer (4.11.2).
    fn blocks(&self, setup: Option<&crate::family::usb::Setup>, pieces: &[Segment]) -> Vec<Trb> {
        let mut blocks = Vec::with_capacity(pieces.len() + 2);
        let total: u64 = pieces.iter().map(|piece| piece.length).sum();
        let mut sent = 0;
        let input = setup.is_some_and(|setup| setup.is_input());
        if let Some(setup) = setup {
            blocks.push(Trb::setup(setup, !pieces.is_empty()));
        }
        for (n, piece) in pieces.iter().enumerate() {
            sent += piece.length;
            let last = n + 1 == pieces.len();
            // Packets that follow this block, at most 31 (4.11.2.4).
            let rest = (total - sent).div_ceil(u64::from(self.packet)).min(31) as u32;
            let status = piece.length as u32 | if last { 0 } else { rest << 17 };
            let kind = if setup.is_some() && n == 0 { regs::kind::DATA } else { regs::kind::NORMAL };
            let mut flags = trb::SHORT;
            if kind == regs::kind::DATA && input {
                flags |= trb::INPUT;
            }
            if !last {
                flags |= trb::CHAIN;
            } else if setup.is_none() {
                flags |= trb::COMPLETE;
            }
            blocks.push(Trb::new(kind, piece.address, status, flags));
        }
        if setup.is_some() {
            // The status stage goes the other way, or in if there is no data.
            let way = if input && !pieces.is_empty() { 0 } else { trb::INPUT };
            blocks.push(Trb::new(regs::kind::STATUS, 0, 0, trb::COMPLETE | way));
        } else if pieces.is_empty() {
            blocks.push(Trb::new(regs::kind::NORMAL, 0, 0, trb::COMPLETE));
        }
        blocks
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
        if let Some((at, index)) = found {
            self.come_back(at, index, event, finished);
        }
        if good || state == regs::state::RUNNING || self.mode != Mode::Running {
            return Step::Rest;
        }
        self.recover(state)
    }

    fn come_back(&mut self, at: usize, index: u16, event: &Trb, finished: &mut Vec<Finished>) {
        let flight = &mut self.flights[at];
        let bytes = flight.bytes_until(index, event.residue()).unwrap_or(0);
        let result = match event.code() {
            code::SUCCESS | code::SHORT_PACKET => {
                if !flight.is_last(index) && flight.control {
                    // The data stage was short; the status stage is to come.
                    flight.short = Some(bytes);
                    return;
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
    }

    /// Brings the endpoint to rest. `state`: what its context says.
    pub fn recover(&mut self, state: u32) -> Step {
        if self.mode != Mode::Running {
            return Step::Rest;
        }
        self.tries = 0;
        self.come_to_rest(state)
    }

    fn come_to_rest(&mut self, state: u32) -> Step {
        self.mode = Mode::Stopping;
        match state {
            regs::state::RUNNING => Step::Stop,
            regs::state::HALTED => Step::Reset,
            _ => self.move_on(),
        }
    }

    fn move_on(&mut self) -> Step {
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

    /// What has been in flight for too long shall come back as Timeout, and the rest as Aborted. Whether there is any.
    pub fn expire(&mut self, now: u64) -> bool {
        let late = |f: &Flight| f.doom.is_none() && f.deadline.is_some_and(|deadline| now >= deadline);
        if !self.flights.iter().any(late) {
            return false;
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
            return self.come_to_rest(state);
        }
        while self.flights.front().is_some_and(|flight| flight.doom.is_some()) {
            self.drop_front(None, finished);
        }
        self.move_on()
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
            Some(flight) if flight.doom.is_some() => self.recover(state),
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

/// Wires the data and cuts it into pieces that a block can take.
fn prepare(kit: &IoKit, data: &Data) -> IOResult<(DmaCommand, Vec<Segment>)> {
    let command =
        DmaCommand::new(kit, DmaSpecification { max_segment: BOUNDARY, ..DmaSpecification::default() })?;
    data.memory.prepare()?;
    let cut = command
        .set_memory_descriptor(&data.memory, false)
        .and_then(|()| command.prepare(data.offset, u64::from(data.length)))
        .and_then(|()| pieces(&command, u64::from(data.length)));
    match cut {
        Ok(pieces) => Ok((command, pieces)),
        Err(why) => {
            let _ = command.clear_memory_descriptor(true);
            let _ = data.memory.complete();
            Err(why)
        }
    }
}

fn pieces(command: &DmaCommand, length: u64) -> IOResult<Vec<Segment>> {
    let mut pieces = Vec::new();
    let (mut offset, mut segments) = (0, [Segment::default(); 4]);
    while offset < length {
        let count = command.generate_segments(&mut offset, &mut segments)?;
        for segment in &segments[..count] {
            split(*segment, &mut pieces)?;
        }
    }
    Ok(pieces)
}

/// Cuts at multiples of 64 KiB.
fn split(mut segment: Segment, pieces: &mut Vec<Segment>) -> IOResult {
    while segment.length != 0 {
        if pieces.len() == BLOCKS_MAX {
            return Err(IOReturn::BadArgument);
        }
        let length = segment.length.min(BOUNDARY - segment.address % BOUNDARY);
        pieces.push(Segment { address: segment.address, length });
        segment = Segment { address: segment.address + length, length: segment.length - length };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_do_not_cross_64_kib() {
        let mut pieces = Vec::new();
        split(Segment { address: 0x1_fff0, length: 0x1_0020 }, &mut pieces).expect("three pieces");
        let expected = [(0x1_fff0, 0x10), (0x2_0000, 0x1_0000), (0x3_0000, 0x10)];
        assert_eq!(pieces, expected.map(|(address, length)| Segment { address, length }));
        let mut pieces = Vec::new();
        assert_eq!(
            split(Segment { address: 0, length: 17 * BOUNDARY }, &mut pieces),
            Err(IOReturn::BadArgument)
        );
    }
}
