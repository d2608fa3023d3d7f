//! A receive context's ring: packets one behind another into buffers, which are one piece of memory (OHCI 1.1, chapter 8).

use super::hardware::Hardware;
use super::regs::{self, Context, DESCRIPTOR_BYTES};
use super::wire::{self, Received};
use crate::family::firewire::Packet;
use alloc::vec;
use alloc::vec::Vec;
use mach::DmaBuffer;

/// Buffers.
const BUFFERS: u64 = 8;
/// Bytes of a buffer.
const BUFFER_BYTES: u64 = 2048;
/// Where the buffers begin; the descriptors are before them.
const DATA: u64 = BUFFERS * DESCRIPTOR_BYTES;
/// Bytes of the ring.
pub const BYTES: u64 = DATA + BUFFERS * BUFFER_BYTES;

/// A ring.
pub struct Receive {
    context: Context,
    memory: DmaBuffer,
    /// The next byte to be looked at, of all buffers.
    head: u64,
}

impl Receive {
    /// A ring in `memory`, of [`BYTES`]; every buffer is the controller's.
    pub fn new(context: Context, memory: DmaBuffer) -> Self {
        let ring = Self { context, memory, head: 0 };
        for buffer in 0..BUFFERS {
            let data = ring.memory.address() + DATA + buffer * BUFFER_BYTES;
            let head = regs::INPUT_MORE << 16 | BUFFER_BYTES as u32;
            let branch = if buffer + 1 == BUFFERS { 0 } else { ring.pointer(buffer + 1) };
            for (place, quadlet) in (0..).step_by(4).zip([head, data as u32, branch, BUFFER_BYTES as u32]) {
                ring.memory.write_u32(buffer * DESCRIPTOR_BYTES + place, quadlet);
            }
        }
        ring
    }

    fn pointer(&self, buffer: u64) -> u32 {
        (self.memory.address() + buffer % BUFFERS * DESCRIPTOR_BYTES) as u32 | 1
    }

    /// Lets the context begin.
    pub fn start(&self, hardware: &Hardware) {
        hardware.start(self.context, self.pointer(0));
    }

    /// Bytes of a buffer that have been written.
    fn filled(&self, buffer: u64) -> u64 {
        let left = self.memory.read_u32(buffer * DESCRIPTOR_BYTES + 12) & 0xffff;
        BUFFER_BYTES.saturating_sub(u64::from(left))
    }

    /// Bytes that are there and have not been looked at.
    fn available(&self) -> u64 {
        let (first, used) = (self.head / BUFFER_BYTES, self.head % BUFFER_BYTES);
        let mut bytes = self.filled(first).saturating_sub(used);
        let mut full = self.filled(first) == BUFFER_BYTES;
        for next in 1..BUFFERS {
            if !full {
                break;
            }
            let filled = self.filled((first + next) % BUFFERS);
            bytes += filled;
            full = filled == BUFFER_BYTES;
        }
        bytes
    }

    fn read(&self, bytes: u64) -> Vec<u8> {
        let mut into = vec![0; bytes as usize];
        let all = BUFFERS * BUFFER_BYTES;
        let first = bytes.min(all - self.head) as usize;
        self.memory.read(DATA + self.head, &mut into[..first]);
        self.memory.read(DATA, &mut into[first..]);
        into
    }

    /// The packets that have come.
    pub fn collect(&mut self, hardware: &Hardware) -> Vec<Packet> {
        let bytes = self.read(self.available());
        let (mut at, mut packets) = (0, Vec::new());
        while at < bytes.len() {
            match wire::decode(&bytes[at..]) {
                Received::Whole(packet, length) => {
                    packets.extend(packet);
                    at += length;
                }
                Received::Part => break,
                // What is there now ends with a packet: so the next one begins behind it.
                Received::Nonsense => at = bytes.len(),
            }
        }
        self.take(at as u64, hardware);
        packets
    }

    /// So many bytes have been looked at: the buffers that they have emptied are the controller's again.
    fn take(&mut self, bytes: u64, hardware: &Hardware) {
        let first = self.head / BUFFER_BYTES;
        let emptied = (self.head % BUFFER_BYTES + bytes) / BUFFER_BYTES;
        self.head = (self.head + bytes) % (BUFFERS * BUFFER_BYTES);
        for buffer in (first..first + emptied).map(|buffer| buffer % BUFFERS) {
            let (own, before) =
                (buffer * DESCRIPTOR_BYTES, (buffer + BUFFERS - 1) % BUFFERS * DESCRIPTOR_BYTES);
            self.memory.write_u32(own + 8, 0);
            self.memory.write_u32(own + 12, BUFFER_BYTES as u32);
            self.memory.write_u32(before + 8, self.pointer(buffer));
        }
        if emptied != 0 {
            hardware.wake(self.context);
        }
    }
}
