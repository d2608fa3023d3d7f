//! Isochronous streams: what is sent on a channel in each cycle, without acknowledge and without a second try.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// A packet of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamPacket {
    /// Channel.
    pub channel: u8,
    /// Tag: how the data begins; 0 = with nothing that the standard knows (IEEE 1394-1995, 6.2.3.2).
    pub tag: u8,
    /// Synchronisation code.
    pub sync: u8,
    /// When it came, as seconds (3 bits) and cycles (13).
    pub stamp: u16,
    /// Data, in the order of the bus.
    pub data: Vec<u8>,
}

/// Who is told of the packets of a stream, in their order, in the gate; does not sleep.
pub type Sink = Arc<dyn Fn(StreamPacket) + Send + Sync>;
