//! Registers, bus resets, self-ID packets.

use super::super::testing::{Rig, plain};
use crate::spec::ohci::{self as spec, code, event};

#[test]
fn identification_and_what_a_driver_probes() {
    let mut rig = Rig::new(vec![]);
    assert_eq!(rig.read(spec::VERSION) & 0x00ff_00ff, 0x0001_0010);
    assert_eq!(rig.read(spec::BUS_ID), 0x3133_3934);
    rig.write(spec::XMIT_MASK, u32::MAX);
    rig.write(spec::RECV_MASK, u32::MAX);
    assert_eq!((rig.read(spec::XMIT_MASK), rig.read(spec::RECV_MASK)), (0xf, 0xf));
    rig.write(spec::XMIT_MASK + 4, u32::MAX);
    assert_eq!(rig.read(spec::XMIT_MASK), 0);
    // Without power for the link, the PHY does not answer.
    rig.write(spec::PHY_CONTROL, spec::PHY_READ | 2 << 8);
    assert_eq!(rig.read(spec::PHY_CONTROL) & spec::PHY_READ_DONE, 0);
    assert_ne!(rig.read(spec::INT_EVENT) & event::REGISTER_FAIL, 0);
    rig.write(spec::HC_CONTROL, spec::HC_LPS);
    assert_eq!(rig.phy_read(2), 0xe3, "extended registers, three ports");
    rig.phy_write(7, 1 << 5);
    assert_eq!(rig.phy_read(8), 1, "1394a");
    assert_eq!(rig.read(spec::HC_CONTROL) & spec::HC_PROGRAM_PHY, spec::HC_PROGRAM_PHY);
}

#[test]
fn the_guid_rom_reads_byte_by_byte() {
    let mut rig = Rig::new(vec![]);
    rig.write(spec::GUID_ROM, spec::GUID_ROM_RESET);
    let mut guid = 0u64;
    for _ in 0..8 {
        rig.write(spec::GUID_ROM, spec::GUID_ROM_START);
        let value = rig.read(spec::GUID_ROM);
        assert_eq!(value & spec::GUID_ROM_START, 0);
        guid = guid << 8 | u64::from(value >> 16 & 0xff);
    }
    let registers = u64::from(rig.read(spec::GUID_HI)) << 32 | u64::from(rig.read(spec::GUID_LO));
    assert_eq!(guid, registers);
}

#[test]
fn a_bus_reset_gives_ids_and_an_interrupt() {
    let mut rig = Rig::new(vec![(plain(1, 1), 0)]);
    rig.enable();
    let before = rig.read(spec::SELF_ID_COUNT) >> 16 & 0xff;
    rig.phy_write(5, 0x40);
    rig.run(2_000);
    assert_ne!(rig.read(spec::INT_EVENT) & event::BUS_RESET, 0);
    assert_eq!(rig.read(spec::NODE_ID) & spec::NODE_VALID, 0, "no ID yet");
    rig.run(1_000_000);
    assert!(rig.world.line);
    let both = event::SELF_ID_COMPLETE | event::SELF_ID_COMPLETE_2;
    assert_eq!(rig.read(spec::INT_EVENT) & both, both);
    assert_eq!(rig.read(spec::SELF_ID_COUNT) >> 16 & 0xff, before + 1);
    // The node is 0, its parent on port 0; the controller is 1 and root, contender and initiator of the reset.
    assert_eq!(rig.self_ids(), [0x807f_8480, 0x817f_8cd6]);
    let root = spec::NODE_VALID | spec::NODE_ROOT | spec::NODE_POWER;
    assert_eq!(rig.read(spec::NODE_ID), root | 0xffc1);
    let told = rig.received(0);
    assert_eq!((told.len(), told[0].tcode(), told[0].code), (1, 0xe, code::BUS_RESET));
    assert_eq!(told[0].quadlets[2] >> 16 & 0xff, before + 1);
}

#[test]
fn more_than_three_ports_need_more_packets() {
    // The controller, a hub of 16 ports, a leaf on port 5 of the hub.
    let mut rig = Rig::new(vec![(plain(1, 16), 0)]);
    rig.ohci.bus().attach(plain(2, 1), 1, Some(5), false).unwrap();
    rig.enable();
    rig.bus_reset();
    let ids = rig.self_ids();
    // The controller 0, leaf 1. Hub 2, root: child on port 0, ports 1 and 2 free; more: child on 5. A third packet for ports 11 to 15.
    assert_eq!(ids[0], 0x807f_8c96);
    assert_eq!(ids[1], 0x817f_8480);
    assert_eq!(ids[2], 0x827f_84d5);
    assert_eq!(ids[3], 0x8280_0000 | 0b01_01_11_01_01_01_01_01 << 2 | 1);
    assert_eq!(ids[4], 0x8290_0000 | 0b01_01_01_01_01_00_00_00 << 2);
    assert_eq!(ids.len(), 5);
}

#[test]
fn a_configuration_packet_moves_the_root_and_the_gap_count() {
    let mut rig = Rig::ready(vec![(plain(1, 2), 0), (plain(2, 1), 1)]);
    // The controller is 0, the leaf 1; the middle, to which both tell that it is the parent, 2. Now the controller is to be root, with a
    // gap count of 7.
    assert_eq!(rig.read(spec::NODE_ID) & 0xc000_003f, 0x8000_0000);
    let packet = 1 << 23 | 1 << 22 | 7 << 16;
    let number = rig.send(0, &[0xe0, packet, !packet], &[], 0);
    rig.run(50_000);
    assert_eq!(rig.code(0, number), 0x11);
    rig.bus_reset();
    let ids = rig.self_ids();
    assert!(ids.iter().all(|id| id >> 16 & 0x3f == 7), "{ids:x?}");
    assert_eq!(rig.read(spec::NODE_ID) & 0xc000_003f, 0xc000_0002);
    assert_eq!(ids[1] & 0xfc, 0xb0, "the middle: a parent, a child, no third port: {ids:x?}");
    assert_eq!(ids[2] & 0xfc, 0xd4, "the controller: a child and two free ports: {ids:x?}");
    // The next reset that nobody prepares takes the gap count back.
    rig.bus_reset();
    assert!(rig.self_ids().iter().all(|id| id >> 16 & 0x3f == 63));
}

#[test]
fn cables_come_and_go() {
    let mut rig = Rig::ready(vec![(plain(1, 2), 0), (plain(2, 1), 1), (plain(3, 1), 0)]);
    assert_eq!(rig.self_ids().len(), 4);
    let now = rig.world.now;
    rig.ohci.bus().pull(1, now);
    rig.ohci.attend(&mut rig.world);
    rig.run(1_000_000);
    rig.handle_reset();
    assert_eq!(rig.self_ids().len(), 2, "what hangs on the node is gone with it");
    let now = rig.world.now;
    rig.ohci.bus().plug(1, now);
    rig.ohci.attend(&mut rig.world);
    rig.run(500_000);
    assert_eq!(rig.read(spec::INT_EVENT) & event::BUS_RESET, 0, "the cable must be in for a while");
    rig.run(1_000_000);
    rig.handle_reset();
    assert_eq!(rig.self_ids().len(), 4);
    // Out and in again within that time: only the last counts.
    let now = rig.world.now;
    rig.ohci.bus().pull(2, now);
    rig.ohci.bus().plug(2, now);
    rig.ohci.bus().pull(2, now + 1);
    rig.ohci.attend(&mut rig.world);
    rig.run(5_000_000);
    rig.handle_reset();
    assert_eq!(rig.self_ids().len(), 3);
}

#[test]
fn a_storm_of_resets_ends_with_ids() {
    let mut rig = Rig::ready(vec![(plain(1, 1), 0)]);
    let before = rig.read(spec::SELF_ID_COUNT) >> 16 & 0xff;
    for _ in 0..300 {
        rig.phy_write(5, 0x40);
        rig.run(3_000);
        assert_eq!(rig.read(spec::NODE_ID) & spec::NODE_VALID, 0);
    }
    rig.run(1_000_000);
    assert_eq!(rig.read(spec::SELF_ID_COUNT) >> 16 & 0xff, (before + 300) & 0xff);
    assert_ne!(rig.read(spec::NODE_ID) & spec::NODE_VALID, 0);
    rig.handle_reset();
    assert_eq!(rig.self_ids().len(), 2);
}

#[test]
fn compare_and_swap_of_the_bus_registers() {
    let mut rig = Rig::ready(vec![]);
    let mut swap = |select: u32, compare: u32, data: u32| {
        rig.write(spec::CSR_DATA, data);
        rig.write(spec::CSR_COMPARE, compare);
        rig.write(spec::CSR_CONTROL, select);
        assert_eq!(rig.read(spec::CSR_CONTROL), spec::CSR_DONE | select);
        rig.read(spec::CSR_DATA)
    };
    assert_eq!(swap(0, 0x3f, 1), 0x3f);
    assert_eq!(swap(0, 0x3f, 2), 1, "somebody manages the bus already");
    assert_eq!(swap(1, 4915, 4000), 4915);
    assert_eq!(swap(1, 4915, 0), 4000);
    rig.write(spec::INITIAL_CHANNELS_HI, 0xffff_fffe);
    rig.bus_reset();
    rig.write(spec::CSR_CONTROL, 2);
    assert_eq!(rig.read(spec::CSR_DATA), 0xffff_fffe, "a bus reset sets them back");
}

#[test]
fn the_cycle_timer_counts_at_24_mhz_and_can_be_set() {
    let mut rig = Rig::ready(vec![]);
    rig.write(spec::CYCLE_TIMER, 5 << 25 | 7990 << 12);
    let start = rig.world.now;
    rig.world.now = start + 125_000 * 11;
    assert_eq!(rig.read(spec::CYCLE_TIMER), 6 << 25 | 1 << 12);
    rig.write(spec::LINK_CONTROL + 4, spec::LINK_CYCLE_TIMER);
    rig.world.now += 1_000_000;
    assert_eq!(rig.read(spec::CYCLE_TIMER), 6 << 25 | 1 << 12, "stopped");
    rig.write(spec::LINK_CONTROL, spec::LINK_CYCLE_TIMER);
    rig.write(spec::CYCLE_TIMER, 63 << 25 | 7999 << 12);
    rig.write(spec::INT_EVENT + 4, u32::MAX);
    rig.run(200_000);
    assert_ne!(rig.read(spec::INT_EVENT) & event::CYCLE_64_SECONDS, 0);
}

#[test]
fn interrupts_follow_masks() {
    let mut rig = Rig::new(vec![]);
    rig.write(spec::INT_EVENT, event::SOFTWARE);
    assert_eq!((rig.world.raised, rig.read(spec::INT_EVENT + 4)), (0, 0));
    rig.write(spec::INT_MASK, event::SOFTWARE);
    assert_eq!(rig.world.raised, 0, "not without the master bit");
    rig.write(spec::INT_MASK, event::MASTER);
    assert_eq!((rig.world.raised, rig.read(spec::INT_EVENT + 4)), (1, event::SOFTWARE));
    rig.write(spec::INT_EVENT + 4, event::SOFTWARE);
    assert!(!rig.world.line);
    rig.write(spec::XMIT_MASK, 1);
    rig.write(spec::INT_MASK, event::ISO_TRANSMIT);
    rig.write(spec::XMIT_EVENT, 3);
    assert_eq!(rig.read(spec::INT_EVENT), event::ISO_TRANSMIT);
    assert_eq!((rig.read(spec::XMIT_EVENT), rig.read(spec::XMIT_EVENT + 4)), (3, 1));
    rig.write(spec::INT_EVENT + 4, event::ISO_TRANSMIT);
    assert_eq!(rig.read(spec::INT_EVENT), event::ISO_TRANSMIT, "follows from the other register");
    rig.write(spec::XMIT_EVENT + 4, 1);
    assert!(!rig.world.line && rig.read(spec::INT_EVENT) == 0);
}
