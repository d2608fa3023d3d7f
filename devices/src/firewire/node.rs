//! What a FireWire device is made of: a [`Node`], which says what is in its part of the address space, and a [`Link`], through which it
//! reaches the bus.
//!
//! ```text
//!   request ─► Station: core CSRs, configuration ROM ─► Node::read / write / lock ─► response
//!   Node ─► Link::read / write ─► request ─► answer ─► Node::answer
//! ```
//!
//! A node is sans-IO, as a [`crate::device::Device`] is: it has no clock and no thread, and is called with `&mut self`.

use super::packet::Stream;
use super::phy::PhyFacts;
use crate::spec::ieee1394 as spec;

/// Why a node does not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Busy: the sender may try again at once.
    Busy,
    /// A resource is taken.
    Conflict,
    /// Hardware failed.
    Data,
    /// Not with this kind of request.
    Type,
    /// Nothing at this address.
    Address,
}

impl Refusal {
    /// The response code.
    pub fn rcode(self) -> u8 {
        match self {
            Refusal::Busy | Refusal::Conflict => spec::RCODE_CONFLICT,
            Refusal::Data => spec::RCODE_DATA,
            Refusal::Type => spec::RCODE_TYPE,
            Refusal::Address => spec::RCODE_ADDRESS,
        }
    }
}

/// Why a request of a node was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody acknowledged, or not in a way that makes sense.
    NoAck,
    /// The other one was busy all the time.
    Busy,
    /// The response did not come in time.
    Timeout,
    /// The other one refused, with this response code.
    Refused(u8),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Bus and physical ID of the sender.
    pub node: u16,
    /// Speed code of the request.
    pub speed: u8,
}

/// What a node says about itself. Constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its PHY.
    pub phy: PhyFacts,
    /// Bytes of data that it takes in one packet, a power of two from 4 to 2048.
    pub max_payload: u16,
    /// Nanoseconds from a request to the response.
    pub latency: u64,
}

/// What a node asks of the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Request { tag: u64, to: u16, offset: u64, what: What, speed: u8 },
    Timer { time: u64, token: u64 },
}

/// What a request of a node does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Read(u16),
    Write(Vec<u8>),
}

/// Orders that a node can give in one call; more are dropped.
const ORDERS: usize = 64;

/// A node's way to the bus, for the time of one call.
pub struct Link<'a> {
    pub(super) now: u64,
    pub(super) id: Option<u8>,
    pub(super) generation: u32,
    pub(super) orders: &'a mut Vec<Order>,
}

impl Link<'_> {
    /// Machine time, ns.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The node's physical ID; `None` while no cable leads to the controller.
    pub fn id(&self) -> Option<u8> {
        self.id
    }

    /// Counts bus resets.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Reads `length` bytes at `offset` of node `to`; [`Node::answer`] gets them under `tag`. `speed` is brought down to what the way allows.
    pub fn read(&mut self, tag: u64, to: u16, offset: u64, length: u16, speed: u8) {
        self.order(Order::Request { tag, to, offset, what: What::Read(length), speed });
    }

    /// Writes `data` at `offset` of node `to`; [`Node::answer`] is told under `tag`.
    pub fn write(&mut self, tag: u64, to: u16, offset: u64, data: Vec<u8>, speed: u8) {
        self.order(Order::Request { tag, to, offset, what: What::Write(data), speed });
    }

    /// Asks for [`Node::tick`] in `ns` nanoseconds, at least one.
    pub fn after(&mut self, ns: u64, token: u64) {
        let time = self.now.saturating_add(ns.max(1));
        self.order(Order::Timer { time, token });
    }

    fn order(&mut self, order: Order) {
        if self.orders.len() < ORDERS {
            self.orders.push(order);
        }
    }
}

/// A FireWire device. Offsets are those of the 48-bit address space of a node; what is below the units' space (core CSRs and the
/// configuration ROM) the station around the node answers.
pub trait Node: Send {
    /// What the node says about itself. Constant.
    fn facts(&self) -> Facts;
    /// Its configuration ROM, as [`super::rom::build`] makes it. Constant.
    fn rom(&self) -> Vec<u8>;
    /// Reads `into.len()` bytes at `offset`.
    ///
    /// # Errors
    /// The node refuses.
    fn read(
        &mut self,
        offset: u64,
        into: &mut [u8],
        origin: Origin,
        link: &mut Link<'_>,
    ) -> Result<(), Refusal>;
    /// Writes `from` at `offset`.
    ///
    /// # Errors
    /// The node refuses.
    fn write(&mut self, offset: u64, from: &[u8], origin: Origin, link: &mut Link<'_>)
    -> Result<(), Refusal>;
    /// Locks: `extended` says how (see [`super::csr::lock`]), `data` is argument and data as in the packet. The old value is returned.
    ///
    /// # Errors
    /// The node refuses; so does every node that does not say otherwise.
    fn lock(
        &mut self,
        _offset: u64,
        _extended: u16,
        _data: &[u8],
        _origin: Origin,
        _link: &mut Link<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Type)
    }
    /// The answer to a request of this node: the data of a read, nothing for a write. After a bus reset no answer comes any more.
    fn answer(&mut self, _tag: u64, _result: Result<Vec<u8>, Failure>, _link: &mut Link<'_>) {}
    /// A time asked for with [`Link::after`] has come.
    fn tick(&mut self, _token: u64, _link: &mut Link<'_>) {}
    /// The bus was reset and has new IDs; own requests are forgotten. Also when the node is alone now.
    fn bus_reset(&mut self, _link: &mut Link<'_>) {}
    /// True while the node wants [`Node::stream`] to be called.
    fn streams(&self) -> bool {
        false
    }
    /// A cycle began: what the node sends in it. `cycle` counts seconds (3 bits) and cycles (13 bits), as time stamps do.
    fn stream(&mut self, _cycle: u16) -> Option<Stream> {
        None
    }
    /// Back to power-on.
    fn power_on(&mut self) {}
}
