//! Packets on the bus: delivery, acknowledges, responses, time limits.

use super::bus::{Bus, Delivery, HOST, Output};
use super::node::{Failure, Order, What};
use super::packet::{Ack, Packet, Stream, payload_limit};
use super::queue::Happening;
use super::topology;
use crate::spec::ieee1394 as spec;

/// How often a node sends a packet again to somebody who is busy.
const RETRIES: u8 = 15;
/// Nanoseconds until it does.
const RETRY_NS: u64 = 20_000;

impl Bus {
    /// When the bus wants [`Bus::step`] next.
    pub fn next(&self) -> Option<u64> {
        self.queue.next()
    }

    /// Does the next thing that is due. `None`: nothing is; `Some(None)`: something that the controller does not see.
    pub fn step(&mut self, now: u64) -> Option<Option<Output>> {
        Some(match self.queue.pop(now)? {
            Happening::Reset { kind, by } => Some(self.begin_reset(kind, &by, now)),
            Happening::SelfId => self.end_reset(now),
            Happening::Send { from, packet, tries } => self.arrive(Delivery { from, packet, tries }, now),
            Happening::Timer { node, token } => {
                self.call(node, now, |node, link| node.tick(token, link));
                None
            }
            Happening::Timeout { node, label, serial } => {
                if let Some(tag) = self.stations[node - 1].end(label, Some(serial)) {
                    self.call(node, now, |node, link| node.answer(tag, Err(Failure::Timeout), link));
                }
                None
            }
            Happening::Connect { node, serial } => {
                self.connected(node, serial, now);
                None
            }
        })
    }

    /// The controller sends a packet, which arrives at once; the acknowledge.
    pub fn send(&mut self, packet: &Packet, now: u64) -> Ack {
        let ack = self.deliver(HOST, packet, now);
        self.lose(ack)
    }

    /// The controller will send a packet by itself: a response of the physical response unit.
    pub fn respond(&mut self, packet: Packet, delay: u64, now: u64) {
        self.queue.push(
            now.saturating_add(delay + packet.wire_ns()),
            Happening::Send { from: HOST, packet, tries: 0 },
        );
    }

    /// The controller sends a PHY packet: every PHY sees it (1394a-2000, 4.3.4). A ping is answered with self-ID packets.
    pub fn send_phy(&mut self, packet: u32) -> Vec<u32> {
        use spec::phy_packet as pp;
        if self.resetting || packet >> pp::KIND_SHIFT != pp::KIND_CONFIG {
            return Vec::new();
        }
        if packet & (pp::CONFIG_ROOT | pp::CONFIG_GAP) != 0 {
            self.order.iter().for_each(|&node| self.phys[node].configure(packet));
            return Vec::new();
        }
        let target = self.order.get((packet >> pp::ID_SHIFT & 0x3f) as usize);
        let pinged = target.filter(|_| packet & pp::EXTENDED_TYPE == 0);
        pinged.map_or(Vec::new(), |&node| self.phys[node].self_id())
    }

    /// What the controller says about a packet that it was given.
    pub fn acknowledge(&mut self, delivery: Delivery, ack: Ack, now: u64) {
        let ack = self.lose(ack);
        self.acknowledged(delivery, ack, now);
    }

    fn lose(&mut self, ack: Ack) -> Ack {
        if self.lost_acks > 0 && ack != Ack::Missing {
            self.lost_acks -= 1;
            return Ack::Missing;
        }
        ack
    }

    fn arrive(&mut self, delivery: Delivery, now: u64) -> Option<Output> {
        let to = self.order.get(usize::from(delivery.packet.to())).copied();
        if to == Some(HOST) && delivery.from != HOST {
            return Some(Output::Packet(delivery));
        }
        let ack = self.deliver(delivery.from, &delivery.packet, now);
        let ack = self.lose(ack);
        self.acknowledged(delivery, ack, now);
        None
    }

    /// Gives a packet to the node that it is for.
    fn deliver(&mut self, from: usize, packet: &Packet, now: u64) -> Ack {
        if self.resetting || packet.destination >> 6 != spec::LOCAL_BUS {
            return Ack::Missing;
        }
        if packet.is_broadcast() {
            for node in self.order.clone() {
                if node != from && node != HOST && packet.is_request() {
                    self.at_station(node, now, |station, link| station.request(packet, link));
                }
            }
            return Ack::Complete;
        }
        let Some(&to) = self.order.get(usize::from(packet.to())) else { return Ack::Missing };
        if to == from || to == HOST || !self.phys[to].link_active() {
            return Ack::Missing;
        }
        // What is faster than a PHY on the way is not repeated by it.
        if topology::path_speed(&self.phys, from, to).is_none_or(|speed| packet.speed > speed) {
            return Ack::Missing;
        }
        if packet.data.len() > payload_limit(packet.speed) {
            return Ack::DataError;
        }
        if packet.is_request() {
            return self.request(to, packet, now);
        }
        if packet.is_response() {
            if let Some((tag, result)) = self.stations[to - 1].respond(packet) {
                self.call(to, now, |node, link| node.answer(tag, result, link));
            }
            return Ack::Complete;
        }
        Ack::Missing
    }

    fn request(&mut self, to: usize, packet: &Packet, now: u64) -> Ack {
        let (ack, response) = self.at_station(to, now, |station, link| station.request(packet, link));
        if let Some(packet) = response {
            let delay = self.stations[to - 1].facts.latency + packet.wire_ns();
            self.queue.push(now.saturating_add(delay), Happening::Send { from: to, packet, tries: 0 });
        }
        ack
    }

    /// The sender of a packet sees the acknowledge.
    fn acknowledged(&mut self, delivery: Delivery, ack: Ack, now: u64) {
        let Delivery { from, packet, tries } = delivery;
        if ack == Ack::Busy && tries < RETRIES {
            self.queue.push(now.saturating_add(RETRY_NS), Happening::Send { from, packet, tries: tries + 1 });
            return;
        }
        if from == HOST || !packet.is_request() {
            return;
        }
        let result = match ack {
            Ack::Pending => return,
            // Only a write can be complete with its acknowledge.
            Ack::Complete => Ok(Vec::new()),
            Ack::Busy => Err(Failure::Busy),
            Ack::DataError => Err(Failure::Refused(spec::RCODE_DATA)),
            Ack::TypeError => Err(Failure::Refused(spec::RCODE_TYPE)),
            Ack::Missing => Err(Failure::NoAck),
        };
        if let Some(tag) = self.stations[from - 1].end(packet.label, None) {
            self.call(from, now, |node, link| node.answer(tag, result, link));
        }
    }

    /// Does what a node asks for.
    pub(super) fn carry_out(&mut self, node: usize, order: Order, now: u64) {
        let (tag, to, offset, what, speed) = match order {
            Order::Timer { time, token } => {
                self.queue.push(time, Happening::Timer { node, token });
                return;
            }
            Order::Request { tag, to, offset, what, speed } => (tag, to, offset, what, speed),
        };
        // While a reset is under way nothing is sent: the node hears of the reset, and forgets.
        let Some(id) = self.id(node) else { return };
        let Some((label, serial)) = self.stations[node - 1].take_label(tag, to) else { return };
        let way =
            self.order.get(usize::from(to & 0x3f)).and_then(|&to| topology::path_speed(&self.phys, node, to));
        let packet = request(label, (u16::from(id), to), offset, what, speed.min(way.unwrap_or(spec::S100)));
        let arrival = now.saturating_add(packet.wire_ns());
        self.queue.push(arrival, Happening::Send { from: node, packet, tries: 0 });
        let late = arrival.saturating_add(self.stations[node - 1].split_timeout_ns());
        self.queue.push(late, Happening::Timeout { node, label, serial });
    }

    /// True if a node wants to hear of cycles.
    pub fn streams(&self) -> bool {
        !self.resetting && self.order.iter().any(|&node| node != HOST && self.stations[node - 1].streams())
    }

    /// True if the root sends cycle starts; `host`: the controller would.
    pub fn has_cycle_master(&self, host: bool) -> bool {
        if self.resetting {
            return false;
        }
        self.order
            .last()
            .is_some_and(|&root| if root == HOST { host } else { self.stations[root - 1].cycle_master })
    }

    /// A cycle begins: what the nodes send in it.
    pub fn cycle(&mut self, cycle: u16) -> Vec<Stream> {
        let mut streams = Vec::new();
        for node in self.order.clone() {
            if node != HOST {
                streams.extend(self.stations[node - 1].stream(cycle));
            }
        }
        streams
    }
}

/// The request packet of a node.
fn request(label: u8, (from, to): (u16, u16), offset: u64, what: What, speed: u8) -> Packet {
    let aligned = offset.is_multiple_of(4);
    let (tcode, length, data) = match what {
        What::Read(4) if aligned => (spec::TCODE_READ_QUADLET, 0, Vec::new()),
        What::Read(length) => (spec::TCODE_READ_BLOCK, length, Vec::new()),
        What::Write(data) if data.len() == 4 && aligned => (spec::TCODE_WRITE_QUADLET, 0, data),
        What::Write(data) => (spec::TCODE_WRITE_BLOCK, data.len() as u16, data),
    };
    Packet {
        destination: spec::LOCAL_BUS << 6 | to & 0x3f,
        source: spec::LOCAL_BUS << 6 | from,
        label,
        retry: 1,
        tcode,
        speed,
        offset,
        length,
        data,
        ..Packet::default()
    }
}
