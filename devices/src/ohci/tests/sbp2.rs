//! The disk, with a small initiator.

use super::super::testing::{Received, Rig};
use crate::firewire::phy::PhyFacts;
use crate::firewire::sbp2::{AGENTS, MANAGEMENT, Settings, Target};
use crate::spec::ohci as spec;
use crate::virtio::store::MemoryStore;

const ORB: u32 = 0x8_0000;
const RESPONSE: u32 = 0x8_1000;
const TABLE: u32 = 0x8_2000;
const BUFFER: u32 = 0x9_0000;
/// Where status blocks go: above what is physical.
const FIFO: u64 = 0x1_0000_0000;
const WRITE_POINTER: u64 = 8;
const DOORBELL: u64 = 0x10;

struct Initiator {
    rig: Rig,
    login: u32,
    agent: u64,
}

impl Initiator {
    fn new() -> Self {
        let settings = Settings { phy: PhyFacts::default(), guid: 77, name: "disk1".into(), latency: 50_000 };
        let target = Target::new(Box::new(MemoryStore::new(1 << 20)), settings);
        let mut rig = Rig::ready(vec![(Box::new(target), 0)]);
        rig.write(spec::PHYSICAL_FILTER_LO, 1);
        rig.received(0);
        Self { rig, login: 0, agent: 0 }
    }

    fn put_be(&mut self, at: u32, quadlets: &[u32]) {
        let bytes: Vec<u8> = quadlets.iter().flat_map(|quadlet| quadlet.to_be_bytes()).collect();
        self.rig.put(at, &bytes);
    }

    /// Writes the address of an ORB to `offset`.
    fn point(&mut self, offset: u64, orb: u32) -> Option<u32> {
        let pointer = u64::from(orb).to_be_bytes();
        // The ring of the rig is short: it starts over.
        if self.rig.sent[0] > 40 {
            self.rig.sent[0] = 0;
            self.rig.bus_reset();
        }
        self.rig.request((1, 2, 0), 0, offset, Some(8 << 16), &pointer);
        self.rig.run(100_000);
        self.rig.received(1).pop().map(|packet| packet.rcode())
    }

    fn status(&mut self) -> Vec<Received> {
        self.rig.run(10_000_000);
        self.rig.received(0).into_iter().filter(|packet| packet.tcode() != 0xe).collect()
    }

    /// A management ORB; the sbp_status that comes back.
    fn manage(&mut self, flags: u32) -> u32 {
        self.put_be(ORB, &[0, 0, 0, RESPONSE, 1 << 31 | flags, 64, (FIFO >> 32) as u32, FIFO as u32]);
        assert_eq!(self.point(MANAGEMENT, ORB), Some(0));
        let status = self.status();
        assert_eq!(status.len(), 1);
        assert_eq!((status[0].tcode(), status[0].offset(), status[0].code), (1, FIFO, 0x11));
        let quadlet = |n: usize| u32::from_be_bytes(status[0].data[n..n + 4].try_into().unwrap());
        assert_eq!((quadlet(4), quadlet(0) >> 24 & 7, quadlet(0) >> 28 & 3), (ORB, 1, 0));
        quadlet(0) >> 16 & 0xff
    }

    fn log_in(&mut self, exclusive: bool) {
        assert_eq!(self.manage(2 << 20 | u32::from(exclusive) << 28), 0);
        let response: Vec<u32> = (0..4).map(|n| self.rig.get32(RESPONSE + n * 4).swap_bytes()).collect();
        assert_eq!((response[0] >> 16, response[3]), (16, 3));
        self.login = response[0] & 0xffff;
        self.agent = u64::from(response[1]) << 32 | u64::from(response[2]);
        assert_eq!(self.agent, AGENTS);
    }

    /// A command ORB at `at`: next, what the data descriptor says, direction, command.
    fn orb(&mut self, at: u32, next: Option<u32>, data: (u32, u32), to_host: bool, command: &[u8]) {
        let next = next.map_or([1 << 31, 0], |next| [0, next]);
        let flags = 1 << 31 | 2 << 24 | 9 << 20 | u32::from(to_host) << 27 | data.1;
        self.put_be(at, &[next[0], next[1], 0xffc1_0000, data.0, flags, 0, 0, 0, 0]);
        self.rig.put(at + 20, command);
    }

    /// Carries out one command: response, sbp_status, sense data.
    fn run(&mut self, data: (u32, u32), to_host: bool, command: &[u8]) -> (u32, u32, Vec<u8>) {
        self.orb(ORB, None, data, to_host, command);
        let agent = self.agent;
        assert_eq!(self.point(agent + WRITE_POINTER, ORB), Some(0));
        let status = self.status();
        assert_eq!(status.len(), 1, "{status:?}");
        let head = u32::from_be_bytes(status[0].data[..4].try_into().unwrap());
        assert_eq!(head >> 30, 1, "the list ends");
        (head >> 28 & 3, head >> 16 & 0xff, status[0].data[8..].to_vec())
    }

    /// The unit tells once that it was reset.
    fn settle(&mut self) {
        let (response, code, sense) = self.run((0, 0), false, &[0]);
        assert_eq!((response, code, sense[0], sense[1]), (0, 0, 2, 6));
    }
}

#[test]
fn login_inquiry_write_read() {
    let mut it = Initiator::new();
    it.log_in(true);
    it.settle();
    assert_eq!(it.run((BUFFER, 36), true, &[0x12, 0, 0, 0, 36]), (0, 0, vec![]));
    assert_eq!(it.rig.get(BUFFER + 8, 28), b"WorkgateFireWire disk   0001");
    let data: Vec<u8> = (0..5000u32).map(|n| (n * 7) as u8).collect();
    it.rig.put(BUFFER, &data[..4096]);
    assert_eq!(it.run((BUFFER, 4096), false, &[0x2a, 0, 0, 0, 0, 3, 0, 0, 8]), (0, 0, vec![]));
    assert_eq!(it.run((BUFFER + 8192, 4096), true, &[0x28, 0, 0, 0, 0, 3, 0, 0, 8]), (0, 0, vec![]));
    assert_eq!(it.rig.get(BUFFER + 8192, 4096), data[..4096]);
    // Commands of 16 bytes have room, too: READ CAPACITY (16).
    let command = [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0];
    assert_eq!(it.run((BUFFER, 32), true, &command), (0, 0, vec![]));
    assert_eq!(it.rig.get(BUFFER, 12), [0, 0, 0, 0, 0, 0, 7, 0xff, 0, 0, 2, 0]);
}

#[test]
fn page_tables_scatter() {
    let mut it = Initiator::new();
    it.log_in(false);
    it.settle();
    it.put_be(TABLE, &[100 << 16, BUFFER, 412 << 16, BUFFER + 1000, 512 << 16, BUFFER + 2000]);
    let pattern: Vec<u8> = (0..4096u32).map(|n| (n / 3) as u8).collect();
    it.rig.put(BUFFER, &pattern);
    let table = |size: u32| (TABLE, 1 << 19 | size);
    assert_eq!(it.run(table(3), false, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 2]), (0, 0, vec![]));
    assert_eq!(it.run((BUFFER + 8192, 1024), true, &[0x28, 0, 0, 0, 0, 0, 0, 0, 2]), (0, 0, vec![]));
    let expected = [&pattern[..100], &pattern[1000..1412], &pattern[2000..2512]].concat();
    assert_eq!(it.rig.get(BUFFER + 8192, 1024), expected);
    // A table of which nothing can be read.
    let (response, code, _) = it.run((0x7fff_0000, 1 << 19 | 2), false, &[0x2a, 0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!((response, code), (1, 0x8f));
    let agent = it.agent;
    assert_eq!(it.point(agent + WRITE_POINTER, ORB), Some(4), "a dead agent takes nothing");
    it.rig.request((0, 2, 0), 0, agent + 4, Some(0), &[]);
    it.rig.run(100_000);
    it.rig.received(1);
    assert_eq!(it.run((BUFFER, 36), true, &[0x12, 0, 0, 0, 36]), (0, 0, vec![]));
}

#[test]
fn what_the_disk_refuses_comes_with_sense_data() {
    let mut it = Initiator::new();
    it.log_in(false);
    it.settle();
    let (response, code, sense) = it.run((BUFFER, 512), true, &[0x28, 0, 0, 1, 0, 0, 0, 0, 1]);
    assert_eq!((response, code), (0, 0));
    assert_eq!(sense[..4], [2, 5, 0x21, 0], "illegal request, out of range");
    assert_eq!(sense.len(), 16);
}

#[test]
fn lists_and_the_doorbell() {
    let mut it = Initiator::new();
    it.log_in(false);
    it.settle();
    let read = [0x28, 0, 0, 0, 0, 0, 0, 0, 1];
    it.orb(ORB, Some(ORB + 128), (BUFFER, 512), true, &read);
    it.orb(ORB + 128, None, (BUFFER + 512, 512), true, &read);
    let agent = it.agent;
    it.point(agent + WRITE_POINTER, ORB);
    let status = it.status();
    let orbs: Vec<u32> =
        status.iter().map(|packet| u32::from_be_bytes(packet.data[4..8].try_into().unwrap())).collect();
    assert_eq!(orbs, [ORB, ORB + 128]);
    assert_eq!((status[0].data[0] >> 6, status[1].data[0] >> 6), (0, 1));
    assert_eq!(it.rig.read_quadlet(0, agent), Ok(2), "suspended");
    // One more behind the last, and the bell.
    it.orb(ORB + 256, None, (BUFFER, 512), true, &read);
    it.put_be(ORB + 128, &[0, ORB + 256]);
    it.rig.request((0, 2, 0), 0, agent + DOORBELL, Some(0), &[]);
    it.rig.run(100_000);
    it.rig.received(1);
    let status = it.status();
    assert_eq!(status.len(), 1);
    assert_eq!(status[0].data[4..8], (ORB + 256).to_be_bytes());
}

#[test]
fn one_login_excludes_others_and_nobody_else_gets_in() {
    let mut it = Initiator::new();
    it.log_in(true);
    assert_eq!(it.manage(0), 4, "access denied");
    assert_eq!(it.manage(5), 5, "there is only logical unit 0");
    assert_eq!(it.manage(1 << 16), 0);
    assert_eq!(it.rig.get32(RESPONSE).swap_bytes(), 16 << 16 | 4, "one of four");
    assert_eq!(it.manage(7 << 16 | 99), 8, "no such login");
    let login = it.login;
    assert_eq!(it.manage(0xb << 16 | login), 0);
    assert_eq!(it.manage(7 << 16 | login), 0);
    it.log_in(false);
    assert_ne!(it.login, login);
}

#[test]
fn a_bus_reset_must_be_followed_by_a_reconnect() {
    let mut it = Initiator::new();
    it.log_in(true);
    it.settle();
    it.rig.bus_reset();
    it.rig.write(spec::PHYSICAL_FILTER_LO, 1);
    let (agent, login) = (it.agent, it.login);
    assert_eq!(it.point(agent + WRITE_POINTER, ORB), Some(6), "not before");
    assert_eq!(it.manage(3 << 16 | 99), 8);
    assert_eq!(it.manage(3 << 16 | login), 0);
    assert_eq!(it.run((BUFFER, 36), true, &[0x12, 0, 0, 0, 36]), (0, 0, vec![]));
    // Too late: the login is gone, and a new one is possible.
    it.rig.bus_reset();
    it.rig.write(spec::PHYSICAL_FILTER_LO, 1);
    it.rig.run(4_100_000_000);
    assert_eq!(it.manage(3 << 16 | login), 8);
    it.log_in(true);
    // Or it begins anew, without a reconnect: then the old login is no more.
    let login = it.login;
    it.rig.bus_reset();
    it.rig.write(spec::PHYSICAL_FILTER_LO, 1);
    it.log_in(true);
    assert_eq!(it.manage(3 << 16 | login), 8);
}

#[test]
fn a_bus_reset_in_the_middle_of_a_command_leaves_the_disk_usable() {
    let mut it = Initiator::new();
    it.log_in(false);
    it.settle();
    for wait in [1_000, 30_000, 60_000, 90_000, 150_000, 250_000] {
        it.orb(ORB, None, (BUFFER, 4096), true, &[0x28, 0, 0, 0, 0, 0, 0, 0, 8]);
        let agent = it.agent;
        it.point(agent + WRITE_POINTER, ORB);
        it.rig.run(wait);
        it.rig.bus_reset();
        it.rig.received(0);
        it.rig.write(spec::PHYSICAL_FILTER_LO, 1);
        assert_eq!(it.manage(3 << 16 | it.login), 0);
        assert_eq!(it.run((BUFFER, 512), true, &[0x28, 0, 0, 0, 0, 0, 0, 0, 1]), (0, 0, vec![]));
    }
}
