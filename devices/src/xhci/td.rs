//! Transfer descriptors: TRBs that belong together (4.11).
//!
//! A TD is begun when all of its TRBs are there, as drivers hand them over. Data move packet by packet, and a packet may lie in several
//! TRBs; an event is due when the packet with the last byte of its TRB has been.

use super::command::LINKS;
use super::ring::{Cursor, Trb};
use super::{Fallen, Xhci};
use crate::env::Env;
use crate::spec::xhci as spec;

/// TRBs of a TD at the most.
const TRBS: usize = 512;

/// A TRB, and where it is.
#[derive(Clone, Copy)]
pub struct Item {
    pub cursor: Cursor,
    pub trb: Trb,
    /// Bytes of the TD before it.
    pub start: u64,
}

impl Item {
    fn end(&self) -> u64 {
        self.start + u64::from(self.trb.length())
    }
}

/// A TD.
pub struct Td {
    items: Vec<Item>,
    /// Bytes of all.
    total: u64,
    /// Bytes that were moved.
    pub moved: u64,
    /// TRBs that are done, and whose events were sent.
    done: usize,
}

/// What is at the front of a ring.
pub enum Front {
    /// A TD.
    Td(Td),
    /// Nothing that is whole.
    Empty,
    /// Something that cannot be.
    Bad,
}

impl Td {
    /// The first TRB says what it is.
    pub fn first(&self) -> Trb {
        self.items.first().map_or_else(Trb::default, |item| item.trb)
    }

    /// Bytes that are still to move.
    pub fn left(&self) -> u64 {
        self.total - self.moved
    }

    /// The TRB that is under way.
    fn item(&self) -> Option<&Item> {
        let under_way = |item: &&Item| item.end() > self.moved;
        self.items[self.done..].iter().find(under_way).or(self.items.last())
    }

    /// Where the TRB under way is.
    pub fn position(&self) -> Cursor {
        self.item().map_or_else(Cursor::default, |item| item.cursor)
    }

    /// Bytes of a TRB that were not moved.
    fn residue(&self, item: &Item) -> u32 {
        (item.end().saturating_sub(self.moved)).min(item.trb.length().into()) as u32
    }

    /// The interrupter, and the event about the TRB under way with `code` (6.4.2.1).
    pub fn event(&self, code: u8, slot: u8, endpoint: u8) -> (u16, Trb) {
        let item = self.item().copied();
        let item = item.unwrap_or(Item { cursor: Cursor::default(), trb: Trb::default(), start: 0 });
        let event = transfer_event(item.cursor.address, code, self.residue(&item), slot, endpoint);
        (item.trb.interrupter(), event)
    }

    /// The event of a stop (4.6.9).
    pub fn stopped(&self, slot: u8, endpoint: u8) -> (u16, Trb) {
        let has_length = self.item().is_some_and(|item| item.trb.length() > 0);
        let code = if has_length { spec::STOPPED } else { spec::STOPPED_INVALID };
        self.event(code, slot, endpoint)
    }

    /// The pieces of memory that hold the next `length` bytes: address, or bytes that are in the TRB itself; and how many.
    pub fn pieces(&self, length: u64) -> Vec<(Place, usize)> {
        let (from, to) = (self.moved, self.moved + length);
        let mut pieces = Vec::new();
        for item in &self.items[self.done..] {
            let (start, end) = (from.max(item.start), to.min(item.end()));
            if start >= end {
                continue;
            }
            let skip = start - item.start;
            let place = if item.trb.has(spec::TRB_IDT) {
                Place::Immediate(item.trb.parameter >> (8 * skip.min(7)))
            } else {
                Place::Memory(item.trb.parameter.wrapping_add(skip))
            };
            pieces.push((place, (end - start) as usize));
        }
        pieces
    }

    /// TRBs that are done now, each with the event that it asks for. `short`: the device sent less, and all the others are done, too.
    pub fn finish(&mut self, short: bool, edtla: &mut u32, slot: u8, endpoint: u8) -> Vec<(u16, Trb, bool)> {
        let mut events = Vec::new();
        let mut told = false;
        while let Some(item) = self.items.get(self.done).copied() {
            let whole = item.end() <= self.moved;
            if !whole && !short {
                break;
            }
            let last = self.done + 1 == self.items.len();
            let is_data = item.trb.kind() == spec::EVENT_DATA;
            let code = if short && (is_data || !whole) { spec::SHORT_PACKET } else { spec::SUCCESS };
            let wanted = item.trb.has(spec::TRB_IOC)
                || code == spec::SHORT_PACKET && !is_data && !told && item.trb.has(spec::TRB_ISP);
            // Behind a short packet only the first TRB that asks is told, and event data.
            let passed = code == spec::SHORT_PACKET && !is_data && told;
            if wanted && !passed {
                let event = if is_data {
                    let flags = spec::TRB_ED | place(slot, endpoint);
                    let length = std::mem::take(edtla) & 0xff_ffff;
                    Trb::event(spec::TRANSFER_EVENT, item.trb.parameter, code, length, flags)
                } else {
                    transfer_event(item.cursor.address, code, self.residue(&item), slot, endpoint)
                };
                told |= code == spec::SHORT_PACKET && !is_data;
                events.push((item.trb.interrupter(), event, item.trb.has(spec::TRB_BEI)));
            }
            self.done += 1;
            if last {
                break;
            }
        }
        events
    }

    /// Nothing is left of it.
    pub fn is_done(&self) -> bool {
        self.done == self.items.len()
    }
}

/// Where data are.
#[derive(Clone, Copy)]
pub enum Place {
    /// In memory.
    Memory(u64),
    /// In the TRB (4.11.7).
    Immediate(u64),
}

/// Slot and endpoint as an event names them.
fn place(slot: u8, endpoint: u8) -> u32 {
    u32::from(slot) << 24 | u32::from(endpoint) << 16
}

/// A transfer event (6.4.2.1) about a TRB.
pub fn transfer_event(address: u64, code: u8, residue: u32, slot: u8, endpoint: u8) -> Trb {
    Trb::event(spec::TRANSFER_EVENT, address, code, residue, place(slot, endpoint))
}

impl Xhci {
    /// Reads the TD at `cursor`, which goes behind it if it is whole.
    pub(super) fn gather(&mut self, cursor: &mut Cursor, env: &mut dyn Env) -> Result<Front, Fallen> {
        let (mut at, mut links, mut total) = (*cursor, 0, 0);
        let mut items: Vec<Item> = Vec::new();
        loop {
            let mut bytes = [0; spec::TRB_BYTES];
            self.fetch(at.address, &mut bytes, env)?;
            let trb = Trb::parse(&bytes);
            if trb.has(spec::TRB_CYCLE) != at.cycle {
                return Ok(Front::Empty);
            }
            let here = at;
            at = at.after(trb);
            if trb.kind() == spec::LINK {
                links += 1;
                if links > LINKS {
                    return Ok(Front::Bad);
                }
                if !trb.has(spec::TRB_IOC) {
                    continue;
                }
            }
            let good = trb.length() <= spec::TRB_MOST && (!trb.has(spec::TRB_IDT) || trb.length() <= 8);
            if !good || items.len() == TRBS {
                return Ok(Front::Bad);
            }
            items.push(Item { cursor: here, trb, start: total });
            total += u64::from(trb.length());
            // A link within a TD is no end of it, whatever its chain bit says.
            if !trb.has(spec::TRB_CHAIN) && (trb.kind() != spec::LINK || items.len() == 1) {
                *cursor = at;
                return Ok(Front::Td(Td { items, total, moved: 0, done: 0 }));
            }
        }
    }
}
