//! Requests and responses, in both directions.

use super::super::testing::{BUFFER, RING, Rig, TRANSMIT, plain};
use crate::env::Mishap;
use crate::fault::plane::Site;
use crate::firewire::plain::MEMORY;
use crate::firewire::rom;
use crate::spec::ieee1394::REGISTERS;
use crate::spec::ohci::{self as spec, code, event};

const ROM: u64 = REGISTERS + 0x400;

#[test]
fn a_nodes_configuration_rom_reads_and_its_sums_are_right() {
    let mut rig = Rig::ready(vec![(plain(0x0011_2233_4455_6677, 1), 0)]);
    let mut quadlets = Vec::new();
    for n in 0..64 {
        match rig.read_quadlet(0, ROM + n * 4) {
            Ok(value) => quadlets.push(value),
            Err(rcode) => {
                assert_eq!(rcode, 7, "behind the end");
                break;
            }
        }
    }
    assert_eq!(quadlets[0] >> 24, 4);
    assert_eq!(quadlets[0] as u16, rom::crc(&quadlets[1..5]));
    assert_eq!((quadlets[1], quadlets[3], quadlets[4]), (0x3133_3934, 0x0011_2233, 0x4455_6677));
    let length = (quadlets[5] >> 16) as usize;
    assert_eq!(quadlets[5] as u16, rom::crc(&quadlets[6..6 + length]));
    // Every leaf and directory below has a right sum, and lies within the ROM.
    for at in 6..6 + length {
        if quadlets[at] >> 30 >= 2 {
            let block = at + (quadlets[at] & 0xff_ffff) as usize;
            let length = (quadlets[block] >> 16) as usize;
            assert_eq!(quadlets[block] as u16, rom::crc(&quadlets[block + 1..=block + length]));
        }
    }
}

#[test]
fn blocks_go_there_and_back() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let data: Vec<u8> = (0..=255).collect();
    let write = rig.request((1, 2, 1), 0, MEMORY, Some(256 << 16), &data);
    let read = rig.request((5, 2, 2), 0, MEMORY + 1, Some(255 << 16), &[]);
    rig.run(200_000);
    assert_eq!((rig.code(0, write), rig.code(0, read)), (0x12, 0x12));
    let got = rig.received(1);
    assert_eq!((got[0].tcode(), got[0].label(), got[0].rcode(), got[0].code), (2, 1, 0, 0x11));
    assert_eq!((got[1].tcode(), got[1].label(), got[1].rcode()), (7, 2, 0));
    assert_eq!(got[1].data, data[1..]);
    let all = event::REQUEST_SENT | event::RESPONSE_PACKET;
    assert_eq!(rig.read(spec::INT_EVENT) & all, all);
}

#[test]
fn locks_return_the_old_value() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let args = [[0, 0, 0, 0], [0, 0, 0, 9]].concat();
    rig.request((9, 0, 0), 0, MEMORY, Some(8 << 16 | 2), &args);
    let args = [[0, 0, 0, 8], [0, 0, 0, 7]].concat();
    rig.request((9, 0, 1), 0, MEMORY, Some(8 << 16 | 2), &args);
    rig.request((9, 0, 2), 0, MEMORY, Some(4 << 16 | 3), &[0, 0, 0, 1]);
    rig.request((9, 0, 3), 0, MEMORY, Some(4 << 16 | 9), &[0, 0, 0, 1]);
    rig.run(300_000);
    let got = rig.received(1);
    let values: Vec<_> =
        got.iter().map(|packet| (packet.tcode(), packet.rcode(), packet.data.clone())).collect();
    assert_eq!(values[0], (0xb, 0, vec![0, 0, 0, 0]));
    assert_eq!(values[1], (0xb, 0, vec![0, 0, 0, 9]), "not swapped");
    assert_eq!(values[2], (0xb, 0, vec![0, 0, 0, 9]), "added");
    assert_eq!((values[3].0, values[3].1), (0xb, 6), "no such lock");
    assert_eq!(rig.read_quadlet(0, MEMORY), Ok(10));
}

#[test]
fn nobody_answers_where_nobody_is() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let absent = rig.request((4, 0, 0), 5, ROM, None, &[]);
    let own = rig.request((4, 0, 0), 1, ROM, None, &[]);
    let elsewhere = rig.send(0, &[1 << 8 | 4 << 4, 0x0040_0000 | 0xffff, ROM as u32], &[], 0);
    rig.run(200_000);
    for number in [absent, own, elsewhere] {
        assert_eq!(rig.code(0, number), code::MISSING_ACK);
    }
    assert!(rig.received(1).is_empty());
}

#[test]
fn what_is_too_fast_or_too_long_is_not_taken() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let long = rig.request((1, 0, 0), 0, MEMORY, Some(600 << 16), &[0; 600]);
    let bad = rig.request((1, 2, 0), 0, MEMORY, Some(600 << 16), &[0; 500]);
    let odd = rig.send(0, &[3 << 4, 0xffc0_0000, 0, 0], &[], 0);
    let fast = rig.request((4, 3, 0), 0, ROM, None, &[]);
    rig.run(200_000);
    assert_eq!(rig.code(0, long), 0x1d);
    assert_eq!(rig.code(0, bad), code::UNDERRUN);
    assert_eq!(rig.code(0, odd), code::TCODE);
    assert_eq!(rig.code(0, fast), code::UNKNOWN);
}

#[test]
fn a_bus_reset_flushes_and_holds_the_contexts() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let first = rig.request((4, 0, 0), 0, ROM, None, &[]);
    let second = rig.request((4, 0, 1), 0, ROM, None, &[]);
    rig.phy_write(1, 0x40);
    rig.world.now += 10;
    rig.run(1);
    rig.run(1_000_000);
    assert_eq!(rig.code(0, first), code::FLUSHED);
    assert_eq!(rig.code(0, second), 0, "never looked at");
    assert_eq!(rig.read(Rig::context(0)) & (spec::RUN | spec::ACTIVE), spec::RUN);
    rig.handle_reset();
    assert_eq!(rig.read_quadlet(0, ROM + 4), Ok(0x3133_3934));
}

#[test]
fn programs_that_make_no_sense_kill_the_context() {
    for (z, address, expected) in [
        (9, TRANSMIT[0], code::UNKNOWN),
        (1, TRANSMIT[0], code::UNKNOWN),
        (2, 0xffff_fff0, code::DESCRIPTOR_READ),
        (2, TRANSMIT[0], code::UNKNOWN),
    ] {
        let mut rig = Rig::ready(vec![]);
        rig.write(Rig::context(0) + spec::CONTEXT_COMMAND, address | z);
        rig.write(Rig::context(0), spec::RUN);
        rig.run(10_000);
        let control = rig.read(Rig::context(0));
        assert_eq!(control & (spec::DEAD | spec::ACTIVE | spec::EVENT_CODE), spec::DEAD | expected);
        assert_ne!(rig.read(spec::INT_EVENT) & event::UNRECOVERABLE, 0);
        rig.write(Rig::context(0) + 4, spec::RUN);
        assert_eq!(rig.read(Rig::context(0)) & (spec::DEAD | spec::RUN), 0);
    }
}

#[test]
fn a_program_that_runs_in_a_circle_is_only_as_fast_as_the_bus() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let number = rig.request((4, 0, 0), 0, ROM, None, &[]);
    let at = TRANSMIT[0] + number * 64;
    rig.put32(at + 8, at | 2);
    rig.run(1_000_000);
    let got = rig.received(1).len();
    assert!(got > 10 && got < 500, "{got}");
}

#[test]
fn a_context_that_is_not_woken_stands_still() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    rig.request((4, 0, 0), 0, ROM, None, &[]);
    rig.run(100_000);
    assert_eq!(rig.read(Rig::context(0)) & spec::ACTIVE, 0);
    let at = TRANSMIT[0] + 64;
    rig.descriptor(at, (0x123c, 12), 0, 0);
    for (n, quadlet) in [1 << 10 | 4 << 4, 0xffc0_ffff, ROM as u32].into_iter().enumerate() {
        rig.put32(at + 16 + n as u32 * 4, quadlet);
    }
    rig.put32(TRANSMIT[0] + 8, at | 2);
    rig.run(100_000);
    assert_eq!(rig.get32(at + 12), 0);
    rig.write(Rig::context(0), spec::WAKE);
    rig.run(100_000);
    assert_eq!(rig.get32(at + 12) >> 16 & 0x1f, 0x12);
}

#[test]
fn a_full_ring_makes_senders_wait_and_nothing_is_lost() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    // Each answer of 512 bytes takes 532 in the ring: fifteen fit.
    let fit = (RING * BUFFER / 532) as usize;
    for label in 0..20u32 {
        rig.request((5, 2, label), 0, MEMORY, Some(512 << 16), &[]);
    }
    // Not run for so long that the senders give up.
    rig.run(300_000);
    let first = rig.received(1);
    assert_eq!(first.len(), fit);
    rig.run(300_000);
    let rest = rig.received(1);
    // Those that waited come in any order.
    let mut labels: Vec<_> = first.iter().chain(&rest).map(|packet| packet.label()).collect();
    labels.sort_unstable();
    assert_eq!(labels, (0..20).collect::<Vec<_>>());
    assert!(first.iter().all(|packet| packet.data.len() == 512));
}

#[test]
fn a_lost_acknowledge_is_a_packet_that_arrived() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    rig.ohci.bus().lose_acks(1);
    let number = rig.request((0, 0, 0), 0, MEMORY, Some(0x7856_3412), &[]);
    rig.run(100_000);
    assert_eq!(rig.code(0, number), code::MISSING_ACK);
    assert_eq!(rig.received(1).len(), 1, "the answer comes all the same");
    assert_eq!(rig.read_quadlet(0, MEMORY), Ok(0x1234_5678));
}

#[test]
fn what_a_plan_does_to_a_packet() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let write = |rig: &mut Rig, mishap, value: u32| {
        rig.world.mishap = Some(mishap);
        let number = rig.request((0, 0, 0), 0, MEMORY, Some(value.swap_bytes()), &[]);
        rig.run(100_000);
        let answers = rig.received(1).len();
        assert_eq!(rig.world.mishap, None);
        (rig.code(0, number), answers, rig.read_quadlet(0, MEMORY))
    };
    let lost = write(&mut rig, (Site::FireReceive, Mishap::Error), 5);
    assert_eq!(lost, (code::MISSING_ACK, 1, Ok(5)), "it arrived");
    let gone = write(&mut rig, (Site::FireReceive, Mishap::Gone), 6);
    assert_eq!(gone, (code::MISSING_ACK, 0, Ok(5)), "it did not");
    let answer = write(&mut rig, (Site::FireSend, Mishap::Gone), 7);
    assert_eq!(answer, (0x12, 0, Ok(7)), "the answer never came");
}
