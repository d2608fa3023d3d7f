//! What the gate protects: the rings, and where the bus is between a reset and its self-ID packets.

use super::hardware::Hardware;
use super::receive::{self, Receive};
use super::regs::{self, Context, STREAMS_MAX};
use super::stream::Stream;
use super::transmit::{self, Transmit};
use crate::family::firewire::standard::SPLIT_TIMEOUT_CYCLES;
use crate::family::firewire::{Packet, Sent, Sink, StreamId, StreamPacket, Tag, rom};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::vec;
use alloc::vec::Vec;
use mach::DmaBuffer;

/// Bytes of the self-ID buffer (11.1).
const SELF_ID_BYTES: u64 = 2048;
/// Bytes of the configuration ROM, and what its address is a multiple of (5.5.6).
const ROM_BYTES: u64 = 1024;
/// The vendor that the project uses for itself (locally administered, so that it is nobody's).
const VENDOR: u32 = 0x02_5747;
/// Node capabilities: split timeouts, 64-bit fixed addresses, the state bits (IEEE 1394-1995, 8.3.2.5.5.2).
const CAPABILITIES: u32 = 0x00_83c0;
/// Cycles until the three bits of seconds wrap.
const STAMP_CYCLES: u32 = 8 * 8000;

/// The rings and the buffers.
pub struct Engine {
    hardware: Hardware,
    requests: Transmit,
    responses: Transmit,
    request_ring: Receive,
    response_ring: Receive,
    self_ids: DmaBuffer,
    rom: DmaBuffer,
    /// The bus has IDs: packets may go.
    settled: bool,
    /// By context; as many as there are contexts.
    streams: Vec<Option<(StreamId, Stream)>>,
    /// Streams that were opened.
    opened: u64,
}

/// The self-ID packets of a bus reset.
pub struct SelfIds {
    /// The local node.
    pub local: u8,
    /// The packets.
    pub packets: Vec<u32>,
}

impl Engine {
    /// Makes the rings, and tells the controller of all of it; `get` gets memory by size and alignment.
    pub fn new(hardware: &Hardware, mut get: impl FnMut(u64, u64) -> IOResult<DmaBuffer>) -> IOResult<Self> {
        let engine = Self {
            hardware: hardware.clone(),
            requests: Transmit::new(Context::RequestOut, get(transmit::BYTES, 64)?),
            responses: Transmit::new(Context::ResponseOut, get(transmit::BYTES, 64)?),
            request_ring: Receive::new(Context::RequestIn, get(receive::BYTES, 64)?),
            response_ring: Receive::new(Context::ResponseIn, get(receive::BYTES, 64)?),
            self_ids: get(SELF_ID_BYTES, SELF_ID_BYTES)?,
            rom: get(ROM_BYTES, ROM_BYTES)?,
            settled: false,
            streams: Vec::new(),
            opened: 0,
        };
        let header = engine.write_rom();
        hardware.set_up(engine.self_ids.address(), engine.rom.address(), header);
        let contexts = usize::from(hardware.streams()).min(STREAMS_MAX);
        Ok(Self { streams: (0..contexts).map(|_| None).collect(), ..engine })
    }

    /// Writes the configuration ROM, in the order of the bus; its header.
    fn write_rom(&self) -> u32 {
        let quadlets = rom::build(self.hardware.bus_options(), self.hardware.guid(), VENDOR, CAPABILITIES);
        for place in 0..ROM_BYTES / 4 {
            let quadlet = quadlets.get(place as usize).copied().unwrap_or(0);
            self.rom.write_u32(4 * place, quadlet.swap_bytes());
        }
        quadlets[0]
    }

    /// Lets the link begin, with a bus reset.
    pub fn enable(&self) {
        self.request_ring.start(&self.hardware);
        self.response_ring.start(&self.hardware);
        self.hardware.enable();
        self.hardware.reset_bus();
    }

    /// Whether the bus has IDs.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Puts a request on its way.
    pub fn send(&mut self, tag: Tag, packet: &Packet) -> IOResult {
        if !self.settled {
            return Err(IOReturn::BusReset);
        }
        self.requests.push(&self.hardware, packet, Some(tag), 0)
    }

    /// Puts a response on its way, while its request waits for it.
    pub fn respond(&mut self, packet: &Packet) -> IOResult {
        if !self.settled {
            return Err(IOReturn::BusReset);
        }
        self.responses.push(&self.hardware, packet, None, later(packet.stamp))
    }

    /// What became of requests.
    pub fn sent(&mut self) -> Vec<(Tag, Sent)> {
        self.responses.collect();
        self.requests.collect()
    }

    /// The requests that have come.
    pub fn requests(&mut self) -> Vec<Packet> {
        self.request_ring.collect(&self.hardware)
    }

    /// The responses that have come.
    pub fn responses(&mut self) -> Vec<Packet> {
        self.response_ring.collect(&self.hardware)
    }

    /// Receives `channel` into `memory`, of [`super::stream::bytes`]. NoResources: no context is left.
    pub fn open(&mut self, channel: u8, data: u16, memory: DmaBuffer, sink: Sink) -> IOResult<StreamId> {
        let free = self.streams.iter().position(Option::is_none).ok_or(IOReturn::NoResources)?;
        let stream = Stream::new(Context::StreamIn(free as u8), memory, data, sink);
        stream.start(&self.hardware, channel);
        self.opened += 1;
        let id = StreamId(self.opened);
        self.streams[free] = Some((id, stream));
        Ok(id)
    }

    /// Takes an open stream out. Its context may still run.
    pub fn close(&mut self, id: StreamId) -> Option<Stream> {
        let place =
            self.streams.iter_mut().find(|place| place.as_ref().is_some_and(|(open, _)| *open == id))?;
        place.take().map(|(_, stream)| stream)
    }

    /// Whether a stream is open.
    pub fn has_streams(&self) -> bool {
        self.streams.iter().any(Option::is_some)
    }

    /// What came of each stream.
    pub fn streams(&mut self) -> Vec<(Sink, Vec<StreamPacket>)> {
        let open = self.streams.iter_mut().flatten();
        open.map(|(_, stream)| (stream.sink().clone(), stream.collect(&self.hardware))).collect()
    }

    /// A bus reset: nothing is sent until its end. Whose requests were not. NotResponding: the controller does not come to rest.
    pub fn reset_began(&mut self) -> IOResult<Vec<Tag>> {
        self.settled = false;
        let rests = [Context::RequestOut, Context::ResponseOut].map(|context| self.hardware.stop(context));
        self.responses.flush();
        let tags = self.requests.flush();
        if rests == [true; 2] { Ok(tags) } else { Err(IOReturn::NotResponding) }
    }

    /// Reads the self-ID packets. From then on packets may go. NotReady: they are not all there, or a further bus reset came. Offline.
    pub fn identify(&mut self) -> IOResult<SelfIds> {
        let count = self.hardware.self_id_count()?;
        let local = self.hardware.node_id()?;
        let packets = self.packets(count)?;
        self.hardware.reset_seen();
        // A reset that began just before that was not seen, but it counts (11.2).
        if (self.hardware.self_id_count()? ^ count) >> 16 & 0xff != 0 {
            return Err(IOReturn::NotReady);
        }
        self.settled = true;
        Ok(SelfIds { local, packets })
    }

    /// The packets in the buffer, each followed by its inverse (11.3). NotReady: they are not those of this bus reset.
    fn packets(&self, count: u32) -> IOResult<Vec<u32>> {
        let quadlets = u64::from(count >> 2 & 0x1ff);
        let stale = (self.self_ids.read_u32(0) ^ count) >> 16 & 0xff != 0;
        if count & regs::SELF_ID_ERROR != 0 || stale || quadlets % 2 != 1 {
            return Err(IOReturn::NotReady);
        }
        let mut packets = vec![0; (quadlets / 2) as usize];
        for (at, packet) in (4..).step_by(8).zip(&mut packets) {
            *packet = self.self_ids.read_u32(at);
            if *packet != !self.self_ids.read_u32(at + 4) {
                return Err(IOReturn::NotReady);
            }
        }
        Ok(packets)
    }
}

/// The time stamp at which a request of `stamp` is not waited for any more.
fn later(stamp: u16) -> u16 {
    let cycles = u32::from(stamp >> 13) * 8000 + u32::from(stamp & 0x1fff).min(7999);
    let end = (cycles + SPLIT_TIMEOUT_CYCLES) % STAMP_CYCLES;
    (end / 8000 * 0x2000 + end % 8000) as u16
}

#[cfg(test)]
mod tests {
    use super::later;

    #[test]
    fn stamps_wrap() {
        assert_eq!((later(0), later(7300)), (800, 1 << 13 | 100));
        assert_eq!(later(7 << 13 | 7999), 799);
        assert_eq!(later(u16::MAX), 799);
    }
}
