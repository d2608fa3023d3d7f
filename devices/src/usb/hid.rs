//! Keyboard and mouse with the boot protocol (HID 1.11, appendix B), worked by somebody who never tires.
//!
//! The keyboard types the alphabet: each period one key goes down or up. The mouse goes round in a square.

use super::descriptor::{Configuration, Descriptors};
use super::gadget::{Gadget, Reply, Setup, Speed, Stalled};
use crate::spec::usb as spec;

/// The interrupt endpoint.
const REPORTS: u8 = 1;
/// Usage of the letter a (HID Usage Tables, 10).
const KEY_A: u8 = 4;
/// Letters that are typed.
const LETTERS: u64 = 26;
/// Steps along one side of the mouse's square.
const SIDE: u64 = 16;
/// Unit of SET_IDLE, ns (HID 7.2.4).
const IDLE_NS: u64 = 4_000_000;

/// The boot keyboard's reports (HID B.1): modifiers, a reserved byte, five lights to the device, six keys.
const KEYBOARD_REPORT: [u8; 63] = [
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, 0x75,
    0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08, 0x81, 0x03, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08,
    0x19, 0x01, 0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x03, 0x95, 0x06, 0x75, 0x08, 0x15,
    0x00, 0x25, 0x65, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00, 0xc0,
];
/// The boot mouse's reports (HID B.2): three buttons, two movements.
const MOUSE_REPORT: [u8; 50] = [
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0x05, 0x09, 0x19, 0x01, 0x29, 0x03, 0x15,
    0x00, 0x25, 0x01, 0x95, 0x03, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x05, 0x81, 0x03, 0x05, 0x01,
    0x09, 0x30, 0x09, 0x31, 0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x02, 0x81, 0x06, 0xc0, 0xc0,
];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyboard, at full speed.
    Keyboard,
    /// A mouse, at low speed.
    Mouse,
}

/// The device.
pub struct Hid {
    kind: Kind,
    period: u64,
    /// Reports that were made.
    step: u64,
    /// When the next one is.
    next: Option<u64>,
    /// The last report was sent then.
    last: u64,
    idle: u8,
    protocol: u8,
    lights: u8,
}

impl Hid {
    /// A device with something new to say every `period` machine ns.
    pub fn new(kind: Kind, period: u64) -> Self {
        let period = period.max(1);
        Self { kind, period, step: 0, next: None, last: 0, idle: 0, protocol: 1, lights: 0 }
    }

    /// The state of keys or of the mouse after `step` steps.
    fn report(&self, step: u64) -> Vec<u8> {
        match self.kind {
            Kind::Keyboard => {
                let mut report = vec![0; 8];
                if step % 2 == 1 {
                    report[2] = KEY_A + (step / 2 % LETTERS) as u8;
                }
                report
            }
            Kind::Mouse => {
                let (x, y): (i8, i8) = match step / SIDE % 4 {
                    _ if step == 0 => (0, 0),
                    0 => (1, 0),
                    1 => (0, 1),
                    2 => (-1, 0),
                    _ => (0, -1),
                };
                // A click at each corner.
                vec![u8::from(step > 0 && step.is_multiple_of(SIDE)), x as u8, y as u8]
            }
        }
    }

    fn descriptor(&self) -> [u8; 9] {
        let [low, high] = (self.report_descriptor().len() as u16).to_le_bytes();
        [9, spec::DESCRIPTOR_HID, 0x11, 0x01, 0, 1, spec::DESCRIPTOR_REPORT, low, high]
    }

    fn report_descriptor(&self) -> &'static [u8] {
        match self.kind {
            Kind::Keyboard => &KEYBOARD_REPORT,
            Kind::Mouse => &MOUSE_REPORT,
        }
    }

    fn class_request(&mut self, setup: &Setup, data: &mut Vec<u8>) -> Result<(), Stalled> {
        let high = (setup.value >> 8) as u8;
        match setup.request {
            // Report type 1 is input, 2 is output.
            spec::HID_GET_REPORT if high == 1 => data.extend(self.report(self.step)),
            spec::HID_GET_REPORT if high == 2 && self.kind == Kind::Keyboard => data.push(self.lights),
            spec::HID_SET_REPORT if high == 2 && self.kind == Kind::Keyboard => {
                self.lights = *data.first().ok_or(Stalled)?;
            }
            spec::HID_GET_IDLE => data.push(self.idle),
            spec::HID_SET_IDLE => self.idle = high,
            spec::HID_GET_PROTOCOL => data.push(self.protocol),
            spec::HID_SET_PROTOCOL if setup.value <= 1 => self.protocol = setup.value as u8,
            _ => return Err(Stalled),
        }
        Ok(())
    }
}

impl Gadget for Hid {
    fn speed(&self) -> Speed {
        match self.kind {
            Kind::Keyboard => Speed::Full,
            Kind::Mouse => Speed::Low,
        }
    }

    fn descriptors(&self, speed: Speed) -> Descriptors {
        let (product, name, protocol) = match self.kind {
            Kind::Keyboard => (0x0105, "Workgate keyboard", spec::HID_KEYBOARD),
            Kind::Mouse => (0x0106, "Workgate mouse", spec::HID_MOUSE),
        };
        Descriptors {
            vendor: spec::VENDOR,
            product,
            class: [0; 3],
            name,
            serial: String::new(),
            configuration: Configuration::new(speed)
                .interface([spec::CLASS_HID, spec::HID_BOOT, protocol])
                .extra(&self.descriptor())
                .endpoint(REPORTS | spec::REQUEST_IN, spec::INTERRUPT, 8, 10),
        }
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>, _now: u64) -> Result<(), Stalled> {
        if setup.recipient() != spec::TO_INTERFACE || setup.index != 0 {
            return Err(Stalled);
        }
        match (setup.class(), (setup.value >> 8) as u8) {
            (spec::TYPE_CLASS, _) => self.class_request(setup, data)?,
            (spec::TYPE_STANDARD, spec::DESCRIPTOR_HID) => data.extend(self.descriptor()),
            (spec::TYPE_STANDARD, spec::DESCRIPTOR_REPORT) => data.extend(self.report_descriptor()),
            _ => return Err(Stalled),
        }
        Ok(())
    }

    fn input(&mut self, _endpoint: u8, packet: &mut [u8], now: u64) -> Reply {
        let next = *self.next.get_or_insert(now.saturating_add(self.period));
        let idle = u64::from(self.idle) * IDLE_NS;
        let repeat = if idle == 0 { u64::MAX } else { self.last.saturating_add(idle) };
        if now < next.min(repeat) {
            return Reply::Nak(Some(next.min(repeat)));
        }
        if now >= next {
            self.step += 1;
            self.next = Some(next.max(now.saturating_sub(self.period)).saturating_add(self.period));
        }
        self.last = now;
        let report = self.report(self.step);
        let length = report.len().min(packet.len());
        packet[..length].copy_from_slice(&report[..length]);
        Reply::Done(length)
    }

    fn output(&mut self, _endpoint: u8, _packet: &[u8], _now: u64) -> Reply {
        Reply::Silence
    }

    fn reset(&mut self) {
        *self = Self::new(self.kind, self.period);
    }
}
