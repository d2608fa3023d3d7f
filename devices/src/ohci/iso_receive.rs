//! Isochronous receive contexts (OHCI 1.1, chapter 10): buffer-fill and packet-per-buffer mode.

use super::Ohci;
use super::context::{Block, Stop};
use super::interrupt::Kind;
use super::receive::Receive;
use crate::env::Env;
use crate::firewire::packet::Stream;
use crate::spec::ohci::{self as spec, code, command, event};

/// Modes that software can set in ContextControl. Dual buffers there are none.
pub const MODES: u32 = spec::IR_BUFFER_FILL | spec::IR_HEADER | spec::IR_CYCLE_MATCH | spec::IR_MULTI_CHANNEL;

/// A context.
#[derive(Clone, Default)]
pub struct IsoReceive {
    pub receive: Receive,
    /// ContextMatch.
    pub matching: u32,
}

impl Ohci {
    /// A cycle begins: contexts that wait for it start (10.3.3).
    pub(super) fn match_cycle(&mut self, stamp: u16) {
        for ir in &mut self.iso_receive {
            let waits = ir.receive.context.control & spec::IR_CYCLE_MATCH != 0;
            if waits && ir.matching >> 12 & 0x7fff == u32::from(stamp & 0x7fff) {
                ir.receive.context.control &= !spec::IR_CYCLE_MATCH;
            }
        }
    }

    /// A stream packet came.
    pub(super) fn receive_stream(&mut self, stream: &Stream, stamp: u16, env: &mut dyn Env) {
        let channels = self.registers.multi_channel;
        let mut stream = stream.clone();
        self.swap(&mut stream.data);
        for which in 0..spec::RECEIVE_CONTEXTS {
            let ir = &mut self.iso_receive[which];
            if !ir.wants(&stream, channels) {
                continue;
            }
            let fills = ir.receive.context.control & spec::IR_BUFFER_FILL != 0;
            let result = if fills { ir.fill(&stream, stamp, env) } else { ir.place(&stream, stamp, env) };
            match result {
                Ok(true) => self.interrupts.set_iso(Kind::Receive, 1 << which, env),
                Ok(false) => {}
                Err(Stop::Gone) => return,
                Err(Stop::Dead(code)) => {
                    self.iso_receive[which].receive.context.die(code);
                    self.interrupts.set(event::UNRECOVERABLE, env);
                }
            }
        }
    }
}

impl IsoReceive {
    fn wants(&self, stream: &Stream, channels: u64) -> bool {
        let control = self.receive.context.control;
        if !self.receive.context.works() || control & spec::IR_CYCLE_MATCH != 0 {
            return false;
        }
        let channel = if control & spec::IR_MULTI_CHANNEL != 0 {
            channels >> (stream.channel & 0x3f) & 1 != 0
        } else {
            self.matching & 0x3f == u32::from(stream.channel)
        };
        let tag = self.matching >> (28 + (stream.tag & 3)) & 1 != 0;
        // Tag 1 with a synchronisation code of 01xx, 10xx or 11xx is kept out if software says so (10.3.3).
        let kept_out = self.matching & 1 << 6 != 0 && stream.tag == 1 && stream.sync & 0xc != 0;
        channel && tag && !kept_out
    }

    /// A block that waits takes nothing until the synchronisation code comes.
    fn waits(&self, block: &Block, stream: &Stream) -> bool {
        block.at(0).waits() && self.matching >> 8 & 0xf != u32::from(stream.sync)
    }

    /// Buffer-fill mode: header, data and trailer behind what is there already (10.6.1). The result tells whether to interrupt.
    fn fill(&mut self, stream: &Stream, stamp: u16, env: &mut dyn Env) -> Result<bool, Stop> {
        let context = &mut self.receive.context;
        if self.receive.used == 0 {
            let block = context.read(env)?;
            if self.waits(&block, stream) {
                return Ok(false);
            }
        }
        let context = &mut self.receive.context;
        context.tell(code::ACK | 1);
        context.tell_speed(stream.speed);
        let with_header = context.control & spec::IR_HEADER != 0;
        let trailer = u32::from(context.status()) << 16 | u32::from(stamp);
        let mut bytes = Vec::new();
        if with_header {
            bytes.extend(stream.header().to_le_bytes());
        }
        bytes.extend(&stream.data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        if with_header {
            bytes.extend(trailer.to_le_bytes());
        }
        if bytes.is_empty() {
            return Ok(false);
        }
        // Without room the packet is lost, which nothing tells (10.2.1).
        Ok(self.receive.put(&bytes, env)?.unwrap_or(false))
    }

    /// Packet-per-buffer mode: each packet has a descriptor block (10.6.2).
    fn place(&mut self, stream: &Stream, stamp: u16, env: &mut dyn Env) -> Result<bool, Stop> {
        let block = self.receive.context.read(env)?;
        check(&block)?;
        if self.waits(&block, stream) {
            return Ok(false);
        }
        let context = &mut self.receive.context;
        let mut bytes = Vec::new();
        if context.control & spec::IR_HEADER != 0 {
            bytes.extend(u32::from(stamp).to_le_bytes());
            bytes.extend(stream.header().to_le_bytes());
        }
        bytes.extend(&stream.data);
        let room: usize = (0..block.count()).map(|index| usize::from(block.at(index).count)).sum();
        context.tell(if bytes.len() > room { code::LONG_PACKET } else { code::ACK | 1 });
        context.tell_speed(stream.speed);
        let mut rest = &bytes[..bytes.len().min(room)];
        for index in 0..block.count() {
            let descriptor = block.at(index);
            let (part, behind) = rest.split_at(rest.len().min(descriptor.count.into()));
            if !part.is_empty() {
                env.dma_write(descriptor.data.into(), part)
                    .map_err(|e| Stop::from_dma(e, code::DATA_WRITE))?;
            }
            rest = behind;
            let is_last = index + 1 == block.count();
            if is_last || descriptor.wants_status() && !part.is_empty() {
                let left = descriptor.count - part.len() as u16;
                self.receive.context.write_status(block.address(index), left, env)?;
            }
        }
        let last = block.count() - 1;
        self.receive.context.branch(block.address(last), env)?;
        Ok(block.at(last).interrupt() == 3)
    }
}

/// All but the last descriptor say that more follow.
fn check(block: &Block) -> Result<(), Stop> {
    let last = block.count() - 1;
    let fits = |index: usize| {
        let wanted = if index == last { command::INPUT_LAST } else { command::INPUT_MORE };
        block.at(index).command() == wanted
    };
    if (0..=last).all(fits) { Ok(()) } else { Err(Stop::Dead(code::UNKNOWN)) }
}
