//! The split queue in DMA memory (virtio 1.2, 2.7): makes chains available, takes used ones back.

use super::layout::{CHAIN, Layout};
use super::regs;
use crate::driver::common::Request;
use mach::DmaBuffer;

/// The used ring says what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage(pub u32);

/// The queue and the buffers of its requests.
pub struct Ring {
    memory: DmaBuffer,
    layout: Layout,
    next_available: u16,
    next_used: u16,
}

impl Ring {
    /// An empty queue in `memory`, which is as long as `layout` says.
    pub fn new(memory: DmaBuffer, layout: Layout) -> Self {
        const ZERO: [u8; 64] = [0; 64];
        for at in (0..layout.header(0)).step_by(ZERO.len()) {
            memory.write(at, &ZERO);
        }
        Self { memory, layout, next_available: 0, next_used: 0 }
    }

    /// Hands `request`, which asks for `ask`, to the device. The caller rings the doorbell.
    pub fn submit(&mut self, request: u16, ask: &Request<'_>) {
        let (kind, block) = match *ask {
            Request::Read(block, _) => (regs::T_IN, block),
            Request::Write(block, _) => (regs::T_OUT, block),
            Request::Flush => (regs::T_FLUSH, 0),
        };
        let mut header = [0; regs::HEADER_BYTES as usize];
        header[..4].copy_from_slice(&kind.to_le_bytes());
        header[8..].copy_from_slice(&block.to_le_bytes());
        self.memory.write(self.layout.header(request), &header);
        // Not a status that a device gives: one that writes none has failed.
        self.memory.write(self.layout.status(request), &[0xff]);
        self.write_chain(request, ask);
        let head = request * CHAIN;
        self.memory.write_u16(self.layout.available_entry(self.next_available), head);
        self.next_available = self.next_available.wrapping_add(1);
        // The index last: what it covers is visible before it (2.7.13.3); each write releases.
        self.memory.write_u16(self.layout.available_index(), self.next_available);
    }

    fn write_chain(&self, request: u16, ask: &Request<'_>) {
        let mut next = request * CHAIN;
        let mut link = |offset: u64, bytes: u32, flags: u16| {
            let descriptor = self.layout.descriptor(next);
            let mut encoded = [0; 16];
            encoded[..8].copy_from_slice(&(self.memory.address() + offset).to_le_bytes());
            encoded[8..12].copy_from_slice(&bytes.to_le_bytes());
            encoded[12..14].copy_from_slice(&flags.to_le_bytes());
            next += 1;
            encoded[14..].copy_from_slice(&next.to_le_bytes());
            self.memory.write(descriptor, &encoded);
        };
        let data = self.layout.data(request);
        link(self.layout.header(request), regs::HEADER_BYTES, regs::DESC_NEXT);
        match ask {
            Request::Read(_, into) => link(data, into.len() as u32, regs::DESC_NEXT | regs::DESC_WRITE),
            Request::Write(_, from) => {
                self.memory.write(data, from);
                link(data, from.len() as u32, regs::DESC_NEXT);
            }
            Request::Flush => {}
        }
        link(self.layout.status(request), 1, regs::DESC_WRITE);
    }

    /// The head of the next chain that the device says it is done with. `Ok(None)`: no more for now.
    ///
    /// # Errors
    /// The index says that more was put into the ring than fits.
    pub fn pop(&mut self) -> Result<Option<u32>, Garbage> {
        let index = self.memory.read_u16(self.layout.used_index());
        if !has_used(index, self.next_used, self.layout.size)? {
            return Ok(None);
        }
        let id = self.memory.read_u32(self.layout.used_entry(self.next_used));
        self.next_used = self.next_used.wrapping_add(1);
        Ok(Some(id))
    }

    /// The status byte of a request.
    pub fn status(&self, request: u16) -> u8 {
        let mut status = [0];
        self.memory.read(self.layout.status(request), &mut status);
        status[0]
    }

    /// Reads what came for a request.
    pub fn data(&self, request: u16, into: &mut [u8]) {
        self.memory.read(self.layout.data(request), into);
    }
}

/// Whether the used ring's `index` is ahead of the `next` that is expected; by no more than the ring's `size`.
fn has_used(index: u16, next: u16, size: u16) -> Result<bool, Garbage> {
    match index.wrapping_sub(next) {
        0 => Ok(false),
        done if done <= size => Ok(true),
        _ => Err(Garbage(u32::from(index))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_wraps_and_does_not_run_ahead() {
        assert_eq!(has_used(0, 0, 0), Ok(false));
        assert_eq!(has_used(1, 0xffff, 2), Ok(true));
        assert_eq!(has_used(2, 0xffff, 2), Err(Garbage(2)));
        assert_eq!(has_used(0xfffe, 0xffff, 16), Err(Garbage(0xfffe)));
    }
}
