//! What is the same around every node: core CSRs, configuration ROM, requests under way.

use super::csr::Resources;
use super::node::{Facts, Failure, Link, Node, Order, Origin, Refusal};
use super::packet::{Ack, Packet, Stream};
use crate::spec::ieee1394::{self as spec, csr, lock};

/// Transaction labels, and so requests that a node can have under way.
const LABELS: usize = 64;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flight {
    tag: u64,
    to: u16,
    serial: u64,
}

/// A node with its place on the bus.
pub struct Station {
    node: Box<dyn Node>,
    /// What the node says about itself.
    pub facts: Facts,
    rom: Vec<u8>,
    resources: Resources,
    /// STATE: sends cycle starts, if it is root.
    pub cycle_master: bool,
    split_timeout: u32,
    busy_timeout: u32,
    flights: [Option<Flight>; LABELS],
    next_label: usize,
    serial: u64,
}

impl Station {
    /// A node at power-on.
    pub fn new(node: Box<dyn Node>) -> Self {
        Self {
            facts: node.facts(),
            rom: node.rom(),
            node,
            resources: Resources::default(),
            cycle_master: false,
            split_timeout: spec::SPLIT_TIMEOUT_CYCLES,
            busy_timeout: 0,
            flights: [None; LABELS],
            next_label: 0,
            serial: 0,
        }
    }

    /// Back to power-on.
    pub fn power_on(&mut self) {
        self.node.power_on();
        self.resources = Resources::default();
        self.cycle_master = false;
        self.split_timeout = spec::SPLIT_TIMEOUT_CYCLES;
        self.forget();
    }

    /// A bus reset begins: nothing is under way any more.
    pub fn forget(&mut self) {
        self.flights = [None; LABELS];
        self.resources = Resources::default();
    }

    /// Nanoseconds until a response is too late.
    pub fn split_timeout_ns(&self) -> u64 {
        u64::from(self.split_timeout) * spec::CYCLE_NS
    }

    /// True if the node wants to hear of cycles.
    pub fn streams(&self) -> bool {
        self.node.streams()
    }

    /// What the node sends in a cycle.
    pub fn stream(&mut self, cycle: u16) -> Option<Stream> {
        if self.node.streams() { self.node.stream(cycle) } else { None }
    }

    /// The node inside.
    pub fn node(&mut self) -> &mut dyn Node {
        self.node.as_mut()
    }

    /// Finds a label for a request to `to`; `None`: all are taken.
    pub fn take_label(&mut self, tag: u64, to: u16) -> Option<(u8, u64)> {
        let label =
            (0..LABELS).map(|n| (self.next_label + n) % LABELS).find(|&l| self.flights[l].is_none())?;
        self.next_label = (label + 1) % LABELS;
        self.serial += 1;
        self.flights[label] = Some(Flight { tag, to, serial: self.serial });
        Some((label as u8, self.serial))
    }

    /// Ends the request with this label, if it is the one with this number: its tag.
    pub fn end(&mut self, label: u8, serial: Option<u64>) -> Option<u64> {
        let flight = &mut self.flights[usize::from(label & 0x3f)];
        let found = flight.filter(|flight| serial.is_none_or(|serial| serial == flight.serial))?;
        *flight = None;
        Some(found.tag)
    }

    /// A response came: the tag of its request, and what it says.
    pub fn respond(&mut self, packet: &Packet) -> Option<(u64, Result<Vec<u8>, Failure>)> {
        let flight = self.flights[usize::from(packet.label & 0x3f)]?;
        if (flight.to ^ packet.source) & 0x3f != 0 {
            return None;
        }
        let tag = self.end(packet.label, None)?;
        let good = packet.rcode == spec::RCODE_COMPLETE;
        Some((tag, if good { Ok(packet.data.clone()) } else { Err(Failure::Refused(packet.rcode)) }))
    }

    /// A request came: the acknowledge, and the response that follows it.
    pub fn request(&mut self, packet: &Packet, link: &mut Link<'_>) -> (Ack, Option<Packet>) {
        let result = if packet.wanted().max(packet.data.len()) > usize::from(self.facts.max_payload) {
            Err(Refusal::Type)
        } else {
            self.access(packet, link)
        };
        let response = match result {
            Err(Refusal::Busy) => return (Ack::Busy, None),
            Err(refusal) => packet.response(refusal.rcode(), Vec::new()),
            Ok(data) => packet.response(spec::RCODE_COMPLETE, data),
        };
        if packet.is_broadcast() { (Ack::Complete, None) } else { (Ack::Pending, Some(response)) }
    }

    fn access(&mut self, packet: &Packet, link: &mut Link<'_>) -> Result<Vec<u8>, Refusal> {
        let origin = Origin { node: packet.source, speed: packet.speed };
        let core = packet.offset.checked_sub(spec::REGISTERS).filter(|&at| at < csr::CONFIG_ROM_END);
        match packet.tcode {
            spec::TCODE_READ_QUADLET | spec::TCODE_READ_BLOCK => {
                let mut into = vec![0; packet.wanted()];
                match core {
                    Some(at) => self.read_core(at, &mut into, link)?,
                    None => self.node.read(packet.offset, &mut into, origin, link)?,
                }
                Ok(into)
            }
            spec::TCODE_WRITE_QUADLET | spec::TCODE_WRITE_BLOCK => {
                match core {
                    Some(at) => self.write_core(at, &packet.data)?,
                    None => self.node.write(packet.offset, &packet.data, origin, link)?,
                }
                Ok(Vec::new())
            }
            _ => match core {
                Some(at) => self.lock_core(at, packet),
                None => self.node.lock(packet.offset, packet.extended, &packet.data, origin, link),
            },
        }
    }

    fn read_core(&self, at: u64, into: &mut [u8], link: &Link<'_>) -> Result<(), Refusal> {
        if at >= csr::CONFIG_ROM {
            let at = (at - csr::CONFIG_ROM) as usize;
            let bytes = self.rom.get(at..).and_then(|rest| rest.get(..into.len()));
            into.copy_from_slice(bytes.ok_or(Refusal::Address)?);
            return Ok(());
        }
        let value = self.register(at, link).ok_or(Refusal::Address)?;
        if into.len() != 4 {
            return Err(Refusal::Type);
        }
        into.copy_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn register(&self, at: u64, link: &Link<'_>) -> Option<u32> {
        if let Some(register) = Resources::select(at).filter(|_| self.facts.phy.contender) {
            return Some(self.resources.value(register));
        }
        Some(match at {
            csr::STATE_CLEAR | csr::STATE_SET => {
                if self.cycle_master {
                    csr::STATE_CMSTR
                } else {
                    0
                }
            }
            csr::NODE_IDS => u32::from(spec::LOCAL_BUS) << 22 | u32::from(link.id().unwrap_or(0x3f)) << 16,
            csr::SPLIT_TIMEOUT_HI => self.split_timeout / 8000,
            csr::SPLIT_TIMEOUT_LO => (self.split_timeout % 8000) << 19,
            csr::CYCLE_TIME => super::cycle_time(link.now()),
            csr::BUSY_TIMEOUT => self.busy_timeout,
            _ => return None,
        })
    }

    fn write_core(&mut self, at: u64, from: &[u8]) -> Result<(), Refusal> {
        let value = u32::from_be_bytes(from.try_into().map_err(|_| Refusal::Type)?);
        match at {
            csr::STATE_CLEAR => self.cycle_master &= value & csr::STATE_CMSTR == 0,
            csr::STATE_SET => self.cycle_master |= value & csr::STATE_CMSTR != 0,
            csr::SPLIT_TIMEOUT_HI => {
                self.split_timeout = (value & 7) * 8000 + self.split_timeout % 8000;
            }
            csr::SPLIT_TIMEOUT_LO => {
                let cycles = (value >> 19).clamp(spec::SPLIT_TIMEOUT_CYCLES, 7999);
                self.split_timeout = self.split_timeout / 8000 * 8000 + cycles;
            }
            csr::BUSY_TIMEOUT => self.busy_timeout = value,
            csr::RESET_START => self.cycle_master = false,
            csr::NODE_IDS | csr::CYCLE_TIME => {}
            at if at >= csr::CONFIG_ROM || Resources::select(at).is_some() => return Err(Refusal::Type),
            _ => return Err(Refusal::Address),
        }
        Ok(())
    }

    fn lock_core(&mut self, at: u64, packet: &Packet) -> Result<Vec<u8>, Refusal> {
        let register = Resources::select(at).filter(|_| self.facts.phy.contender).ok_or(Refusal::Address)?;
        let (compare, data) = compare_swap(packet).ok_or(Refusal::Type)?;
        Ok(self.resources.swap(register, compare, data).to_be_bytes().to_vec())
    }
}

/// Argument and data of a 32-bit compare and swap; `None` if the packet is another lock.
pub fn compare_swap(packet: &Packet) -> Option<(u32, u32)> {
    let (arg, data) = packet.data.split_first_chunk::<4>()?;
    let data = <[u8; 4]>::try_from(data).ok()?;
    let fits = packet.tcode == spec::TCODE_LOCK && packet.extended == lock::COMPARE_SWAP;
    fits.then_some((u32::from_be_bytes(*arg), u32::from_be_bytes(data)))
}

/// Orders that a node gave, taken out of the shared list.
pub(super) type Orders = Vec<Order>;
