//! The ring of an isochronous receive context: each packet in a buffer of its own (OHCI 1.1, 10.2.2 and 10.6.2).
//!
//! The last buffer that is the controller's has no branch. When it is full the context stands still, and what comes is lost, until buffers are given back.

use super::hardware::Hardware;
use super::regs::{self, Context, DESCRIPTOR_BYTES};
use crate::family::firewire::{Sink, StreamPacket};
use alloc::vec;
use alloc::vec::Vec;
use mach::DmaBuffer;

/// Buffers.
const BUFFERS: u64 = 64;
/// Every so many of them interrupt.
const INTERRUPTS: u64 = 4;
/// Buffers behind one without a status that are looked at.
const AHEAD: u64 = 2;
/// Bytes before the data: time stamp and header.
const HEAD: u64 = 8;
/// Transaction code of a stream packet.
const STREAM: u32 = 0xa;

/// A stream that is received.
pub struct Stream {
    context: Context,
    memory: DmaBuffer,
    /// Bytes of a buffer.
    bytes: u64,
    /// The buffer that the next packet is in.
    head: u64,
    sink: Sink,
}

/// Bytes of the ring of a stream with packets of at most `data` bytes of data.
pub fn bytes(data: u16) -> u64 {
    BUFFERS * (DESCRIPTOR_BYTES + room(data))
}

fn room(data: u16) -> u64 {
    (HEAD + u64::from(data)).next_multiple_of(4)
}

impl Stream {
    /// A ring in `memory`, of [`bytes`]; every buffer is the controller's.
    pub fn new(context: Context, memory: DmaBuffer, data: u16, sink: Sink) -> Self {
        let ring = Self { context, memory, bytes: room(data), head: 0, sink };
        for buffer in 0..BUFFERS {
            let interrupts = (buffer + 1).is_multiple_of(INTERRUPTS);
            let kind = if interrupts { regs::INPUT_LAST_INTERRUPTS } else { regs::INPUT_LAST };
            let branch = if buffer + 1 == BUFFERS { 0 } else { ring.pointer(buffer + 1) };
            let address = (ring.memory.address() + ring.data_at(buffer)) as u32;
            let words = [kind << 16 | ring.bytes as u32, address, branch, ring.bytes as u32];
            for (place, word) in (buffer * DESCRIPTOR_BYTES..).step_by(4).zip(words) {
                ring.memory.write_u32(place, word);
            }
        }
        ring
    }

    fn data_at(&self, buffer: u64) -> u64 {
        BUFFERS * DESCRIPTOR_BYTES + buffer * self.bytes
    }

    fn pointer(&self, buffer: u64) -> u32 {
        (self.memory.address() + buffer % BUFFERS * DESCRIPTOR_BYTES) as u32 | 1
    }

    /// Lets the context receive `channel`.
    pub fn start(&self, hardware: &Hardware, channel: u8) {
        hardware.start_stream(self.context, channel, self.pointer(0));
    }

    /// Stops the context. False: it does not come to rest.
    pub fn stop(&self, hardware: &Hardware) -> bool {
        hardware.stop(self.context)
    }

    /// Who is told.
    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// The packets that have come. Their buffers are the controller's again.
    pub fn collect(&mut self, hardware: &Hardware) -> Vec<StreamPacket> {
        let (mut packets, mut looked) = (Vec::new(), false);
        // A controller that is quicker than this comes back with the next interrupt.
        for _ in 0..BUFFERS {
            let word = self.status(self.head);
            if word >> 16 != 0 {
                packets.extend(self.packet(self.bytes.saturating_sub(u64::from(word & 0xffff))));
            } else if !(1..=AHEAD).any(|ahead| self.status(self.head + ahead) >> 16 != 0) {
                break;
            }
            // One that was passed over is as good as empty: the packets behind it tell that it is missing.
            self.give_back();
            self.head = (self.head + 1) % BUFFERS;
            looked = true;
        }
        if looked {
            hardware.wake(self.context);
        }
        packets
    }

    fn status(&self, buffer: u64) -> u32 {
        self.memory.read_u32(buffer % BUFFERS * DESCRIPTOR_BYTES + 12)
    }

    /// The packet in the buffer at the head, of which `filled` bytes are written. `None`: one that is too long, or none.
    fn packet(&self, filled: u64) -> Option<StreamPacket> {
        let at = self.data_at(self.head);
        let (stamp, header) = (self.memory.read_u32(at), self.memory.read_u32(at + 4));
        let length = header >> 16;
        if header >> 4 & 0xf != STREAM || HEAD + u64::from(length) > filled {
            return None;
        }
        let mut data = vec![0; length as usize];
        self.memory.read(at + HEAD, &mut data);
        Some(StreamPacket {
            channel: (header >> 8 & 0x3f) as u8,
            tag: (header >> 14 & 3) as u8,
            sync: (header & 0xf) as u8,
            stamp: stamp as u16,
            data,
        })
    }

    /// The buffer at the head has been looked at. Its own program first: from the branch on the controller may read it.
    fn give_back(&self) {
        let (own, before) =
            (self.head * DESCRIPTOR_BYTES, (self.head + BUFFERS - 1) % BUFFERS * DESCRIPTOR_BYTES);
        self.memory.write_u32(own + 8, 0);
        self.memory.write_u32(own + 12, self.bytes as u32);
        self.memory.write_u32(before + 8, self.pointer(self.head));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_have_room_for_head_and_data() {
        assert_eq!((room(64), room(61), room(0)), (72, 72, 8));
        assert_eq!(bytes(64), 64 * 88);
    }
}
