//! TDs of several TRBs, short packets, event data, stops, rings that are wrong; the other devices.

use super::STICK;
use super::storage::Stick;
use crate::spec::{scsi, usb, xhci as spec};
use crate::xhci::testing::{DATA, Driver, code};

const IN: u8 = 3;
const BUFFER: u64 = DATA + 0x3_0000;

/// READ (10) of `count` blocks from the beginning.
fn read(count: u8) -> [u8; 10] {
    [scsi::READ_10, 0, 0, 0, 0, 0, 0, 0, count, 0]
}

fn normal(flags: u32) -> u32 {
    spec::NORMAL << spec::TRB_TYPE_SHIFT | flags
}

#[test]
fn packets_cross_the_borders_of_trbs() {
    let mut stick = Stick::new(STICK);
    stick.wrap(&read(4), 2048, true);
    let ring = Driver::ring_of(stick.slot, IN);
    for (at, length, flags) in [
        (0u64, 100u32, spec::TRB_CHAIN),
        (0x1000, 1000, spec::TRB_CHAIN | spec::TRB_IOC),
        (0x2000, 0, spec::TRB_CHAIN),
        (0x3000, 948, spec::TRB_IOC),
    ] {
        stick.driver.push(ring, BUFFER + at, length, normal(flags));
    }
    stick.driver.kick(stick.slot, IN);
    stick.driver.wait(1_000_000);
    let events = stick.driver.events();
    assert_eq!(
        events.iter().map(|event| (code(*event), event.status & 0xff_ffff)).collect::<Vec<_>>(),
        [(spec::SUCCESS, 0), (spec::SUCCESS, 0)]
    );
    assert_eq!(stick.status(), (usb::CSW_PASSED, 0));
}

#[test]
fn a_doorbell_does_not_make_the_bus_faster() {
    let mut stick = Stick::new(STICK);
    stick.wrap(&read(16), 8192, true);
    stick.driver.submit(stick.slot, IN, BUFFER, 8192, spec::TRB_IOC);
    stick.driver.wait(20_000);
    assert_eq!(stick.driver.events().len(), 1);
    // 480 Mbit/s: 8 KiB take more than 120 µs.
    stick.driver.submit(stick.slot, IN, BUFFER, 13, spec::TRB_IOC);
    stick.driver.wait(100_000);
    assert_eq!(stick.driver.events(), []);
    stick.driver.wait(50_000);
    assert_eq!(stick.driver.events().len(), 1);
}

#[test]
fn a_short_packet_ends_the_td_and_event_data_count_it() {
    let mut stick = Stick::new(STICK);
    // 36 bytes come where 64 and more fit.
    stick.wrap(&[scsi::INQUIRY, 0, 0, 0, 36], 36, true);
    let ring = Driver::ring_of(stick.slot, IN);
    let first = stick.driver.push(ring, BUFFER, 64, normal(spec::TRB_CHAIN | spec::TRB_ISP));
    stick.driver.push(ring, BUFFER + 64, 64, normal(spec::TRB_CHAIN));
    let data = spec::EVENT_DATA << spec::TRB_TYPE_SHIFT | spec::TRB_IOC;
    stick.driver.push(ring, 0xfeed_beef_cafe, 0, data);
    stick.driver.kick(stick.slot, IN);
    stick.driver.wait(1_000_000);
    let events = stick.driver.events();
    assert_eq!(events.len(), 2, "{events:x?}");
    assert_eq!((events[0].parameter, code(events[0])), (first, spec::SHORT_PACKET));
    assert_eq!(events[0].status & 0xff_ffff, 28);
    assert_eq!((events[1].parameter, code(events[1])), (0xfeed_beef_cafe, spec::SHORT_PACKET));
    assert_eq!(events[1].status & 0xff_ffff, 36);
    assert!(events[1].has(spec::TRB_ED) && !events[0].has(spec::TRB_ED));
    assert_eq!(stick.status(), (usb::CSW_PASSED, 0));
}

#[test]
fn an_endpoint_that_is_stopped_tells_how_far_it_was_and_goes_on() {
    let mut stick = Stick::new(STICK);
    let trb = stick.driver.submit(stick.slot, IN, BUFFER, 13, spec::TRB_IOC);
    stick.driver.wait(1_000_000);
    assert_eq!(stick.driver.events(), [], "nothing to say");
    let pipe = u32::from(stick.slot) << 24 | u32::from(IN) << 16;
    stick.driver.push(crate::xhci::testing::COMMANDS, 0, 0, spec::STOP_ENDPOINT << 10 | pipe);
    stick.driver.set(spec::DOORBELLS, 0);
    stick.driver.wait(1_000_000);
    let events = stick.driver.events();
    assert_eq!((events[0].kind(), code(events[0])), (spec::TRANSFER_EVENT, spec::STOPPED));
    assert_eq!((events[0].parameter, events[0].status & 0xff_ffff), (trb, 13));
    assert_eq!((events[1].kind(), code(events[1])), (spec::COMMAND_EVENT, spec::SUCCESS));
    let context = Driver::device(stick.slot) + u64::from(IN) * 32;
    assert_eq!(u64::from(stick.driver.get32(context + 8)), trb | 1);
    stick.wrap(&[scsi::TEST_UNIT_READY], 0, true);
    stick.driver.kick(stick.slot, IN);
    stick.driver.wait(1_000_000);
    let events = stick.driver.events();
    assert_eq!((events[0].parameter, code(events[0])), (trb, spec::SUCCESS));
}

#[test]
fn rings_that_are_wrong_end_in_a_trb_error() {
    let link = spec::LINK << spec::TRB_TYPE_SHIFT;
    for (kind, parameter, status) in [
        (link, Driver::ring_of(1, IN), 0),
        (spec::SETUP << spec::TRB_TYPE_SHIFT | spec::TRB_IDT, 0, 8),
        (normal(spec::TRB_IOC), 0, 0x1_0001),
        (normal(spec::TRB_IDT), 0, 9),
        (60 << spec::TRB_TYPE_SHIFT, 0, 0),
    ] {
        let mut stick = Stick::new(STICK);
        assert_eq!(stick.slot, 1);
        stick.driver.open(Driver::ring_of(1, IN));
        let pipe = 1 << 24 | u32::from(IN) << 16;
        stick.driver.command(spec::STOP_ENDPOINT, 0, 0, pipe);
        stick.driver.command(spec::SET_DEQUEUE, Driver::ring_of(1, IN) | 1, 0, pipe);
        stick.driver.push(Driver::ring_of(1, IN), parameter, status, kind);
        let before = stick.driver.world.accesses;
        stick.driver.kick(1, IN);
        stick.driver.wait(10_000_000);
        let events = stick.driver.events();
        assert_eq!(
            events.iter().map(|event| code(*event)).collect::<Vec<_>>(),
            [spec::TRB_ERROR],
            "{kind:x}"
        );
        assert_eq!(stick.driver.endpoint_state(1, IN), spec::EP_ERROR);
        assert!(stick.driver.world.accesses - before < 100);
    }
}

#[test]
fn a_keyboard_types() {
    let mut driver = Driver::with(&[("usb-keyboard", &[], None, 1)]);
    driver.reset_port(1);
    let slot = driver.address(1, 0, spec::SPEED_FULL);
    driver.set_configuration(slot);
    assert_eq!(driver.descriptor(slot, usb::DESCRIPTOR_REPORT, 0, 63).0, spec::STALL, "of an interface only");
    let pipe = u32::from(slot) << 24 | 1 << 16;
    driver.command(spec::RESET_ENDPOINT, 0, 0, pipe);
    let ring = driver.open(Driver::ring_of(slot, 1));
    driver.command(spec::SET_DEQUEUE, ring, 0, pipe);
    let (code, report) = driver.control(slot, [0x81, 6, 0, 0x22, 0, 0, 63, 0], &[]);
    assert_eq!((code, report.len(), report[0]), (spec::SUCCESS, 63, 5));
    assert_eq!(driver.configure(slot, &[(3, spec::TYPE_INTERRUPT_IN, 8, 6)]), spec::SUCCESS);
    let keys: Vec<u8> = (0..5)
        .map(|_| {
            assert_eq!(driver.transfer(slot, 3, BUFFER, 8), (spec::SUCCESS, 8));
            driver.bytes(BUFFER + 2, 1)[0]
        })
        .collect();
    assert_eq!(keys, [4, 0, 5, 0, 6]);
}

#[test]
fn a_serial_port_sends_back_what_it_gets() {
    let mut driver = Driver::with(&[("usb-serial", &[], None, 3)]);
    driver.reset_port(3);
    let slot = driver.address(3, 0, spec::SPEED_HIGH);
    driver.set_configuration(slot);
    let pipes = [(3, 6, 512, 0), (4, 2, 512, 0), (7, 7, 16, 8)];
    assert_eq!(driver.configure(slot, &pipes), spec::SUCCESS);
    let coding = [0, 194, 1, 0, 0, 0, 8];
    assert_eq!(driver.control(slot, [0x21, 0x20, 0, 0, 0, 0, 7, 0], &coding).0, spec::SUCCESS);
    assert_eq!(driver.control(slot, [0xa1, 0x21, 0, 0, 0, 0, 7, 0], &[]).1, coding);
    driver.submit(slot, 7, BUFFER + 0x800, 10, spec::TRB_IOC);
    assert_eq!(driver.control(slot, [0x21, 0x22, 3, 0, 0, 0, 0, 0], &[]).0, spec::SUCCESS);
    driver.wait(50_000_000);
    assert_eq!(driver.bytes(BUFFER + 0x800, 10), [0xa1, 0x20, 0, 0, 0, 0, 2, 0, 3, 0]);
    driver.put(BUFFER, b"hello");
    assert_eq!(driver.transfer(slot, 4, BUFFER, 5), (spec::SUCCESS, 5));
    assert_eq!(driver.transfer(slot, 3, BUFFER + 0x400, 64), (spec::SHORT_PACKET, 5));
    assert_eq!(driver.bytes(BUFFER + 0x400, 5), b"hello");
}

#[test]
fn a_periodic_endpoint_is_asked_once_in_an_interval() {
    let mut driver = Driver::with(&[("usb-mouse", &[("period", "1ms")], None, 1)]);
    driver.reset_port(1);
    let mouse = driver.address(1, 0, spec::SPEED_LOW);
    driver.set_configuration(mouse);
    // An exponent of 6 is 8 ms; there is news every millisecond.
    assert_eq!(driver.configure(mouse, &[(3, spec::TYPE_INTERRUPT_IN, 8, 6)]), spec::SUCCESS);
    (0..3).for_each(|n| _ = driver.submit(mouse, 3, BUFFER + 8 * n, 3, spec::TRB_IOC));
    let done: Vec<usize> = (0..3)
        .map(|_| {
            driver.wait(7_900_000);
            driver.events().len()
        })
        .collect();
    assert_eq!(done, [1, 1, 1]);
}

#[test]
fn a_mouse_moves_and_a_line_has_its_rate() {
    let mut driver = Driver::with(&[
        ("usb-mouse", &[("period", "1ms")], None, 1),
        ("usb-serial", &[("data", "pattern")], None, 2),
    ]);
    driver.reset_port(1);
    let mouse = driver.address(1, 0, spec::SPEED_LOW);
    driver.set_configuration(mouse);
    assert_eq!(driver.configure(mouse, &[(3, spec::TYPE_INTERRUPT_IN, 8, 6)]), spec::SUCCESS);
    assert_eq!(driver.transfer(mouse, 3, BUFFER, 3), (spec::SUCCESS, 3));
    assert_eq!(driver.bytes(BUFFER, 3), [0, 1, 0]);
    driver.reset_port(2);
    let line = driver.address(2, 0, spec::SPEED_HIGH);
    driver.set_configuration(line);
    assert_eq!(driver.configure(line, &[(3, 6, 512, 0)]), spec::SUCCESS);
    assert_eq!(driver.control(line, [0x21, 0x22, 1, 0, 0, 0, 0, 0], &[]).0, spec::SUCCESS);
    // 115200 bit/s are 11.52 bytes a millisecond; the control transfer waited 20 ms.
    driver.submit(line, 3, BUFFER, 512, spec::TRB_IOC | spec::TRB_ISP);
    driver.wait(100_000);
    let events = driver.events();
    assert_eq!(code(events[0]), spec::SHORT_PACKET);
    let moved = 512 - (events[0].status & 0xff_ffff) as usize;
    assert!((229..=232).contains(&moved), "{moved}");
    assert_eq!(driver.bytes(BUFFER, moved), (0..moved).map(|n| n as u8).collect::<Vec<_>>());
}
