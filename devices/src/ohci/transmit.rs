//! Asynchronous transmit contexts: requests and responses (OHCI 1.1, chapter 7).

use super::Ohci;
use super::context::{Block, Context, Stop};
use crate::env::{Env, Mishap};
use crate::fault::plane::Site;
use crate::firewire::HOST;
use crate::firewire::packet::{Ack, Packet, Stream, wire_ns};
use crate::spec::ieee1394 as bus;
use crate::spec::ohci::{self as spec, code, command, event};

/// Nanoseconds in which a context reads a block and its data.
const FETCH_NS: u64 = 1_000;
/// Nanoseconds from a busy acknowledge to the next try.
const RETRY_NS: u64 = 20_000;

/// Something to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wire {
    Packet(Packet),
    Phy(u32),
    Stream(Stream),
    /// Cannot be sent: the event code.
    Bad(u32),
}

/// The packet that a context is sending.
#[derive(Clone, Debug)]
struct Sending {
    wire: Wire,
    /// The descriptor that gets the status.
    last: u32,
    /// Its interrupt field.
    interrupt: u16,
    /// When it is on the wire.
    due: u64,
    /// How often it was sent before.
    tries: u32,
    /// A response is not sent after this cycle.
    expires: Option<u16>,
}

/// A context.
#[derive(Clone, Default)]
pub struct Transmit {
    pub context: Context,
    sending: Option<Sending>,
}

impl Transmit {
    /// When it wants to be called.
    pub fn due(&self) -> Option<u64> {
        self.sending.as_ref().map(|sending| sending.due)
    }

    /// Something is under way.
    pub fn busy(&self) -> bool {
        self.sending.is_some()
    }
}

impl Ohci {
    /// Begins with the next packet of a context, if there is one and the bus can take it.
    pub(super) fn start_transmit(&mut self, which: usize, env: &mut dyn Env) {
        let at = &self.transmit[which];
        // 7.2.3.1: nothing is sent until software has seen the bus reset.
        if !at.context.works() || at.busy() || self.interrupts.is_set(event::BUS_RESET) || !self.link_works()
        {
            return;
        }
        match self.prepare(which, env) {
            Ok(sending) => self.transmit[which].sending = Some(sending),
            Err(stop) => self.stop_transmit(which, stop, env),
        }
    }

    fn stop_transmit(&mut self, which: usize, stop: Stop, env: &mut dyn Env) {
        self.transmit[which].sending = None;
        if let Stop::Dead(code) = stop {
            self.transmit[which].context.die(code);
            self.interrupts.set(event::UNRECOVERABLE, env);
        }
    }

    /// Reads the next block and its data.
    fn prepare(&self, which: usize, env: &mut dyn Env) -> Result<Sending, Stop> {
        let block = self.transmit[which].context.read(env)?;
        let program = Program::of(&block).ok_or(Stop::Dead(code::UNKNOWN))?;
        let first = block.at(0);
        let mut data = Vec::new();
        let mut failure = None;
        for index in program.data.clone() {
            let descriptor = block.at(index);
            let start = data.len();
            data.resize(start + usize::from(descriptor.count), 0);
            if let Err(error) = env.dma_read(descriptor.data.into(), &mut data[start..]) {
                failure = Some(Stop::from_dma(error, code::DATA_READ));
                break;
            }
        }
        self.swap(&mut data);
        let wire = match failure {
            Some(Stop::Gone) => return Err(Stop::Gone),
            Some(Stop::Dead(code)) => Wire::Bad(code),
            None => self.compose(block.raw(1), first.count, data),
        };
        let on_wire = match &wire {
            Wire::Packet(packet) => packet.wire_ns(),
            Wire::Stream(stream) => wire_ns(stream.data.len() + 16, stream.speed),
            Wire::Phy(_) | Wire::Bad(_) => 1_000,
        };
        Ok(Sending {
            wire,
            last: block.address(program.last),
            interrupt: block.at(program.last).interrupt(),
            due: env.now().saturating_add(FETCH_NS + on_wire),
            tries: 0,
            expires: (which == 1).then_some(first.residue),
        })
    }

    /// Makes a packet of the immediate header (7.8) and the data.
    fn compose(&self, header: &[u8; 16], bytes: u16, mut data: Vec<u8>) -> Wire {
        let quadlet = |n: usize| u32::from_le_bytes([header[n], header[n + 1], header[n + 2], header[n + 3]]);
        let (first, second, third, fourth) = (quadlet(0), quadlet(4), quadlet(8), quadlet(12));
        let tcode = (first >> 4 & 0xf) as u8;
        let speed = (first >> 16 & 7) as u8;
        let needed = match tcode {
            bus::TCODE_STREAM => 8,
            bus::TCODE_WRITE_RESPONSE | bus::TCODE_READ_QUADLET | bus::TCODE_PHY => 12,
            _ => 16,
        };
        if bytes < needed || speed > bus::S400 {
            return Wire::Bad(code::UNKNOWN);
        }
        let length = (if tcode == bus::TCODE_STREAM { second } else { fourth } >> 16) as u16;
        if tcode == bus::TCODE_PHY {
            return if third == !second { Wire::Phy(second) } else { Wire::Bad(code::UNKNOWN) };
        }
        let has_data =
            tcode == bus::TCODE_STREAM || Packet::is_block(tcode) && tcode != bus::TCODE_READ_BLOCK;
        if has_data {
            if data.len() < usize::from(length) {
                return Wire::Bad(code::UNDERRUN);
            }
            data.truncate(length.into());
        } else {
            data.clear();
        }
        if tcode == bus::TCODE_STREAM {
            let (tag, channel, sync) =
                ((first >> 14 & 3) as u8, (first >> 8 & 0x3f) as u8, (first & 0xf) as u8);
            return Wire::Stream(Stream { channel, tag, sync, speed, data });
        }
        if matches!(tcode, bus::TCODE_WRITE_QUADLET | bus::TCODE_READ_QUADLET_RESPONSE) {
            data = header[12..].to_vec();
            self.swap(&mut data);
        }
        let mut packet = Packet {
            destination: (second >> 16) as u16,
            source: self.node_id as u16,
            label: (first >> 10 & 0x3f) as u8,
            retry: (first >> 8 & 3) as u8,
            tcode,
            priority: (first & 0xf) as u8,
            speed,
            ..Packet::default()
        };
        if packet.is_request() {
            packet.offset = u64::from(second & 0xffff) << 32 | u64::from(third);
        } else if packet.is_response() {
            packet.rcode = (second >> 12 & 0xf) as u8;
        } else {
            return Wire::Bad(code::TCODE);
        }
        if Packet::is_block(tcode) {
            packet.length = length;
            packet.extended = fourth as u16;
        }
        packet.data = data;
        Wire::Packet(packet)
    }

    /// The packet of a context is on the wire.
    pub(super) fn finish_transmit(&mut self, which: usize, env: &mut dyn Env) {
        let Some(mut sending) = self.transmit[which].sending.take() else { return };
        let now = env.now();
        let late = sending.expires.is_some_and(|expires| is_past(expires, self.clock.stamp(now)));
        let code = match &sending.wire {
            _ if late => code::TIMEOUT,
            Wire::Bad(code) => *code,
            Wire::Phy(packet) => {
                let answer = self.bus.send_phy(*packet);
                self.receive_self_ids(&answer, env);
                code::ACK | u32::from(bus::ACK_COMPLETE)
            }
            Wire::Stream(_) => code::ACK | u32::from(bus::ACK_COMPLETE),
            Wire::Packet(packet) => {
                let packet = packet.clone();
                let ack = self.send_packet(&packet, env);
                let limit = self.registers.at_retries >> (4 * which) & 0xf;
                if ack == Ack::Busy && sending.tries < limit {
                    sending.tries += 1;
                    sending.due = now.saturating_add(RETRY_NS + packet.wire_ns());
                    self.transmit[which].sending = Some(sending);
                    return;
                }
                ack.code().map_or(code::MISSING_ACK, |ack| code::ACK | u32::from(ack))
            }
        };
        self.complete_transmit(which, &sending, code, env);
        self.start_transmit(which, env);
    }

    /// Sends a packet past what the plan does to its receiver.
    fn send_packet(&mut self, packet: &Packet, env: &mut dyn Env) -> Ack {
        let receiver = self.bus.node_at(packet.to()).filter(|&node| node != HOST);
        let mishap = receiver.map_or(Mishap::None, |node| env.pass(node - 1, Site::FireReceive));
        match mishap {
            Mishap::Gone => return Ack::Missing,
            Mishap::Error => self.bus.lose_acks(1),
            _ => {}
        }
        self.bus.send(packet, env.now())
    }

    /// Writes the status of a packet and goes on.
    fn complete_transmit(&mut self, which: usize, sending: &Sending, code: u32, env: &mut dyn Env) {
        let stamp = self.clock.stamp(env.now());
        let context = &mut self.transmit[which].context;
        context.tell(code);
        let done = context.write_status(sending.last, stamp, env);
        let next = done.and_then(|()| context.branch(sending.last, env));
        if context.control & spec::RUN == 0 {
            context.control &= !spec::ACTIVE;
        }
        let good = code == code::ACK | u32::from(bus::ACK_COMPLETE)
            || code == code::ACK | u32::from(bus::ACK_PENDING);
        if sending.interrupt == 3 || sending.interrupt == 1 && !good {
            self.interrupts.set(if which == 0 { event::REQUEST_SENT } else { event::RESPONSE_SENT }, env);
        }
        if let Err(stop) = next {
            self.stop_transmit(which, stop, env);
        }
    }

    /// A bus reset: what is under way is flushed, and nothing more is sent (7.2.3.1).
    pub(super) fn flush_transmit(&mut self, env: &mut dyn Env) {
        for which in 0..2 {
            if let Some(sending) = self.transmit[which].sending.take() {
                self.complete_transmit(which, &sending, code::FLUSHED, env);
            }
            self.transmit[which].context.control &= !spec::ACTIVE;
        }
    }

    /// Software has seen the bus reset: contexts that it left running go on.
    pub(super) fn resume_transmit(&mut self, env: &mut dyn Env) {
        for which in 0..2 {
            let context = &mut self.transmit[which].context;
            if context.has_more() {
                context.control |= spec::ACTIVE;
                self.start_transmit(which, env);
            }
        }
    }
}

/// True if the time stamp lies before `now`; both count 8 s.
fn is_past(stamp: u16, now: u16) -> bool {
    let cycles = |stamp: u16| u32::from(stamp >> 13) * 8000 + u32::from(stamp & 0x1fff);
    let behind = (cycles(now) + 64_000 - cycles(stamp) % 64_000) % 64_000;
    behind > 0 && behind < 32_000
}

/// What the descriptors of a block are.
struct Program {
    data: std::ops::Range<usize>,
    last: usize,
}

impl Program {
    /// An immediate header; then data, of which the last descriptor says that it is (7.1). `None`: it is something else.
    fn of(block: &Block) -> Option<Self> {
        let count = block.count();
        let first = block.at(0);
        if count < 2 || first.key() != spec::KEY_IMMEDIATE {
            return None;
        }
        if first.command() == command::OUTPUT_LAST {
            return (count == 2).then_some(Self { data: 2..2, last: 0 });
        }
        let plain =
            |index: usize, command: u16| block.at(index).command() == command && block.at(index).key() == 0;
        let fits = first.command() == command::OUTPUT_MORE
            && count > 2
            && (2..count - 1).all(|index| plain(index, command::OUTPUT_MORE))
            && plain(count - 1, command::OUTPUT_LAST);
        fits.then_some(Self { data: 2..count, last: count - 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::is_past;

    #[test]
    fn stamps_wrap_after_eight_seconds() {
        assert!(is_past(0x0000, 0x0001));
        assert!(!is_past(0x0001, 0x0001));
        assert!(!is_past(0x0002, 0x0001));
        assert!(is_past(7 << 13 | 7999, 0));
        assert!(!is_past(0, 7 << 13 | 7999));
    }
}
