//! A transfer on its way: its memory, which is prepared, and its blocks (4.11.2).

use super::regs;
use super::ring::Position;
use super::trb::{self, Trb};
use crate::IoKit;
use crate::family::usb::{Data, Done, Setup, Transfer};
use crate::io::{DmaCommand, DmaSpecification, MemoryDescriptor, Segment};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Data blocks of one transfer at the most.
const BLOCKS_MAX: usize = 16;
/// No block's data crosses a multiple of this (6.4.1).
const BOUNDARY: u64 = 0x1_0000;

/// A transfer in flight.
pub struct Flight {
    /// Where its first block is.
    pub first: Position,
    /// Index of each block and the bytes of data that it has.
    pub blocks: Vec<(u16, u32)>,
    /// It has a setup stage.
    pub control: bool,
    /// It must not happen if the one in front of it fails.
    pub chained: bool,
    /// Bytes that a data stage came to, if less than all.
    pub short: Option<u32>,
    dma: Option<(DmaCommand, Arc<MemoryDescriptor>)>,
    /// When it is late, machine ns.
    pub deadline: Option<u64>,
    /// What it will have failed with once the controller has let go of it.
    pub doom: Option<IOReturn>,
    done: Done,
}

impl Flight {
    /// Bytes of its data.
    pub fn total(&self) -> u32 {
        self.blocks.iter().map(|&(_, bytes)| bytes).sum()
    }

    /// Bytes up to the block with this index, of whose data `residue` was not transferred. `None`: it has no such block.
    pub fn bytes_until(&self, index: u16, residue: u32) -> Option<u32> {
        let place = self.blocks.iter().position(|&(i, _)| i == index)?;
        let before: u32 = self.blocks[..place].iter().map(|&(_, bytes)| bytes).sum();
        Some(before + self.blocks[place].1.saturating_sub(residue))
    }

    /// Whether the block with this index is the last.
    pub fn is_last(&self, index: u16) -> bool {
        self.blocks.last().is_some_and(|&(i, _)| i == index)
    }

    /// The controller is done with its memory.
    pub fn finish(self, result: IOResult<u32>) -> Finished {
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

/// A transfer that is made, and not on a ring yet.
pub struct Staged {
    /// Its blocks.
    pub blocks: Vec<Trb>,
    /// What will be in flight, without the places of the blocks.
    pub flight: Flight,
}

impl Staged {
    /// Prepares the memory of a transfer that begins at machine time `now`, for an endpoint with packets of so many bytes. `chained`: it must not happen if the one
    /// in front of it fails. BadArgument: too long.
    pub fn new(kit: &IoKit, now: u64, packet: u32, transfer: Transfer, chained: bool) -> IOResult<Self> {
        let data = transfer.data.filter(|data| data.length != 0);
        let (dma, pieces) = match &data {
            Some(data) => {
                let (command, pieces) = prepare(kit, data)?;
                (Some((command, data.memory.clone())), pieces)
            }
            None => (None, Vec::new()),
        };
        let blocks = cut(transfer.setup.as_ref(), &pieces, packet, transfer.quiet);
        let bytes = blocks.iter().map(|block| match block.kind() {
            regs::kind::NORMAL | regs::kind::DATA => block.status & 0x1_ffff,
            _ => 0,
        });
        let flight = Flight {
            first: Position { index: 0, cycle: true },
            blocks: bytes.map(|bytes| (0, bytes)).collect(),
            control: transfer.setup.is_some(),
            chained,
            short: None,
            dma,
            deadline: transfer.timeout.map(|timeout| now.saturating_add(timeout)),
            doom: None,
            done: transfer.done,
        };
        Ok(Self { blocks, flight })
    }
}

/// Gives the memory of transfers back that never were on a ring. Nobody is told: whoever asked for them is.
pub fn give_back(staged: Vec<Staged>) {
    for Staged { flight, .. } in staged {
        drop(flight.finish(Err(IOReturn::Aborted)));
    }
}

/// The blocks of one transfer (4.11.2), with packets of so many bytes. Its end is told by an event; if `quiet` without an interrupt.
fn cut(setup: Option<&Setup>, pieces: &[Segment], packet: u32, quiet: bool) -> Vec<Trb> {
    let mut blocks = Vec::with_capacity(pieces.len() + 2);
    let total: u64 = pieces.iter().map(|piece| piece.length).sum();
    let mut sent = 0;
    let end = trb::COMPLETE | if quiet { trb::QUIET } else { 0 };
    let input = setup.is_some_and(|setup| setup.is_input());
    if let Some(setup) = setup {
        blocks.push(Trb::setup(setup, !pieces.is_empty()));
    }
    for (n, piece) in pieces.iter().enumerate() {
        sent += piece.length;
        let last = n + 1 == pieces.len();
        // Packets that follow this block, at most 31 (4.11.2.4).
        let rest = (total - sent).div_ceil(u64::from(packet)).min(31) as u32;
        let status = piece.length as u32 | if last { 0 } else { rest << 17 };
        let kind = if setup.is_some() && n == 0 { regs::kind::DATA } else { regs::kind::NORMAL };
        let mut flags = trb::SHORT;
        if kind == regs::kind::DATA && input {
            flags |= trb::INPUT;
        }
        if !last {
            flags |= trb::CHAIN;
        } else if setup.is_none() {
            flags |= end;
        }
        blocks.push(Trb::new(kind, piece.address, status, flags));
    }
    if setup.is_some() {
        // The status stage goes the other way, or in if there is no data.
        let way = if input && !pieces.is_empty() { 0 } else { trb::INPUT };
        blocks.push(Trb::new(regs::kind::STATUS, 0, 0, end | way));
    } else if pieces.is_empty() {
        blocks.push(Trb::new(regs::kind::NORMAL, 0, 0, end));
    }
    blocks
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
    use alloc::vec;

    #[test]
    fn the_end_of_a_transfer_is_told_and_a_quiet_one_without_an_interrupt() {
        let pieces = [(0x1000, 0x600), (0x8000, 0x400)].map(|(address, length)| Segment { address, length });
        let flags =
            |quiet| cut(None, &pieces, 512, quiet).iter().map(|b| b.control & 0x3ff).collect::<Vec<_>>();
        let (first, last) = (trb::SHORT | trb::CHAIN, trb::SHORT | trb::COMPLETE);
        assert_eq!((flags(false), flags(true)), (vec![first, last], vec![first, last | trb::QUIET]));
        assert_eq!(cut(None, &[], 512, true)[0].control & 0x3ff, trb::COMPLETE | trb::QUIET);
        // Two packets follow the first block.
        assert_eq!(cut(None, &pieces, 512, false)[0].status, 0x600 | 2 << 17);
    }

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
