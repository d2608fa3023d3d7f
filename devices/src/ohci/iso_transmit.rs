//! Isochronous transmit contexts (OHCI 1.1, chapter 9): one descriptor block a cycle.

use super::Ohci;
use super::context::{Block, Context, Stop};
use super::interrupt::Kind;
use crate::env::Env;
use crate::firewire::packet::Stream;
use crate::spec::ohci::{self as spec, code, command, event};

/// A context.
#[derive(Clone, Default)]
pub struct IsoTransmit {
    pub context: Context,
}

/// What a block says to do in a cycle.
struct Turn {
    packet: Option<Stream>,
    last: u32,
    status: bool,
    interrupt: bool,
    code: u32,
}

impl Ohci {
    /// A cycle for context `which`: its packet, if it sends one.
    pub(super) fn transmit_cycle(&mut self, which: usize, stamp: u16, env: &mut dyn Env) -> Option<Stream> {
        let it = &mut self.iso_transmit[which];
        if !it.context.works() || !it.starts(stamp) {
            return None;
        }
        let result = it.turn(env).and_then(|turn| {
            it.context.tell(turn.code);
            if turn.status {
                it.context.write_status(turn.last, stamp, env)?;
            }
            it.context.branch(turn.last, env)?;
            Ok(turn)
        });
        match result {
            Ok(turn) => {
                if turn.interrupt {
                    self.interrupts.set_iso(Kind::Transmit, 1 << which, env);
                }
                let mut packet = turn.packet;
                if let Some(packet) = &mut packet {
                    self.swap(&mut packet.data);
                }
                packet
            }
            Err(stop) => {
                self.stop_iso_transmit(which, stop, env);
                None
            }
        }
    }

    /// A cycle was lost: each context goes on at its skip address (9.4).
    pub(super) fn skip_cycle(&mut self, which: usize, env: &mut dyn Env) {
        let context = &mut self.iso_transmit[which].context;
        if !context.works() || context.control & spec::IT_CYCLE_MATCH != 0 {
            return;
        }
        match context.read(env) {
            Ok(block) => context.follow(block.address(0), block.at(0).branch),
            Err(stop) => self.stop_iso_transmit(which, stop, env),
        }
    }

    fn stop_iso_transmit(&mut self, which: usize, stop: Stop, env: &mut dyn Env) {
        if let Stop::Dead(code) = stop {
            self.iso_transmit[which].context.die(code);
            self.interrupts.set(event::UNRECOVERABLE, env);
        }
    }
}

impl IsoTransmit {
    /// Waits for its cycle, if it is told to (9.2.2).
    fn starts(&mut self, stamp: u16) -> bool {
        if self.context.control & spec::IT_CYCLE_MATCH == 0 {
            return true;
        }
        let comes = self.context.control >> 16 & 0x7fff == u32::from(stamp & 0x7fff);
        if comes {
            self.context.control &= !spec::IT_CYCLE_MATCH;
        }
        comes
    }

    fn turn(&self, env: &mut dyn Env) -> Result<Turn, Stop> {
        let block = self.context.read(env)?;
        let bad = Stop::Dead(code::UNKNOWN);
        let first = block.at(0);
        // 9.1.6: a value is stored, in the place of a packet or before one.
        let stores = first.command() == command::STORE_VALUE && first.key() == spec::KEY_STORE;
        let start = usize::from(stores);
        if stores {
            let value = u32::from(first.count).to_le_bytes();
            env.dma_write(first.data.into(), &value).map_err(|e| Stop::from_dma(e, code::DATA_WRITE))?;
        }
        if start == block.count() {
            return Err(bad);
        }
        let head = block.at(start);
        if head.key() != spec::KEY_IMMEDIATE {
            // No header: a cycle without a packet.
            let skips =
                start + 1 == block.count() && head.command() == command::OUTPUT_LAST && head.count == 0;
            return if skips { Ok(Turn::new(&block, start, None, code::ACK | 1)) } else { Err(bad) };
        }
        if start + 2 > block.count() || head.count < 8 {
            return Err(bad);
        }
        let last = match head.command() {
            command::OUTPUT_LAST if start + 2 == block.count() => start,
            command::OUTPUT_MORE if start + 2 < block.count() => block.count() - 1,
            _ => return Err(bad),
        };
        let data = gather(&block, start + 2, env)?;
        let (packet, code) = data.map_or_else(|code| (None, code), |data| packet(block.raw(start + 1), data));
        Ok(Turn::new(&block, last, packet, code))
    }
}

impl Turn {
    fn new(block: &Block, last: usize, packet: Option<Stream>, code: u32) -> Self {
        let descriptor = block.at(last);
        Self {
            packet,
            last: block.address(last),
            status: descriptor.wants_status(),
            interrupt: descriptor.interrupt() == 3,
            code,
        }
    }
}

/// The data of a packet; the inner error is the code of data that could not be read.
fn gather(block: &Block, from: usize, env: &mut dyn Env) -> Result<Result<Vec<u8>, u32>, Stop> {
    let mut data = Vec::new();
    for index in from..block.count() {
        let descriptor = block.at(index);
        let is_last = index + 1 == block.count();
        let wanted = if is_last { command::OUTPUT_LAST } else { command::OUTPUT_MORE };
        if descriptor.command() != wanted || descriptor.key() != 0 {
            return Err(Stop::Dead(code::UNKNOWN));
        }
        let start = data.len();
        data.resize(start + usize::from(descriptor.count), 0);
        if let Err(error) = env.dma_read(descriptor.data.into(), &mut data[start..]) {
            return match Stop::from_dma(error, code::DATA_READ) {
                Stop::Gone => Err(Stop::Gone),
                Stop::Dead(code) => Ok(Err(code)),
            };
        }
    }
    Ok(Ok(data))
}

/// The packet of an immediate header (9.6) and its data, with the event code.
fn packet(header: &[u8; 16], mut data: Vec<u8>) -> (Option<Stream>, u32) {
    let quadlet = |n: usize| u32::from_le_bytes([header[n], header[n + 1], header[n + 2], header[n + 3]]);
    let (first, second) = (quadlet(0), quadlet(4));
    if first >> 4 & 0xf != u32::from(crate::spec::ieee1394::TCODE_STREAM) {
        return (None, code::TCODE);
    }
    let length = (second >> 16) as usize;
    if data.len() < length {
        return (None, code::UNDERRUN);
    }
    data.truncate(length);
    let stream = Stream {
        speed: (first >> 16 & 7) as u8,
        tag: (first >> 14 & 3) as u8,
        channel: (first >> 8 & 0x3f) as u8,
        sync: (first & 0xf) as u8,
        data,
    };
    (Some(stream), code::ACK | 1)
}
