//! A small driver for the controller: rings in memory, requests, what came back.

mod world;

use super::{Ohci, Settings};
use crate::device::Device;
use crate::firewire::node::Node;
use crate::firewire::phy::PhyFacts;
use crate::firewire::plain::{self, Plain};
use crate::spec::ohci::{self as spec, event};
pub use world::World;

/// Bytes of memory.
pub const MEMORY: usize = 1 << 20;
/// The self-ID buffer.
pub const SELF_IDS: u32 = 0x1000;
/// The controller's configuration ROM.
pub const ROM: u32 = 0x2000;
/// Receive descriptors: requests, responses.
pub const RECEIVE: [u32; 2] = [0x3000, 0x4000];
/// Receive buffers.
pub const BUFFERS: [u32; 2] = [0x1_0000, 0x2_0000];
/// Buffers of a receive ring.
pub const RING: u32 = 8;
/// Bytes of a receive buffer.
pub const BUFFER: u32 = 1024;
/// Transmit descriptors: requests, responses; 64 bytes a packet.
pub const TRANSMIT: [u32; 2] = [0x5000, 0x7000];
/// Data of requests.
pub const DATA: u32 = 0x3_0000;

/// A packet as it was received: header quadlets and data, as in memory; event code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub quadlets: Vec<u32>,
    pub data: Vec<u8>,
    pub code: u32,
}

impl Received {
    pub fn tcode(&self) -> u8 {
        (self.quadlets[0] >> 4 & 0xf) as u8
    }
    pub fn rcode(&self) -> u32 {
        self.quadlets[1] >> 12 & 0xf
    }
    pub fn label(&self) -> u32 {
        self.quadlets[0] >> 10 & 0x3f
    }
    pub fn source(&self) -> u16 {
        (self.quadlets[1] >> 16) as u16
    }
    pub fn offset(&self) -> u64 {
        u64::from(self.quadlets[1] & 0xffff) << 32 | u64::from(self.quadlets[2])
    }
}

/// A controller with a driver.
pub struct Rig {
    pub ohci: Ohci,
    pub world: World,
    /// Packets put into each transmit ring.
    pub sent: [u32; 2],
    /// The next byte to be looked at in each receive ring.
    heads: [u32; 2],
    started: [bool; 2],
}

/// A plain node with `ports` ports.
pub fn plain(guid: u64, ports: u8) -> Box<dyn Node> {
    let phy = PhyFacts { ports, ..PhyFacts::default() };
    Box::new(Plain::new(plain::Settings { phy, guid, name: "node".into(), latency: 5_000 }))
}

impl Rig {
    /// A controller with these nodes: each with the number of the node that its cable leads to (0 = the controller).
    pub fn new(nodes: Vec<(Box<dyn Node>, usize)>) -> Self {
        let mut ohci = Ohci::new(Settings::default());
        for (node, parent) in nodes {
            ohci.bus().attach(node, parent, None, false).unwrap();
        }
        let world = World {
            now: 1_000_000,
            memory: vec![0; MEMORY],
            failure: None,
            raised: 0,
            line: false,
            wanted: Vec::new(),
            mishap: None,
        };
        Self { ohci, world, sent: [0; 2], heads: [0; 2], started: [false; 2] }
    }

    /// The same, set up, with the bus reset over.
    pub fn ready(nodes: Vec<(Box<dyn Node>, usize)>) -> Self {
        let mut rig = Self::new(nodes);
        rig.enable();
        rig.bus_reset();
        rig
    }

    pub fn read(&mut self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.ohci.read(0, offset, &mut bytes, &mut self.world);
        u32::from_le_bytes(bytes)
    }

    pub fn write(&mut self, offset: u64, value: u32) {
        self.ohci.write(0, offset, &value.to_le_bytes(), &mut self.world);
    }

    pub fn put(&mut self, address: u32, bytes: &[u8]) {
        self.world.memory[address as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    pub fn put32(&mut self, address: u32, value: u32) {
        self.put(address, &value.to_le_bytes());
    }

    pub fn get(&self, address: u32, length: usize) -> Vec<u8> {
        self.world.memory[address as usize..][..length].to_vec()
    }

    pub fn get32(&self, address: u32) -> u32 {
        u32::from_le_bytes(self.get(address, 4).try_into().unwrap())
    }

    /// Lets machine time pass, each tick when it is due.
    pub fn run(&mut self, ns: u64) {
        let end = self.world.now + ns;
        for _ in 0..1_000_000 {
            let Some(index) = (0..self.world.wanted.len()).min_by_key(|&i| self.world.wanted[i]) else {
                break;
            };
            if self.world.wanted[index].0 > end {
                break;
            }
            let (time, token) = self.world.wanted.remove(index);
            self.world.now = self.world.now.max(time);
            self.ohci.tick(token, &mut self.world);
        }
        self.world.now = end;
    }

    pub fn phy_read(&mut self, register: u32) -> u8 {
        self.write(spec::PHY_CONTROL, spec::PHY_READ | register << 8);
        let value = self.read(spec::PHY_CONTROL);
        assert_ne!(value & spec::PHY_READ_DONE, 0);
        (value >> 16) as u8
    }

    pub fn phy_write(&mut self, register: u32, value: u8) {
        self.write(spec::PHY_CONTROL, spec::PHY_WRITE | register << 8 | u32::from(value));
        assert_eq!(self.read(spec::PHY_CONTROL) & spec::PHY_WRITE, 0);
    }

    /// What a driver does first (A.2).
    pub fn enable(&mut self) {
        self.write(spec::HC_CONTROL, spec::HC_SOFT_RESET);
        assert_eq!(self.read(spec::HC_CONTROL) & spec::HC_SOFT_RESET, 0);
        self.write(spec::HC_CONTROL, spec::HC_LPS | spec::HC_POSTED_WRITES);
        self.write(spec::SELF_ID_BUFFER, SELF_IDS);
        let link =
            spec::LINK_SELF_ID | spec::LINK_PHY_PACKETS | spec::LINK_CYCLE_TIMER | spec::LINK_CYCLE_MASTER;
        self.write(spec::LINK_CONTROL, link);
        self.write(spec::AT_RETRIES, 0xfff);
        self.write(spec::CONFIG_ROM_MAP, ROM);
        self.write(spec::ASYNC_FILTER_HI, 1 << 31);
        self.write(spec::INT_MASK, !(event::CYCLE_SYNCH | event::CYCLE_LOST));
        self.write(spec::HC_CONTROL, spec::HC_LINK_ENABLE | spec::HC_ROM_VALID);
        for which in 0..2 {
            self.start_receive(which);
        }
    }

    /// The registers of asynchronous context `which` (0, 1: transmit; 2, 3: receive).
    pub fn context(which: usize) -> u64 {
        spec::ASYNC_CONTEXTS + which as u64 * spec::ASYNC_STRIDE
    }

    fn start_receive(&mut self, which: usize) {
        for n in 0..RING {
            let next = RECEIVE[which] + (n + 1) % RING * 16;
            let branch = next | if n + 1 == RING { 0 } else { 1 };
            self.descriptor(RECEIVE[which] + n * 16, (0x280c, BUFFER), BUFFERS[which] + n * BUFFER, branch);
            self.put32(RECEIVE[which] + n * 16 + 12, BUFFER);
        }
        self.heads[which] = 0;
        self.write(Self::context(2 + which) + spec::CONTEXT_COMMAND, RECEIVE[which] | 1);
        self.write(Self::context(2 + which), spec::RUN);
    }

    /// Writes a descriptor: (control, count), data, branch; status zero.
    pub fn descriptor(&mut self, at: u32, (control, count): (u32, u32), data: u32, branch: u32) {
        self.put32(at, control << 16 | count);
        self.put32(at + 4, data);
        self.put32(at + 8, branch);
        self.put32(at + 12, 0);
    }

    /// Begins a short bus reset, and handles it as a driver does.
    pub fn bus_reset(&mut self) {
        self.phy_write(5, 0x40);
        self.run(1_000_000);
        self.handle_reset();
    }

    pub fn handle_reset(&mut self) {
        let events = self.read(spec::INT_EVENT);
        assert_eq!(events & event::SELF_ID_COMPLETE, event::SELF_ID_COMPLETE);
        for which in 0..2 {
            self.write(Self::context(which) + 4, spec::RUN);
            assert_eq!(self.read(Self::context(which)) & spec::ACTIVE, 0);
            self.started[which] = false;
            self.sent[which] = 0;
        }
        self.write(spec::INT_EVENT + 4, u32::MAX);
    }

    /// The self-ID packets in memory, checked against their inverses.
    pub fn self_ids(&mut self) -> Vec<u32> {
        let count = self.read(spec::SELF_ID_COUNT);
        assert_eq!(count >> 16 & 0xff, self.get32(SELF_IDS) >> 16 & 0xff);
        let packets = (count & 0x7fc) / 8;
        (0..packets)
            .map(|n| {
                let (packet, inverse) = (self.get32(SELF_IDS + 4 + n * 8), self.get32(SELF_IDS + 8 + n * 8));
                assert_eq!(packet, !inverse);
                packet
            })
            .collect()
    }

    /// Puts a packet into transmit ring `which`: header quadlets, data. Its number.
    pub fn send(&mut self, which: usize, header: &[u32], data: &[u8], stamp: u16) -> u32 {
        let number = self.sent[which];
        self.sent[which] += 1;
        let at = TRANSMIT[which] + number * 64;
        let bytes = header.len() as u32 * 4;
        let z = if data.is_empty() { 2 } else { 3 };
        if data.is_empty() {
            self.descriptor(at, (0x123c, bytes), 0, 0);
        } else {
            self.descriptor(at, (0x0200, bytes), 0, 0);
            self.put(DATA + number * 4096, data);
            self.descriptor(at + 32, (0x103c, data.len() as u32), DATA + number * 4096, 0);
        }
        self.put32(at + 12, stamp.into());
        for (n, &quadlet) in header.iter().enumerate() {
            self.put32(at + 16 + n as u32 * 4, quadlet);
        }
        if self.started[which] {
            let before = self.last(which, number - 1);
            self.put32(before + 8, at | z);
            self.write(Self::context(which), spec::WAKE);
        } else {
            self.started[which] = true;
            self.write(Self::context(which) + spec::CONTEXT_COMMAND, at | z);
            self.write(Self::context(which), spec::RUN);
        }
        number
    }

    /// The last descriptor of a packet that was sent.
    fn last(&self, which: usize, number: u32) -> u32 {
        let at = TRANSMIT[which] + number * 64;
        if self.get32(at) >> 28 == 1 { at } else { at + 32 }
    }

    /// The event code of a packet that was sent; 0 = not yet.
    pub fn code(&self, which: usize, number: u32) -> u32 {
        self.get32(self.last(which, number) + 12) >> 16 & 0x1f
    }

    /// Sends a request: (transaction code, speed, label), node, offset, and the fourth quadlet if there is one.
    pub fn request(
        &mut self,
        kind: (u32, u32, u32),
        node: u16,
        offset: u64,
        fourth: Option<u32>,
        data: &[u8],
    ) -> u32 {
        let (tcode, speed, label) = kind;
        let mut header = vec![
            speed << 16 | label << 10 | 1 << 8 | tcode << 4,
            (0xffc0 | u32::from(node)) << 16 | (offset >> 32) as u32,
            offset as u32,
        ];
        header.extend(fourth);
        self.send(0, &header, data, 0)
    }

    /// Reads a quadlet of a node: its value, or the response code.
    pub fn read_quadlet(&mut self, node: u16, offset: u64) -> Result<u32, u32> {
        let number = self.request((4, 0, self.sent[0] & 0x3f), node, offset, None, &[]);
        self.run(100_000);
        assert_eq!(self.code(0, number), 0x12, "pending");
        let response = self.received(1).pop().expect("a response");
        assert_eq!((response.tcode(), response.label()), (6, number & 0x3f));
        match response.rcode() {
            0 => Ok(u32::from_be_bytes(response.data[..4].try_into().unwrap())),
            rcode => Err(rcode),
        }
    }

    /// What came into receive ring `which` since the last call; its buffers are handed back.
    pub fn received(&mut self, which: usize) -> Vec<Received> {
        let mut found = Vec::new();
        loop {
            let (index, at) = (self.heads[which] / BUFFER % RING, self.heads[which] % BUFFER);
            let left = self.get32(RECEIVE[which] + index * 16 + 12) & 0xffff;
            if at >= BUFFER - left {
                break;
            }
            found.push(self.take(which));
        }
        found
    }

    fn quadlet(&mut self, which: usize) -> u32 {
        let index = self.heads[which] / BUFFER % RING;
        let value = self.get32(BUFFERS[which] + self.heads[which] % (BUFFER * RING));
        self.heads[which] += 4;
        if self.heads[which].is_multiple_of(BUFFER) {
            // The buffer is empty: it goes to the end of the ring.
            let before = RECEIVE[which] + (index + RING - 1) % RING * 16;
            let at = RECEIVE[which] + index * 16;
            self.put32(at + 8, self.get32(at + 8) & !0xf);
            self.put32(at + 12, BUFFER);
            self.put32(before + 8, at | 1);
            self.write(Self::context(2 + which), spec::WAKE);
        }
        value
    }

    fn take(&mut self, which: usize) -> Received {
        let mut quadlets: Vec<u32> = (0..3).map(|_| self.quadlet(which)).collect();
        let tcode = quadlets[0] >> 4 & 0xf;
        let mut data = Vec::new();
        let bytes = match tcode {
            0 | 6 => 4,
            1 | 7 | 9 | 0xb => {
                let length = self.quadlet(which);
                quadlets.push(length);
                length >> 16
            }
            5 => {
                let length = self.quadlet(which);
                quadlets.push(length);
                0
            }
            _ => 0,
        };
        for _ in 0..bytes.div_ceil(4) {
            let quadlet = self.quadlet(which);
            data.extend(quadlet.to_le_bytes());
        }
        data.truncate(bytes as usize);
        let code = self.quadlet(which) >> 16 & 0x1f;
        Received { quadlets, data, code }
    }
}
