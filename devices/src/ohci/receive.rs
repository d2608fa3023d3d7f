//! Asynchronous receive contexts: packets one behind another into buffers (OHCI 1.1, chapter 8).

use super::Ohci;
use super::context::{Context, Descriptor, Stop};
use crate::env::Env;
use crate::firewire::packet::Packet;
use crate::spec::ohci::{self as spec, code, command, event};

/// Descriptors that one packet may be spread over.
const SPREAD: usize = 16;

/// A context.
#[derive(Clone, Default)]
pub struct Receive {
    pub context: Context,
    /// Bytes used of the descriptor that CommandPtr points to.
    pub used: u16,
}

/// A piece of a packet: which descriptor takes it.
#[derive(Clone, Copy)]
struct Piece {
    address: u32,
    descriptor: Descriptor,
    used: u16,
    length: u16,
}

/// The bytes of a received packet in memory, without the trailer (8.4).
pub fn encode(packet: &Packet) -> Vec<u8> {
    let mut bytes: Vec<u8> = packet.header().into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend(&packet.data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

impl Ohci {
    /// Puts a packet into context `which` (0: requests, 1: responses), with a trailer of speed and event code. False: there is no room.
    pub(super) fn deposit(
        &mut self,
        which: usize,
        mut bytes: Vec<u8>,
        speed: u8,
        code: u32,
        env: &mut dyn Env,
    ) -> bool {
        let ar = &mut self.receive[which];
        if !ar.context.works() {
            return false;
        }
        let before = ar.context;
        ar.context.tell(code);
        ar.context.tell_speed(speed);
        let trailer = u32::from(ar.context.status()) << 16 | u32::from(self.clock.stamp(env.now()));
        bytes.extend(trailer.to_le_bytes());
        match ar.put(&bytes, env) {
            Ok(Some(full)) => {
                let packet = if which == 0 { event::REQUEST_PACKET } else { event::RESPONSE_PACKET };
                let buffer = if which == 0 { event::ARRQ } else { event::ARRS };
                self.interrupts.set(packet | if full { buffer } else { 0 }, env);
                true
            }
            Ok(None) => {
                ar.context = before;
                false
            }
            Err(stop) => {
                self.stop_receive(which, stop, env);
                false
            }
        }
    }

    fn stop_receive(&mut self, which: usize, stop: Stop, env: &mut dyn Env) {
        if let Stop::Dead(code) = stop {
            self.receive[which].context.die(code);
            self.interrupts.set(event::UNRECOVERABLE, env);
        }
    }

    /// RUN or WAKE was set.
    pub(super) fn start_receive(&mut self, which: usize, fresh: bool, env: &mut dyn Env) {
        let ar = &mut self.receive[which];
        let before = ar.context.command;
        let done = ar.context.wake(env);
        if fresh || ar.context.command != before {
            ar.used = 0;
        }
        if let Err(stop) = done {
            self.stop_receive(which, stop, env);
        }
        if which == 0 {
            self.tell_reset(env);
        }
    }
}

impl Receive {
    /// Writes a packet. `None`: there is no room for all of it; else, whether a descriptor that interrupts became full.
    pub(super) fn put(&mut self, bytes: &[u8], env: &mut dyn Env) -> Result<Option<bool>, Stop> {
        let Some(pieces) = self.plan(bytes.len(), env)? else { return Ok(None) };
        let mut at = 0;
        for piece in &pieces {
            let part = &bytes[at..at + usize::from(piece.length)];
            let to = u64::from(piece.descriptor.data & !3) + u64::from(piece.used);
            env.dma_write(to, part).map_err(|e| Stop::from_dma(e, code::DATA_WRITE))?;
            at += part.len();
        }
        let mut interrupts = false;
        for piece in &pieces {
            let left = piece.descriptor.count - piece.used - piece.length;
            self.context.write_status(piece.address, left, env)?;
            interrupts |= left == 0 && piece.descriptor.interrupt() == 3;
        }
        if let Some(last) = pieces.last() {
            self.context.command = last.address | 1;
            self.used = last.used + last.length;
            if self.used == last.descriptor.count {
                self.used = 0;
                self.context.branch(last.address, env)?;
            }
        }
        Ok(Some(interrupts))
    }

    /// The descriptors for `bytes` bytes; `None`: they do not have that much room.
    fn plan(&self, bytes: usize, env: &mut dyn Env) -> Result<Option<Vec<Piece>>, Stop> {
        let mut pieces = Vec::new();
        let (mut pointer, mut used, mut left) = (self.context.command, self.used, bytes);
        for _ in 0..SPREAD {
            if pointer & 0xf == 0 {
                return Ok(None);
            }
            let block = self.context.read_at(pointer, env)?;
            let descriptor = block.at(0);
            let fits =
                block.count() == 1 && descriptor.command() == command::INPUT_MORE && descriptor.count > 0;
            if !fits || used > descriptor.count {
                return Err(Stop::Dead(code::UNKNOWN));
            }
            let length = left.min(usize::from(descriptor.count - used)) as u16;
            pieces.push(Piece { address: block.address(0), descriptor, used, length });
            left -= usize::from(length);
            if left == 0 {
                return Ok(Some(pieces));
            }
            (pointer, used) = (descriptor.branch, 0);
        }
        Ok(None)
    }
}

/// The packet that tells of a bus reset among the requests (8.4.2.3).
pub fn reset_packet(generation: u32) -> Vec<u8> {
    let first = u32::from(crate::spec::ieee1394::TCODE_PHY) << 4;
    [first, 0, (generation & 0xff) << 16].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A PHY packet as it is received (8.4.2.2).
pub fn phy_packet(packet: u32) -> Vec<u8> {
    let first = u32::from(crate::spec::ieee1394::TCODE_PHY) << 4;
    [first, packet, !packet].into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Bits of a receive context that software can set besides: none.
pub const MODES: u32 = 0;

/// True if the context was started by these bits, not only woken.
pub fn is_start(before: u32, bits: u32) -> bool {
    bits & spec::RUN != 0 && before & spec::RUN == 0
}
