//! A stick behind the controller: enumeration, SCSI, halts and recovery.

use super::STICK;
use crate::device::News;
use crate::env::Mishap;
use crate::fault::plane::Site;
use crate::spec::{scsi, usb, xhci as spec};
use crate::xhci::testing::{DATA, Driver, Spec};

/// Where wrappers and data are.
const WRAPPER: u64 = DATA + 0x2_0000;
const STATUS: u64 = DATA + 0x2_1000;
const BUFFER: u64 = DATA + 0x3_0000;
const IN: u8 = 3;
const OUT: u8 = 4;

/// A stick that is configured.
pub struct Stick {
    pub driver: Driver,
    pub slot: u8,
    tag: u32,
}

impl Stick {
    pub fn new(spec: Spec<'_>) -> Self {
        let mut driver = Driver::with(&[spec]);
        let is_super = spec.1.contains(&("speed", "super"));
        let is_full = spec.1.contains(&("speed", "full"));
        let (port, speed, packet) = match (is_super, is_full) {
            (true, _) => (5, spec::SPEED_SUPER, 1024),
            (_, true) => (1, spec::SPEED_FULL, 64),
            _ => (1, spec::SPEED_HIGH, 512),
        };
        driver.events();
        driver.reset_port(port);
        let slot = driver.address(port as u8, 0, speed);
        driver.set_configuration(slot);
        assert_eq!(driver.configure(slot, &[(IN, 6, packet, 0), (OUT, 2, packet, 0)]), spec::SUCCESS);
        let mut stick = Self { driver, slot, tag: 1 };
        // The first command hears of the reset.
        assert_eq!(stick.command(&[scsi::TEST_UNIT_READY], 0, true), (usb::CSW_FAILED, 0));
        assert_eq!(stick.sense(), (scsi::UNIT_ATTENTION, scsi::ASC_RESET));
        stick
    }

    /// Sends a command block wrapper.
    pub fn wrap(&mut self, block: &[u8], length: u32, to_host: bool) {
        self.put_wrapper(block, length, to_host);
        assert_eq!(self.driver.transfer(self.slot, OUT, WRAPPER, 31), (spec::SUCCESS, 31));
    }

    /// Puts a command block wrapper into memory.
    fn put_wrapper(&mut self, block: &[u8], length: u32, to_host: bool) {
        let mut bytes = [0; usb::CBW_BYTES];
        bytes[..4].copy_from_slice(&usb::CBW_SIGNATURE.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.tag.to_le_bytes());
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        bytes[12] = if to_host { 0x80 } else { 0 };
        bytes[14] = 16;
        bytes[15..15 + block.len()].copy_from_slice(block);
        self.driver.put(WRAPPER, &bytes);
    }

    /// Takes the status: its status byte and the residue.
    pub fn status(&mut self) -> (u8, u32) {
        assert_eq!(self.driver.transfer(self.slot, IN, STATUS, 13), (spec::SUCCESS, 13));
        assert_eq!(self.driver.get32(STATUS), usb::CSW_SIGNATURE);
        assert_eq!(self.driver.get32(STATUS + 4), self.tag);
        self.tag += 1;
        (self.driver.bytes(STATUS + 12, 1)[0], self.driver.get32(STATUS + 8))
    }

    /// Takes the halt of an endpoint away, on the controller's side.
    pub fn reset_endpoint(&mut self, endpoint: u8) {
        let pipe = u32::from(self.slot) << 24 | u32::from(endpoint) << 16;
        assert_eq!(self.driver.endpoint_state(self.slot, endpoint), spec::EP_HALTED);
        assert_eq!(self.driver.command(spec::RESET_ENDPOINT, 0, 0, pipe).0, spec::SUCCESS);
        let ring = Driver::ring_of(self.slot, endpoint);
        let pointer = self.driver.open(ring);
        assert_eq!(self.driver.command(spec::SET_DEQUEUE, pointer, 0, pipe).0, spec::SUCCESS);
    }

    /// Takes the halt of an endpoint away, on both sides.
    pub fn clear_halt(&mut self, endpoint: u8) {
        self.reset_endpoint(endpoint);
        let address = (endpoint / 2) | if endpoint == IN { 0x80 } else { 0 };
        let clear = [2, usb::CLEAR_FEATURE, 0, 0, address, 0, 0, 0];
        assert_eq!(self.driver.control(self.slot, clear, &[]).0, spec::SUCCESS);
    }

    /// A command with data in [`BUFFER`]: status byte and residue.
    pub fn command(&mut self, block: &[u8], length: u32, to_host: bool) -> (u8, u32) {
        self.wrap(block, length, to_host);
        if length > 0 {
            let endpoint = if to_host { IN } else { OUT };
            let (code, _) = self.driver.transfer(self.slot, endpoint, BUFFER, length);
            if code == spec::STALL {
                self.clear_halt(endpoint);
            } else {
                assert!(matches!(code, spec::SUCCESS | spec::SHORT_PACKET), "code {code}");
            }
        }
        self.status()
    }

    fn sense(&mut self) -> (u8, [u8; 2]) {
        assert_eq!(self.command(&[scsi::REQUEST_SENSE, 0, 0, 0, 18], 18, true), (usb::CSW_PASSED, 0));
        let bytes = self.driver.bytes(BUFFER, 18);
        (bytes[2], [bytes[12], bytes[13]])
    }

    fn fill(&mut self, length: usize, seed: u8) -> Vec<u8> {
        let data: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(7).wrapping_add(seed)).collect();
        self.driver.put(BUFFER, &data);
        data
    }
}

fn read_10(block: u32, count: u16) -> [u8; 10] {
    let (at, n) = (block.to_be_bytes(), count.to_be_bytes());
    [scsi::READ_10, 0, at[0], at[1], at[2], at[3], 0, n[0], n[1], 0]
}

fn write_10(block: u32, count: u16) -> [u8; 10] {
    let mut bytes = read_10(block, count);
    bytes[0] = scsi::WRITE_10;
    bytes
}

#[test]
fn what_is_written_reads_back_at_every_speed() {
    for speed in ["full", "high", "super"] {
        let mut stick = Stick::new(("usb-storage", &[("size", "1M"), ("speed", speed)], None, 1));
        for (block, count) in [(0u32, 1u16), (7, 64), (2047, 1)] {
            let length = u32::from(count) * 512;
            let data = stick.fill(length as usize, block as u8);
            assert_eq!(stick.command(&write_10(block, count), length, false), (usb::CSW_PASSED, 0));
            stick.driver.put(BUFFER, &vec![0; length as usize]);
            assert_eq!(stick.command(&read_10(block, count), length, true), (usb::CSW_PASSED, 0));
            assert_eq!(stick.driver.bytes(BUFFER, length as usize), data, "{speed} {block}");
        }
    }
}

#[test]
fn descriptors_are_those_of_a_stick() {
    let mut stick = Stick::new(STICK);
    let slot = stick.slot;
    let (code, device) = stick.driver.descriptor(slot, usb::DESCRIPTOR_DEVICE, 0, 18);
    assert_eq!((code, device.len(), &device[..2]), (spec::SUCCESS, 18, &[18, 1][..]));
    let (_, short) = stick.driver.descriptor(slot, usb::DESCRIPTOR_DEVICE, 0, 8);
    assert_eq!(short, device[..8]);
    let (_, configuration) = stick.driver.descriptor(slot, usb::DESCRIPTOR_CONFIGURATION, 0, 255);
    assert_eq!(configuration.len(), 9 + 9 + 7 + 7);
    assert_eq!(u16::from_le_bytes([configuration[2], configuration[3]]), 32);
    assert_eq!(configuration[14..17], [8, 6, 0x50]);
    let (_, name) = stick.driver.descriptor(slot, usb::DESCRIPTOR_STRING, 2, 255);
    assert_eq!(name[2..4], [b'W', 0]);
    assert_eq!(stick.driver.descriptor(slot, usb::DESCRIPTOR_STRING, 9, 255).0, spec::STALL);
}

#[test]
fn a_stall_of_the_control_endpoint_ends_with_the_next_setup() {
    let mut stick = Stick::new(STICK);
    let slot = stick.slot;
    assert_eq!(stick.driver.descriptor(slot, 99, 0, 8).0, spec::STALL);
    assert_eq!(stick.driver.endpoint_state(slot, 1), spec::EP_HALTED);
    let pipe = u32::from(slot) << 24 | 1 << 16;
    assert_eq!(stick.driver.command(spec::RESET_ENDPOINT, 0, 0, pipe).0, spec::SUCCESS);
    let ring = stick.driver.open(Driver::ring_of(slot, 1));
    assert_eq!(stick.driver.command(spec::SET_DEQUEUE, ring, 0, pipe).0, spec::SUCCESS);
    assert_eq!(stick.driver.descriptor(slot, usb::DESCRIPTOR_DEVICE, 0, 18).0, spec::SUCCESS);
}

#[test]
fn answers_of_the_disk() {
    let mut stick = Stick::new(STICK);
    let ask = |stick: &mut Stick, block: &[u8], length: u32| {
        let status = stick.command(block, length, true);
        (status, stick.driver.bytes(BUFFER, (length - status.1) as usize))
    };
    let ((status, _), inquiry) = ask(&mut stick, &[scsi::INQUIRY, 0, 0, 0, 36], 36);
    assert_eq!((status, &inquiry[8..36]), (usb::CSW_PASSED, &b"Workgatestick           0001"[..]));
    let (_, pages) = ask(&mut stick, &[scsi::INQUIRY, 1, 0, 0, 64], 64);
    assert_eq!(pages, [0, 0, 0, 4, 0, 0x80, 0x83, 0xb0]);
    let (_, serial) = ask(&mut stick, &[scsi::INQUIRY, 1, 0x80, 0, 64], 64);
    assert_eq!(serial, [0, 0x80, 0, 2, b'i', b't']);
    let (_, capacity) = ask(&mut stick, &[scsi::READ_CAPACITY_10], 8);
    assert_eq!(capacity, [0, 0, 7, 255, 0, 0, 2, 0]);
    let (_, capacity) = ask(&mut stick, &[0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32], 32);
    assert_eq!(capacity[..12], [0, 0, 0, 0, 0, 0, 7, 255, 0, 0, 2, 0]);
    let (_, mode) = ask(&mut stick, &[scsi::MODE_SENSE_6, 0, 0x3f, 0, 192], 192);
    assert_eq!((mode.len(), mode[0], mode[4]), (24, 23, scsi::MODE_CACHING));
    let (_, luns) = ask(&mut stick, &[scsi::REPORT_LUNS, 0, 0, 0, 0, 0, 0, 0, 0, 16], 16);
    assert_eq!(luns, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(stick.command(&[scsi::SYNCHRONIZE_CACHE_10], 0, false), (usb::CSW_PASSED, 0));
    assert_eq!(stick.command(&[scsi::START_STOP_UNIT], 0, false), (usb::CSW_PASSED, 0));
    assert_eq!(stick.command(&[scsi::TEST_UNIT_READY], 0, false), (usb::CSW_FAILED, 0));
    assert_eq!(stick.sense(), (scsi::NOT_READY, scsi::ASC_NOT_STARTED));
    assert_eq!(stick.command(&[scsi::START_STOP_UNIT, 0, 0, 0, 1], 0, false), (usb::CSW_PASSED, 0));
}

#[test]
fn a_command_that_is_refused_halts_the_pipe_and_then_says_so() {
    let mut stick = Stick::new(STICK);
    assert_eq!(stick.command(&read_10(2048, 1), 512, true), (usb::CSW_FAILED, 512));
    assert_eq!(stick.sense(), (scsi::ILLEGAL_REQUEST, scsi::ASC_OUT_OF_RANGE));
    assert_eq!(stick.command(&write_10(2047, 2), 1024, false), (usb::CSW_FAILED, 1024));
    assert_eq!(stick.sense(), (scsi::ILLEGAL_REQUEST, scsi::ASC_OUT_OF_RANGE));
    assert_eq!(stick.command(&[0xf0], 0, true), (usb::CSW_FAILED, 0));
    assert_eq!(stick.sense(), (scsi::ILLEGAL_REQUEST, scsi::ASC_BAD_COMMAND));
    // The host expects more than there is: the rest is missing, and the command is good.
    assert_eq!(stick.command(&read_10(0, 1), 2048, true), (usb::CSW_PASSED, 1536));
    // The host expects less.
    assert_eq!(stick.command(&read_10(0, 2), 512, true), (usb::CSW_PHASE, 0));
}

#[test]
fn a_wrapper_that_is_none_needs_a_reset_recovery() {
    let mut stick = Stick::new(STICK);
    stick.driver.put(WRAPPER, &[0x55; 31]);
    assert_eq!(stick.driver.transfer(stick.slot, OUT, WRAPPER, 31).0, spec::STALL);
    let reset = [0x21, usb::STORAGE_RESET, 0, 0, 0, 0, 0, 0];
    assert_eq!(stick.driver.control(stick.slot, reset, &[]).0, spec::SUCCESS);
    stick.clear_halt(OUT);
    let clear = [2, usb::CLEAR_FEATURE, 0, 0, 0x81, 0, 0, 0];
    assert_eq!(stick.driver.control(stick.slot, clear, &[]).0, spec::SUCCESS);
    assert_eq!(stick.command(&[scsi::TEST_UNIT_READY], 0, true), (usb::CSW_PASSED, 0));
}

/// All stages are on their rings before the device has the command; only the last event is worth an interrupt, unless something goes wrong.
#[test]
fn stages_that_are_queued_together_interrupt_once() {
    let mut stick = Stick::new(STICK);
    for (mishap, told) in [(Mishap::None, 3), (Mishap::Stall, 2)] {
        stick.put_wrapper(&read_10(0, 4), 2048, true);
        stick.driver.world.mishaps.push((Site::UsbIn, mishap));
        let before = stick.driver.world.raised.len();
        let quiet = spec::TRB_IOC | spec::TRB_ISP | spec::TRB_BEI;
        let mut trbs = vec![stick.driver.submit(stick.slot, OUT, WRAPPER, 31, quiet)];
        trbs.push(stick.driver.submit(stick.slot, IN, BUFFER, 2048, quiet));
        trbs.push(stick.driver.submit(stick.slot, IN, STATUS, 13, spec::TRB_IOC));
        stick.driver.wait(1_000_000);
        let events = stick.driver.events();
        assert_eq!(
            events.iter().map(|event| event.parameter).collect::<Vec<_>>(),
            trbs[..told],
            "{events:x?}"
        );
        assert_eq!(stick.driver.world.raised.len(), before + 1, "{mishap:?}");
        stick.tag += u32::from(told == trbs.len());
    }
    stick.clear_halt(IN);
    assert_eq!(stick.status(), (usb::CSW_FAILED, 2048));
}

/// An event that is not worth an interrupt does not make one later either, when the handler is done.
#[test]
fn a_quiet_event_stays_quiet_in_the_ring() {
    let mut stick = Stick::new(STICK);
    stick.put_wrapper(&read_10(0, 4), 2048, true);
    let before = stick.driver.world.raised.len();
    stick.driver.submit(stick.slot, OUT, WRAPPER, 31, spec::TRB_IOC | spec::TRB_BEI);
    stick.driver.wait(1_000_000);
    stick.driver.acknowledge();
    assert_eq!(stick.driver.world.raised.len(), before);
    assert_eq!(stick.driver.events().len(), 1);
}

/// As a device of its own accord: the endpoint answers nothing else until its halt is ended, the data are through, and the status says that the command failed.
#[test]
fn a_halt_lasts_until_the_host_ends_it() {
    let mut stick = Stick::new(STICK);
    for (block, to_host) in [(read_10(0, 1), true), (write_10(0, 1), false)] {
        let (site, endpoint) = if to_host { (Site::UsbIn, IN) } else { (Site::UsbOut, OUT) };
        stick.wrap(&block, 512, to_host);
        stick.driver.world.mishaps.push((site, Mishap::Stall));
        assert_eq!(stick.driver.transfer(stick.slot, endpoint, BUFFER, 512).0, spec::STALL);
        stick.reset_endpoint(endpoint);
        assert_eq!(stick.driver.transfer(stick.slot, endpoint, BUFFER, 512).0, spec::STALL);
        stick.clear_halt(endpoint);
        assert_eq!(stick.status(), (usb::CSW_FAILED, 512));
        assert_eq!(stick.sense(), (scsi::ABORTED_COMMAND, scsi::ASC_COMMUNICATION));
        assert_eq!(stick.command(&block, 512, to_host), (usb::CSW_PASSED, 0));
    }
}

#[test]
fn faults_of_the_bus_end_transfers_as_they_should() {
    let mut stick = Stick::new(STICK);
    for (mishap, code) in [(Mishap::Babble, spec::BABBLE), (Mishap::Error, spec::TRANSACTION_ERROR)] {
        stick.wrap(&read_10(0, 1), 512, true);
        stick.driver.world.mishaps.push((Site::UsbIn, mishap));
        assert_eq!(stick.driver.transfer(stick.slot, IN, BUFFER, 512).0, code);
        stick.clear_halt(IN);
        assert_eq!(stick.driver.transfer(stick.slot, IN, BUFFER, 512), (spec::SUCCESS, 512));
        assert_eq!(stick.status(), (usb::CSW_PASSED, 0));
    }
    stick.wrap(&read_10(0, 1), 512, true);
    let until = stick.driver.world.now + 5_000_000;
    stick.driver.world.mishaps.push((Site::UsbIn, Mishap::Nak(until)));
    stick.driver.submit(stick.slot, IN, BUFFER, 512, spec::TRB_IOC);
    stick.driver.run_until(until - 1);
    assert_eq!(stick.driver.events(), []);
    stick.driver.wait(100_000);
    assert_eq!(stick.driver.events().len(), 1);
}

#[test]
fn a_stick_that_goes_answers_no_more_and_comes_back_with_its_data() {
    let mut stick = Stick::new(STICK);
    let data = stick.fill(512, 3);
    assert_eq!(stick.command(&write_10(9, 1), 512, false), (usb::CSW_PASSED, 0));
    stick.wrap(&read_10(9, 1), 512, true);
    stick.driver.news(News::Detach(0));
    stick.driver.events();
    let (code, moved) = stick.driver.transfer(stick.slot, IN, BUFFER, 512);
    assert_eq!((code, moved), (spec::TRANSACTION_ERROR, 0));
    stick.driver.news(News::Attach(0));
    stick.driver.reset_port(1);
    // The old slot knows an address that nobody has.
    let pipe = u32::from(stick.slot) << 24;
    assert_eq!(stick.driver.control(stick.slot, [0x80, 8, 0, 0, 0, 0, 1, 0], &[]).0, spec::TRANSACTION_ERROR);
    assert_eq!(stick.driver.command(spec::DISABLE_SLOT, 0, 0, pipe).0, spec::SUCCESS);
    let slot = stick.driver.address(1, 0, spec::SPEED_HIGH);
    stick.driver.set_configuration(slot);
    stick.driver.configure(slot, &[(IN, 6, 512, 0), (OUT, 2, 512, 0)]);
    stick.slot = slot;
    stick.command(&[scsi::TEST_UNIT_READY], 0, true);
    stick.driver.put(BUFFER, &[0; 512]);
    assert_eq!(stick.command(&read_10(9, 1), 512, true), (usb::CSW_PASSED, 0));
    assert_eq!(stick.driver.bytes(BUFFER, 512), data);
}
