//! Requests of nodes: what the controller serves by itself, and what it hands on.

use super::super::testing::{ROM, Rig};
use crate::firewire::node::{Facts, Failure, Link, Node, Origin, Refusal};
use crate::firewire::phy::PhyFacts;
use crate::firewire::rom::{self, Directory};
use crate::spec::ieee1394::REGISTERS;
use crate::spec::ohci::{self as spec, event};
use std::sync::{Arc, Mutex};

/// What the poker was told.
type Answers = Arc<Mutex<Vec<Result<Vec<u8>, Failure>>>>;

/// A node that sends requests to the node that writes to it: address, then length (a read), or the data to be written.
struct Poker(Answers);

impl Node for Poker {
    fn facts(&self) -> Facts {
        Facts { phy: PhyFacts::default(), max_payload: 2048, latency: 5_000 }
    }
    fn rom(&self) -> Vec<u8> {
        rom::build(0, 7, &Directory::new())
    }
    fn read(&mut self, _: u64, _: &mut [u8], _: Origin, _: &mut Link<'_>) -> Result<(), Refusal> {
        Err(Refusal::Address)
    }
    fn write(&mut self, _: u64, from: &[u8], origin: Origin, link: &mut Link<'_>) -> Result<(), Refusal> {
        let (address, rest) = from.split_first_chunk::<8>().ok_or(Refusal::Type)?;
        let address = u64::from_be_bytes(*address);
        match *rest {
            [high, low] => link.read(1, origin.node, address, u16::from_be_bytes([high, low]), 2),
            _ => link.write(2, origin.node, address, rest.to_vec(), 2),
        }
        Ok(())
    }
    fn answer(&mut self, _: u64, result: Result<Vec<u8>, Failure>, _: &mut Link<'_>) {
        self.0.lock().unwrap().push(result);
    }
}

struct Bench {
    rig: Rig,
    answers: Answers,
}

impl Bench {
    fn new() -> Self {
        let answers = Answers::default();
        let mut rig = Rig::ready(vec![(Box::new(Poker(answers.clone())), 0)]);
        rig.write(spec::PHYSICAL_FILTER_LO, 1);
        Self { rig, answers }
    }

    fn poke(&mut self, address: u64, rest: &[u8]) {
        let mut data = address.to_be_bytes().to_vec();
        data.extend(rest);
        self.rig.request((1, 2, 0), 0, 0xffff_f001_0000, Some((data.len() as u32) << 16), &data);
    }

    /// A request of the node, and what it was told.
    fn ask(&mut self, address: u64, rest: &[u8]) -> Option<Result<Vec<u8>, Failure>> {
        self.poke(address, rest);
        self.rig.run(200_000);
        self.rig.received(1);
        self.answers.lock().unwrap().pop()
    }
}

#[test]
fn memory_is_read_and_written_without_software() {
    let mut bench = Bench::new();
    bench.rig.put(0x9_0000, &[1, 2, 3, 4, 5, 6]);
    assert_eq!(bench.ask(0x9_0000, &[0, 6]), Some(Ok(vec![1, 2, 3, 4, 5, 6])));
    assert_eq!(bench.ask(0x9_0000, &[0, 4]), Some(Ok(vec![1, 2, 3, 4])), "by quadlet");
    assert_eq!(bench.ask(0x9_0100, &[9, 8, 7]), Some(Ok(vec![])));
    assert_eq!(bench.rig.get(0x9_0100, 4), [9, 8, 7, 0]);
    let told = bench.rig.received(0);
    assert!(told.iter().all(|packet| packet.tcode() == 0xe), "only the bus reset: {told:?}");
    // Outside of memory: a read fails; a posted write is told of.
    assert_eq!(bench.ask(0x7fff_0000, &[0, 4]), Some(Err(Failure::Refused(5))));
    assert_eq!(bench.ask(0x7fff_0000, &[1, 1, 1, 1]), Some(Ok(vec![])));
    assert_ne!(bench.rig.read(spec::INT_EVENT) & event::POSTED_WRITE, 0);
    assert_eq!(bench.rig.read(spec::POSTED_WRITE_LO), 0x7fff_0000);
    assert_eq!(bench.rig.read(spec::POSTED_WRITE_HI), 0xffc0_0000);
    bench.rig.write(spec::HC_CONTROL + 4, spec::HC_POSTED_WRITES);
    assert_eq!(bench.ask(0x7fff_0000, &[1, 1, 1, 1]), Some(Err(Failure::Refused(5))));
}

#[test]
fn filters_keep_nodes_out_and_a_bus_reset_closes_them() {
    let mut bench = Bench::new();
    bench.rig.bus_reset();
    assert_eq!(bench.rig.read(spec::PHYSICAL_FILTER_LO), 0);
    bench.rig.received(0);
    // Not physical any more: it becomes a request for software, of which a write in low space is acknowledged as complete.
    assert_eq!(bench.ask(0x9_0100, &[9, 8, 7]), Some(Ok(vec![])));
    assert_eq!(bench.rig.get(0x9_0100, 3), [0; 3]);
    let got = bench.rig.received(0).pop().unwrap();
    assert_eq!((got.tcode(), got.code, got.offset(), got.source()), (1, 0x11, 0x9_0100, 0xffc0));
    assert_eq!(got.data, [9, 8, 7]);
    // Without the asynchronous filter nobody answers at all.
    bench.rig.write(spec::ASYNC_FILTER_HI + 4, 1 << 31);
    assert_eq!(bench.ask(0x9_0100, &[0, 4]), Some(Err(Failure::NoAck)));
    bench.rig.write(spec::ASYNC_FILTER_LO, 1);
    bench.poke(0x9_0100, &[0, 4]);
    bench.rig.run(200_000);
    assert_eq!(bench.rig.received(0).pop().map(|packet| (packet.tcode(), packet.code)), Some((4, 0x12)));
}

#[test]
fn software_answers_and_who_gets_no_answer_waits_until_the_time_is_over() {
    let mut bench = Bench::new();
    bench.rig.received(0);
    bench.poke(0xffff_f001_0000, &[0, 4]);
    bench.rig.run(200_000);
    let request = bench.rig.received(0).pop().unwrap();
    assert_eq!((request.tcode(), request.code, request.offset()), (4, 0x12, 0xffff_f001_0000));
    // A response that is too late is not sent.
    let now = bench.rig.read(spec::CYCLE_TIMER) >> 12 & 0xffff;
    let header = [request.label() << 10 | 6 << 4, 0xffc0_0000, 0, 0x0403_0201];
    let late = bench.rig.send(1, &header, &[], (now - 1) as u16);
    let sent = bench.rig.send(1, &header, &[], (now + 800) as u16);
    bench.rig.run(200_000);
    assert_eq!((bench.rig.code(1, late), bench.rig.code(1, sent)), (0x0a, 0x11));
    assert_eq!(bench.answers.lock().unwrap().pop(), Some(Ok(vec![1, 2, 3, 4])));
    bench.poke(0xffff_f001_0000, &[0, 4]);
    bench.rig.run(50_000_000);
    assert!(bench.answers.lock().unwrap().is_empty());
    bench.rig.run(60_000_000);
    assert_eq!(bench.answers.lock().unwrap().pop(), Some(Err(Failure::Timeout)));
}

#[test]
fn the_controllers_own_rom_is_served_from_registers_and_memory() {
    let mut bench = Bench::new();
    bench.rig.write(spec::CONFIG_ROM_HEADER, 0x0404_1234);
    bench.rig.put(ROM + 20, &[0xde, 0xad, 0xbe, 0xef]);
    let rom = REGISTERS + 0x400;
    assert_eq!(bench.ask(rom, &[0, 4]), Some(Ok(vec![4, 4, 0x12, 0x34])));
    assert_eq!(bench.ask(rom + 4, &[0, 4]), Some(Ok(b"1394".to_vec())));
    assert_eq!(bench.ask(rom + 20, &[0, 4]), Some(Ok(vec![0xde, 0xad, 0xbe, 0xef])));
    assert_eq!(bench.ask(rom + 20, &[0, 8]), Some(Ok(vec![0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0])));
    assert_eq!(bench.ask(rom, &[1, 1, 1, 1]), Some(Err(Failure::Refused(6))));
    // A new ROM is taken over by a bus reset.
    let options = bench.rig.read(spec::BUS_OPTIONS);
    bench.rig.put(0x2400, &[4, 4, 0x56, 0x78, 0x31, 0x33, 0x39, 0x34]);
    bench.rig.put(0x2408, &options.to_be_bytes());
    bench.rig.write(spec::CONFIG_ROM_MAP, 0x2400);
    assert_eq!(bench.ask(rom, &[0, 4]), Some(Ok(vec![4, 4, 0x12, 0x34])));
    bench.rig.bus_reset();
    assert_eq!(bench.ask(rom, &[0, 4]), Some(Ok(vec![4, 4, 0x56, 0x78])));
    assert_eq!(bench.rig.read(spec::CONFIG_ROM_HEADER), 0x0404_5678);
}

#[test]
fn registers_of_the_bus_are_locked_by_nodes_too() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(REGISTERS + 0x220, &[0, 4]), Some(Ok(4915u32.to_be_bytes().to_vec())));
    assert_eq!(bench.ask(REGISTERS + 0x220, &[0, 0, 0, 1]), Some(Err(Failure::Refused(6))));
}
