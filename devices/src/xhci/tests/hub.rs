//! Devices below hubs: ports, ways, power, and what happens when a hub goes.

use crate::device::News;
use crate::fault::plane::Site;
use crate::spec::{usb, xhci as spec};
use crate::xhci::testing::{DATA, Driver, Spec};

const BUFFER: u64 = DATA + 0x3_0000;

/// A hub at connector 2, a stick on its port 3, a hub on its port 1, and a keyboard on port 4 of that.
const DEVICES: [Spec<'static>; 4] = [
    ("usb-hub", &[], None, 2),
    ("usb-storage", &[("size", "1M")], Some(0), 3),
    ("usb-hub", &[("ports", "7")], Some(0), 1),
    ("usb-keyboard", &[], Some(2), 4),
];

fn status(driver: &mut Driver, hub: u8, port: u8) -> u32 {
    let (code, bytes) = driver.control(hub, [0xa3, usb::GET_STATUS, 0, 0, port, 0, 4, 0], &[]);
    assert_eq!(code, spec::SUCCESS);
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn set(driver: &mut Driver, hub: u8, port: u8, feature: u8) {
    assert_eq!(
        driver.control(hub, [0x23, usb::SET_FEATURE, feature, 0, port, 0, 0, 0], &[]).0,
        spec::SUCCESS
    );
}

fn clear(driver: &mut Driver, hub: u8, port: u8, feature: u8) {
    assert_eq!(
        driver.control(hub, [0x23, usb::CLEAR_FEATURE, feature, 0, port, 0, 0, 0], &[]).0,
        spec::SUCCESS
    );
}

/// Brings a hub up: its slot.
fn hub(driver: &mut Driver, port: u8, route: u32, speed: u32) -> u8 {
    let slot = driver.address(port, route, speed);
    driver.set_configuration(slot);
    assert_eq!(driver.configure(slot, &[(3, spec::TYPE_INTERRUPT_IN, 1, 8)]), spec::SUCCESS);
    slot
}

/// Powers and resets a port of a hub.
fn open(driver: &mut Driver, hub: u8, port: u8) {
    set(driver, hub, port, 8);
    clear(driver, hub, port, 16);
    set(driver, hub, port, 4);
    driver.wait(10_000_000);
    clear(driver, hub, port, 20);
    assert_ne!(status(driver, hub, port) & usb::PORT_ENABLE, 0);
}

#[test]
fn devices_answer_on_their_way_and_on_no_other() {
    let mut driver = Driver::with(&DEVICES);
    driver.reset_port(2);
    let top = hub(&mut driver, 2, 0, spec::SPEED_HIGH);
    assert_eq!(driver.control(top, [0xa0, 6, 0, 0x29, 0, 0, 9, 0], &[]).1, [9, 0x29, 4, 9, 0, 1, 0, 0, 0xff]);
    assert_eq!(status(&mut driver, top, 3), 0, "no power, no connection");
    set(&mut driver, top, 3, 8);
    let there = usb::PORT_CONNECTION | usb::PORT_POWER | usb::PORT_HIGH_SPEED;
    assert_eq!(status(&mut driver, top, 3), there | usb::PORT_CONNECTION << 16);
    assert_eq!(driver.transfer(top, 3, BUFFER, 1), (spec::SUCCESS, 1));
    assert_eq!(driver.bytes(BUFFER, 1), [1 << 3]);
    // A port that is not enabled lets nothing through.
    let (_, slot) = driver.command(spec::ENABLE_SLOT, 0, 0, 0);
    let address = |driver: &mut Driver, port, route, speed| {
        driver.address_input(slot, port, route, speed);
        driver.command(spec::ADDRESS_DEVICE, crate::xhci::testing::INPUT, 0, u32::from(slot) << 24).0
    };
    assert_eq!(address(&mut driver, 2, 3, spec::SPEED_HIGH), spec::TRANSACTION_ERROR);
    open(&mut driver, top, 3);
    open(&mut driver, top, 1);
    for (port, route) in [(2, 2), (2, 4), (1, 3), (2, 0x33)] {
        assert_eq!(address(&mut driver, port, route, spec::SPEED_HIGH), spec::TRANSACTION_ERROR);
    }
    assert_eq!(address(&mut driver, 2, 3, spec::SPEED_HIGH), spec::SUCCESS);
    let (_, device) = driver.descriptor(slot, usb::DESCRIPTOR_DEVICE, 0, 18);
    assert_eq!(device[10..12], [0x04, 0x01]);
    let below = hub(&mut driver, 2, 1, spec::SPEED_HIGH);
    open(&mut driver, below, 4);
    let keyboard = driver.address(2, 0x41, spec::SPEED_FULL);
    let (_, device) = driver.descriptor(keyboard, usb::DESCRIPTOR_DEVICE, 0, 18);
    assert_eq!(device[10..12], [0x05, 0x01]);
}

#[test]
fn a_reset_a_loss_of_power_and_a_suspend_reach_the_device() {
    let mut driver = Driver::with(&DEVICES);
    driver.reset_port(2);
    let top = hub(&mut driver, 2, 0, spec::SPEED_HIGH);
    open(&mut driver, top, 3);
    assert!(driver.world.sites.contains(&(1, Site::UsbReset)));
    let stick = driver.address(2, 3, spec::SPEED_HIGH);
    driver.set_configuration(stick);
    let configuration = [0x80, usb::GET_CONFIGURATION, 0, 0, 0, 0, 1, 0];
    assert_eq!(driver.control(stick, configuration, &[]), (spec::SUCCESS, vec![1]));
    set(&mut driver, top, 3, 2);
    assert_eq!(driver.control(stick, configuration, &[]).0, spec::TRANSACTION_ERROR, "suspended");
    let pipe = u32::from(stick) << 24 | 1 << 16;
    let recover = |driver: &mut Driver| {
        assert_eq!(driver.command(spec::RESET_ENDPOINT, 0, 0, pipe).0, spec::SUCCESS);
        let ring = driver.open(Driver::ring_of(stick, 1));
        assert_eq!(driver.command(spec::SET_DEQUEUE, ring, 0, pipe).0, spec::SUCCESS);
    };
    clear(&mut driver, top, 3, 2);
    clear(&mut driver, top, 3, 18);
    recover(&mut driver);
    assert_eq!(driver.control(stick, configuration, &[]), (spec::SUCCESS, vec![1]));
    clear(&mut driver, top, 3, 8);
    assert_eq!(status(&mut driver, top, 3), usb::PORT_CONNECTION << 16);
    assert_eq!(driver.control(stick, configuration, &[]).0, spec::TRANSACTION_ERROR, "no power");
}

#[test]
fn a_hub_tells_of_what_comes_and_goes() {
    let mut driver = Driver::with(&DEVICES);
    driver.reset_port(2);
    let top = hub(&mut driver, 2, 0, spec::SPEED_HIGH);
    open(&mut driver, top, 3);
    driver.submit(top, 3, BUFFER, 1, spec::TRB_IOC);
    driver.wait(1_000_000);
    assert_eq!(driver.events(), []);
    driver.news(News::Detach(1));
    driver.wait(40_000_000);
    assert_eq!(driver.events().len(), 1);
    assert_eq!(driver.bytes(BUFFER, 1), [1 << 3]);
    let gone = status(&mut driver, top, 3);
    assert_eq!(gone, usb::PORT_POWER | usb::PORT_CONNECTION << 16);
    clear(&mut driver, top, 3, 16);
    driver.submit(top, 3, BUFFER, 1, spec::TRB_IOC);
    driver.news(News::Current { hub: Some(0), port: 1, over: true });
    driver.wait(40_000_000);
    assert_eq!(driver.bytes(BUFFER, 1), [1 << 1]);
    assert_eq!(status(&mut driver, top, 1) & 0xffff, usb::PORT_OVER_CURRENT);
    driver.news(News::Detach(0));
    driver.wait(1_000_000);
    assert_eq!(driver.port(2) & spec::PORT_CCS, 0);
}
