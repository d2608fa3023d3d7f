//! Asynchronous packets (IEEE 1394-1995, 6.2.2), and stream packets.

use crate::spec::ieee1394 as spec;

/// What a receiver says at once about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Done.
    Complete,
    /// A response will follow.
    Pending,
    /// Busy: send it again.
    Busy,
    /// Damaged, or of the wrong length.
    DataError,
    /// This cannot be done here.
    TypeError,
    /// Nobody said anything.
    Missing,
}

impl Ack {
    /// The code on the bus; `None`: there is none to be seen.
    pub fn code(self) -> Option<u8> {
        match self {
            Ack::Complete => Some(spec::ACK_COMPLETE),
            Ack::Pending => Some(spec::ACK_PENDING),
            Ack::Busy => Some(spec::ACK_BUSY_X),
            Ack::DataError => Some(spec::ACK_DATA_ERROR),
            Ack::TypeError => Some(spec::ACK_TYPE_ERROR),
            Ack::Missing => None,
        }
    }
}

/// An asynchronous packet. Fields that its kind does not have are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Bus and physical ID of the receiver.
    pub destination: u16,
    /// Bus and physical ID of the sender.
    pub source: u16,
    /// Transaction label, 0–63.
    pub label: u8,
    /// Retry code, 0–3.
    pub retry: u8,
    /// Transaction code, see [`spec`].
    pub tcode: u8,
    /// Priority, 0–15.
    pub priority: u8,
    /// Speed code.
    pub speed: u8,
    /// Address of a request, 48 bits.
    pub offset: u64,
    /// Response code of a response.
    pub rcode: u8,
    /// Data length of a packet that has the field: that of the data, or of what a block read asks for.
    pub length: u16,
    /// Extended transaction code of a lock.
    pub extended: u16,
    /// Data: four bytes in quadlet packets that have some.
    pub data: Vec<u8>,
}

impl Packet {
    /// True if the packet asks for something.
    pub fn is_request(&self) -> bool {
        matches!(
            self.tcode,
            spec::TCODE_WRITE_QUADLET
                | spec::TCODE_WRITE_BLOCK
                | spec::TCODE_READ_QUADLET
                | spec::TCODE_READ_BLOCK
                | spec::TCODE_LOCK
        )
    }

    /// True if the packet answers a request.
    pub fn is_response(&self) -> bool {
        matches!(
            self.tcode,
            spec::TCODE_WRITE_RESPONSE
                | spec::TCODE_READ_QUADLET_RESPONSE
                | spec::TCODE_READ_BLOCK_RESPONSE
                | spec::TCODE_LOCK_RESPONSE
        )
    }

    /// True if the packet's last header quadlet is data length and extended transaction code.
    pub fn is_block(tcode: u8) -> bool {
        matches!(
            tcode,
            spec::TCODE_WRITE_BLOCK
                | spec::TCODE_READ_BLOCK
                | spec::TCODE_READ_BLOCK_RESPONSE
                | spec::TCODE_LOCK
                | spec::TCODE_LOCK_RESPONSE
        )
    }

    /// Bytes that a read asks for.
    pub fn wanted(&self) -> usize {
        if self.tcode == spec::TCODE_READ_QUADLET { 4 } else { self.length.into() }
    }

    /// The physical ID that it is sent to.
    pub fn to(&self) -> u8 {
        (self.destination & 0x3f) as u8
    }

    /// True if it is sent to every node.
    pub fn is_broadcast(&self) -> bool {
        self.to() == spec::BROADCAST
    }

    /// The answer to this request: `data` of a read or lock, if it went well.
    pub fn response(&self, rcode: u8, data: Vec<u8>) -> Packet {
        let tcode = match self.tcode {
            spec::TCODE_READ_QUADLET => spec::TCODE_READ_QUADLET_RESPONSE,
            spec::TCODE_READ_BLOCK => spec::TCODE_READ_BLOCK_RESPONSE,
            spec::TCODE_LOCK => spec::TCODE_LOCK_RESPONSE,
            _ => spec::TCODE_WRITE_RESPONSE,
        };
        let mut data = if tcode == spec::TCODE_WRITE_RESPONSE { Vec::new() } else { data };
        if tcode == spec::TCODE_READ_QUADLET_RESPONSE {
            data.resize(4, 0);
        }
        Packet {
            destination: self.source,
            source: self.destination,
            label: self.label,
            retry: 1,
            tcode,
            speed: self.speed,
            rcode,
            length: if Packet::is_block(tcode) { data.len() as u16 } else { 0 },
            extended: self.extended,
            data,
            ..Packet::default()
        }
    }

    /// The header as quadlets: three, and a fourth where it is not data.
    pub fn header(&self) -> Vec<u32> {
        let first = u32::from(self.destination) << 16
            | u32::from(self.label & 0x3f) << 10
            | u32::from(self.retry & 3) << 8
            | u32::from(self.tcode & 0xf) << 4
            | u32::from(self.priority & 0xf);
        let second = u32::from(self.source) << 16;
        let mut header = if self.is_response() {
            vec![first, second | u32::from(self.rcode & 0xf) << 12, 0]
        } else {
            vec![first, second | (self.offset >> 32) as u32 & 0xffff, self.offset as u32]
        };
        if Packet::is_block(self.tcode) {
            header.push(u32::from(self.length) << 16 | u32::from(self.extended));
        }
        header
    }

    /// Nanoseconds on the wire: arbitration, header, data and check words.
    pub fn wire_ns(&self) -> u64 {
        1_000 + wire_ns(self.data.len() + 24, self.speed)
    }
}

/// Nanoseconds that `bytes` take at a speed.
pub fn wire_ns(bytes: usize, speed: u8) -> u64 {
    (bytes as u64 * spec::OCTET_NS) >> speed.min(spec::S400)
}

/// Bytes of data that a packet may have at a speed.
pub fn payload_limit(speed: u8) -> usize {
    spec::PAYLOAD_S100 << speed.min(spec::S400)
}

/// A stream packet: isochronous, or asynchronous on a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Channel, 0–63.
    pub channel: u8,
    /// Tag, 0–3.
    pub tag: u8,
    /// Synchronisation code, 0–15.
    pub sync: u8,
    /// Speed code.
    pub speed: u8,
    /// Data.
    pub data: Vec<u8>,
}

impl Stream {
    /// The header quadlet (IEEE 1394-1995, 6.2.3.1).
    pub fn header(&self) -> u32 {
        (self.data.len() as u32) << 16
            | u32::from(self.tag & 3) << 14
            | u32::from(self.channel & 0x3f) << 8
            | u32::from(spec::TCODE_STREAM) << 4
            | u32::from(self.sync & 0xf)
    }
}
