//! A transmit context's ring: packets on their way, in order (OHCI 1.1, chapter 7).
//!
//! Each place has room for the descriptors and the data of one packet. The controller looks at the last descriptor of the packet before once more to
//! find the next, so one place is always left free.

use super::hardware::Hardware;
use super::regs::{self, Context, DESCRIPTOR_BYTES, code};
use super::wire;
use crate::family::firewire::bus::PAYLOAD_MAX;
use crate::family::firewire::{Packet, Sent, Tag};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use mach::DmaBuffer;

/// Places.
const PLACES: usize = 64;
/// Bytes of the descriptors of a place.
const PROGRAM_BYTES: u64 = 64;
/// Bytes of the ring.
pub const BYTES: u64 = PLACES as u64 * (PROGRAM_BYTES + PAYLOAD_MAX as u64);

/// A ring.
pub struct Transmit {
    context: Context,
    memory: DmaBuffer,
    /// The place that the next packet gets.
    next: usize,
    /// Packets on their way: the descriptor that gets the status, and whose they are.
    flights: VecDeque<(u64, Option<Tag>)>,
    /// The last descriptor of the last packet; `None`: the context stands still.
    last: Option<u64>,
}

impl Transmit {
    /// A ring in `memory`, of [`BYTES`].
    pub fn new(context: Context, memory: DmaBuffer) -> Self {
        Self { context, memory, next: 0, flights: VecDeque::new(), last: None }
    }

    /// Puts a packet on its way; a response is not sent after cycle `until`. NoResources: too many are. BadArgument: it is too long.
    pub fn push(&mut self, hardware: &Hardware, packet: &Packet, tag: Option<Tag>, until: u16) -> IOResult {
        if packet.data.len() > PAYLOAD_MAX {
            return Err(IOReturn::BadArgument);
        }
        if self.flights.len() + 1 >= PLACES {
            return Err(IOReturn::NoResources);
        }
        let at = self.next as u64 * PROGRAM_BYTES;
        let (last, count) = self.write(at, packet, until);
        self.next = (self.next + 1) % PLACES;
        self.flights.push_back((last, tag));
        let pointer = (self.memory.address() + at) as u32 | count;
        match self.last.replace(last) {
            // The program first: from the branch on the controller may read it.
            Some(before) => {
                self.memory.write_u32(before + 8, pointer);
                hardware.wake(self.context);
            }
            None => hardware.start(self.context, pointer),
        }
        Ok(())
    }

    /// Writes the program of a packet at `at`; its last descriptor, and how many there are.
    fn write(&self, at: u64, packet: &Packet, until: u16) -> (u64, u32) {
        let header = wire::encode(packet);
        let bytes = header.len() as u32 * 4;
        for (place, quadlet) in (at + DESCRIPTOR_BYTES..).step_by(4).zip(&header) {
            self.memory.write_u32(place, *quadlet);
        }
        if !wire::has_data(packet) {
            self.descriptor(at, regs::OUTPUT_LAST_IMMEDIATE << 16 | bytes, 0, u32::from(until));
            return (at, 2);
        }
        self.descriptor(at, regs::OUTPUT_MORE_IMMEDIATE << 16 | bytes, 0, u32::from(until));
        let data = PLACES as u64 * PROGRAM_BYTES + at / PROGRAM_BYTES * PAYLOAD_MAX as u64;
        self.memory.write(data, &packet.data);
        let last = at + 2 * DESCRIPTOR_BYTES;
        let address = (self.memory.address() + data) as u32;
        self.descriptor(last, regs::OUTPUT_LAST << 16 | packet.data.len() as u32, address, 0);
        (last, 3)
    }

    fn descriptor(&self, at: u64, head: u32, data: u32, status: u32) {
        for (place, quadlet) in (at..).step_by(4).zip([head, data, 0, status]) {
            self.memory.write_u32(place, quadlet);
        }
    }

    /// What became of packets, in order.
    pub fn collect(&mut self) -> Vec<(Tag, Sent)> {
        let flights = self.flights.iter();
        let codes: Vec<u32> =
            flights.map(|&(last, _)| self.memory.read_u32(last + 12) >> 16 & 0x1f).collect();
        // The controller sends in order: one before the last that has a status has been sent, too, although nobody can tell with what success.
        let count = codes.iter().rposition(|&code| code != code::NONE).map_or(0, |last| last + 1);
        let tags = self.flights.drain(..count).map(|(_, tag)| tag);
        tags.zip(codes).filter_map(|(tag, code)| Some((tag?, sent(code)))).collect()
    }

    /// A bus reset: the context stands still, and begins anew. Whose packets did not come to their end.
    pub fn flush(&mut self) -> Vec<Tag> {
        self.last = None;
        self.flights.drain(..).filter_map(|(_, tag)| tag).collect()
    }
}

/// What an event code means for a request.
fn sent(code: u32) -> Sent {
    match code {
        code::COMPLETE => Sent::Complete,
        // Its status did not reach memory: if it is answered that will tell, else that it is not.
        code::PENDING | code::NONE => Sent::Pending,
        code::FLUSHED => Sent::Failed(IOReturn::BusReset),
        code::MISSING_ACK => Sent::Failed(IOReturn::NotResponding),
        code::TYPE_ERROR => Sent::Failed(IOReturn::Unsupported),
        code if code::BUSY.contains(&code) => Sent::Failed(IOReturn::Busy),
        _ => Sent::Failed(IOReturn::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_event_codes_mean() {
        assert_eq!([0x11, 0x12, 0x00].map(sent), [Sent::Complete, Sent::Pending, Sent::Pending]);
        let why = [0x03, 0x0f, 0x14, 0x15, 0x16, 0x1e, 0x1d, 0x07].map(|code| match sent(code) {
            Sent::Failed(why) => Some(why),
            _ => None,
        });
        assert_eq!(
            why.map(|why| why.expect("a failure")),
            [
                IOReturn::NotResponding,
                IOReturn::BusReset,
                IOReturn::Busy,
                IOReturn::Busy,
                IOReturn::Busy,
                IOReturn::Unsupported,
                IOReturn::Error,
                IOReturn::Error,
            ]
        );
    }
}
