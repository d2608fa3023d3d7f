//! Isochronous contexts, with a camera as the source.

use super::super::testing::Rig;
use crate::firewire::camera::{self, CONTROL, CONTROL_SEND, Camera, PACKET, PIECES, SENT};
use crate::firewire::phy::PhyFacts;
use crate::spec::ohci::{self as spec, code, event};

const IT: u64 = spec::TRANSMIT_BASE;
const IR: u64 = spec::RECEIVE_BASE;
const PROGRAM: u32 = 0x4_0000;
const BUFFER: u32 = 0x5_0000;
const CYCLE: u64 = 125_000;

fn with_camera() -> Rig {
    let settings = camera::Settings { phy: PhyFacts::default(), guid: 9, name: "cam".into() };
    Rig::ready(vec![(Box::new(Camera::new(settings)), 0)])
}

fn write_quadlet(rig: &mut Rig, offset: u64, value: u32) {
    let number = rig.request((0, 0, 0), 0, offset, Some(value.swap_bytes()), &[]);
    rig.run(100_000);
    assert_eq!(rig.code(0, number), 0x12);
    assert_eq!(rig.received(1).pop().map(|packet| packet.rcode()), Some(0));
}

/// Packets of 40 bytes, four a frame, on channel 5.
fn start(rig: &mut Rig) {
    write_quadlet(rig, PACKET, 40);
    write_quadlet(rig, PIECES, 4);
    write_quadlet(rig, CONTROL, CONTROL_SEND | 5 << 16 | 2);
}

#[test]
fn packet_per_buffer_puts_each_packet_into_a_block_of_its_own() {
    let mut rig = with_camera();
    start(&mut rig);
    // Header of 8 bytes apart from the data; the first block waits for the beginning of a frame.
    for n in 0..8u32 {
        let at = PROGRAM + n * 32;
        let wait = if n == 0 { 3 } else { 0 };
        rig.descriptor(at, (0x2800 | wait, 8), BUFFER + n * 64, 0);
        let next = if n == 7 { 0 } else { (at + 32) | 2 };
        let interrupt = if n == 3 { 0x30 } else { 0 };
        rig.descriptor(at + 16, (0x380c | interrupt, 40), BUFFER + n * 64 + 8, next);
    }
    rig.write(spec::RECV_MASK, 1);
    rig.write(spec::INT_EVENT + 4, u32::MAX);
    rig.write(IR + spec::CONTEXT_MATCH, 0xf << 28 | 1 << 8 | 5);
    rig.write(IR + spec::CONTEXT_COMMAND, PROGRAM | 2);
    rig.write(IR, spec::RUN | spec::IR_HEADER);
    rig.run(CYCLE * 20);
    let frame = rig.get(BUFFER + 8, 4);
    for n in 0..8u32 {
        let at = BUFFER + n * 64;
        let sync = u32::from(n % 4 == 0);
        assert_eq!(rig.get32(at + 4), 40 << 16 | 5 << 8 | 0xa0 | sync, "packet {n}");
        assert_eq!(rig.get32(at + 12).swap_bytes(), n % 4, "piece");
        assert_eq!(
            rig.get32(PROGRAM + n * 32 + 28) & 0xffff_001f,
            (spec::RUN | spec::ACTIVE | 2 << 5 | 0x11) << 16 & 0xffff_0000
        );
        let stamps = [rig.get32(BUFFER), rig.get32(at)];
        assert_eq!((stamps[1] - stamps[0]) & 0x1fff, n, "one a cycle");
    }
    assert_ne!(rig.get(BUFFER + 4 * 64 + 8, 4), frame, "the next frame");
    assert_eq!(rig.read(IR) & spec::ACTIVE, 0, "the program has ended");
    assert_ne!(rig.read(spec::INT_EVENT) & event::ISO_RECEIVE, 0);
    assert_eq!(rig.read(spec::RECV_EVENT), 1);
}

#[test]
fn a_packet_that_is_too_long_is_cut() {
    let mut rig = with_camera();
    start(&mut rig);
    rig.descriptor(PROGRAM, (0x383c, 16), BUFFER, 0);
    rig.put(BUFFER, &[0xaa; 64]);
    rig.write(IR + spec::CONTEXT_MATCH, 1 << 28 | 5);
    rig.write(IR + spec::CONTEXT_COMMAND, PROGRAM | 1);
    rig.write(IR, spec::RUN);
    rig.run(CYCLE * 3);
    assert_eq!(rig.get32(PROGRAM + 12) >> 16 & 0x1f, code::LONG_PACKET);
    assert_eq!(rig.get(BUFFER + 16, 4), [0xaa; 4]);
    assert_ne!(rig.get(BUFFER, 16), [0xaa; 16]);
}

#[test]
fn buffer_fill_puts_packets_one_behind_another() {
    let mut rig = with_camera();
    start(&mut rig);
    // 48 bytes a packet with header and trailer; buffers of 64 bytes, so that packets are split.
    for n in 0..8u32 {
        let at = PROGRAM + n * 16;
        let next = if n == 7 { 0 } else { (at + 16) | 1 };
        rig.descriptor(at, (0x203c, 64), BUFFER + n * 64, next);
    }
    rig.write(spec::MULTI_CHANNEL_LO, 1 << 5);
    rig.write(spec::RECV_MASK, 1);
    rig.write(IR + spec::CONTEXT_MATCH, 0xf << 28);
    rig.write(IR + spec::CONTEXT_COMMAND, PROGRAM | 1);
    rig.write(IR, spec::RUN | spec::IR_HEADER | spec::IR_BUFFER_FILL | spec::IR_MULTI_CHANNEL);
    rig.run(CYCLE * 30);
    for n in 0..10u32 {
        let at = BUFFER + n * 48;
        assert_eq!(rig.get32(at) & !0xf, 40 << 16 | 5 << 8 | 0xa0);
        assert_eq!(rig.get32(at + 44) >> 16 & 0x1f, 0x11, "trailer");
    }
    // Ten packets are 480 of 512 bytes; the eleventh does not fit and is lost.
    assert_eq!(rig.get32(PROGRAM + 7 * 16 + 12) & 0xffff, 32);
    assert_eq!(rig.get32(BUFFER + 480), 0);
    rig.write(spec::MULTI_CHANNEL_LO + 4, 1 << 5);
    assert_eq!(rig.read(spec::RECV_EVENT), 1);
}

#[test]
fn other_channels_and_tags_do_not_get_in() {
    for matching in [0xf << 28 | 6, 0xe << 28 | 5] {
        let mut rig = with_camera();
        start(&mut rig);
        rig.descriptor(PROGRAM, (0x383c, 40), BUFFER, 0);
        rig.write(IR + spec::CONTEXT_MATCH, matching);
        rig.write(IR + spec::CONTEXT_COMMAND, PROGRAM | 1);
        rig.write(IR, spec::RUN);
        rig.run(CYCLE * 5);
        assert_eq!(rig.get32(PROGRAM + 12), 0);
    }
}

#[test]
fn the_camera_counts_and_stops_with_a_bus_reset() {
    let mut rig = with_camera();
    start(&mut rig);
    rig.descriptor(PROGRAM, (0x380c, 40), BUFFER, PROGRAM | 1);
    rig.write(IR + spec::CONTEXT_MATCH, 0xf << 28 | 5);
    rig.write(IR + spec::CONTEXT_COMMAND, PROGRAM | 1);
    rig.write(IR, spec::RUN);
    rig.run(CYCLE * 100);
    let sent = rig.read_quadlet(0, SENT).unwrap();
    assert!((98..=103).contains(&sent), "{sent}");
    rig.bus_reset();
    let sent = rig.read_quadlet(0, SENT).unwrap();
    rig.run(CYCLE * 10);
    assert_eq!(rig.read_quadlet(0, SENT), Ok(sent));
    assert_eq!(rig.read_quadlet(0, CONTROL), Ok(5 << 16 | 2));
}

/// A packet of `bytes` bytes on channel 1 at `at`; the next block at `next`.
fn packet(rig: &mut Rig, at: u32, bytes: u32, next: u32, interrupt: u32) {
    rig.descriptor(at, (0x0200, 8), 0, at | 3);
    rig.put32(at + 16, 2 << 16 | 1 << 8 | 0xa0);
    rig.put32(at + 20, bytes << 16);
    rig.descriptor(at + 32, (0x180c | interrupt, bytes), BUFFER, next);
}

#[test]
fn a_packet_goes_out_in_each_cycle() {
    let mut rig = Rig::ready(vec![]);
    for n in 0..4u32 {
        let at = PROGRAM + n * 64;
        packet(&mut rig, at, 16, if n == 3 { 0 } else { (at + 64) | 3 }, if n == 3 { 0x30 } else { 0 });
    }
    rig.write(spec::XMIT_MASK, 1);
    let start = (rig.read(spec::CYCLE_TIMER) >> 12 & 0x7fff) + 5;
    rig.write(IT + spec::CONTEXT_COMMAND, PROGRAM | 3);
    rig.write(IT, spec::RUN | spec::IT_CYCLE_MATCH | start << 16);
    rig.run(CYCLE * 4);
    assert_eq!(rig.get32(PROGRAM + 44), 0, "it waits for its cycle");
    rig.run(CYCLE * 6);
    for n in 0..4 {
        let status = rig.get32(PROGRAM + n * 64 + 44);
        assert_eq!((status >> 16 & 0x1f, status & 0x7fff), (0x11, start + n));
    }
    assert_eq!(rig.read(IT) & (spec::ACTIVE | spec::IT_CYCLE_MATCH), 0);
    assert_eq!(rig.read(spec::XMIT_EVENT), 1);
}

#[test]
fn without_a_cycle_master_contexts_skip() {
    let mut rig = Rig::ready(vec![]);
    packet(&mut rig, PROGRAM, 16, 0, 0);
    rig.write(spec::LINK_CONTROL + 4, spec::LINK_CYCLE_MASTER);
    rig.write(IT + spec::CONTEXT_COMMAND, PROGRAM | 3);
    rig.write(IT, spec::RUN);
    rig.run(CYCLE * 5);
    assert_eq!(rig.get32(PROGRAM + 44), 0, "the skip address is the block itself: it waits");
    assert_ne!(rig.read(spec::INT_EVENT) & event::CYCLE_LOST, 0);
    rig.write(spec::LINK_CONTROL, spec::LINK_CYCLE_MASTER);
    rig.run(CYCLE * 3);
    assert_eq!(rig.get32(PROGRAM + 44) >> 16 & 0x1f, 0x11);
}

#[test]
fn a_cycle_that_is_too_long_ends_the_cycle_master() {
    let mut rig = Rig::ready(vec![]);
    for which in 0..4u64 {
        let at = PROGRAM + which as u32 * 64;
        packet(&mut rig, at, 4000, 0, 0);
        rig.write(IT + which * spec::TRANSMIT_STRIDE + spec::CONTEXT_COMMAND, at | 3);
        rig.write(IT + which * spec::TRANSMIT_STRIDE, spec::RUN);
    }
    rig.run(CYCLE * 3);
    assert_ne!(rig.read(spec::INT_EVENT) & event::CYCLE_TOO_LONG, 0);
    assert_eq!(rig.read(spec::LINK_CONTROL) & spec::LINK_CYCLE_MASTER, 0);
}
