//! A serial port (CDC 1.2, abstract control model): what is written comes back, or bytes come by themselves.
//!
//! As a source it sends 0, 1, 2 … at the rate of its line coding as long as the host says that it is there (DTR). Bytes for which there
//! is no room are lost, as on a line; the notification says so (overrun).

use super::descriptor::{Configuration, Descriptors};
use super::gadget::{Gadget, Reply, Setup, Speed, Stalled};
use crate::spec::usb as spec;
use std::collections::VecDeque;

/// Bulk endpoint to the host.
const IN: u8 = 1;
/// Bulk endpoint to the device.
const OUT: u8 = 2;
/// Notifications.
const NOTIFY: u8 = 3;
/// Bytes that wait for the host at the most.
const ROOM: usize = 4096;
/// Bits of a byte on a line: start, eight, stop.
const BITS: u128 = 10;
/// SERIAL_STATE: carrier and data set are there; overrun (PSTN 6.5.4).
const STATE_READY: u16 = 3;
/// Some bytes were lost.
const STATE_OVERRUN: u16 = 1 << 6;

/// The device.
pub struct Serial {
    source: bool,
    waiting: VecDeque<u8>,
    /// Bit rate, stop bits, parity, data bits (PSTN 6.3.11).
    coding: [u8; 7],
    /// DTR and RTS.
    lines: u16,
    /// Since when the source runs, and how many bytes it has made.
    began: Option<u64>,
    made: u64,
    notice: Option<u16>,
}

impl Serial {
    /// A port that loops back, or (`source`) sends by itself.
    pub fn new(source: bool) -> Self {
        let mut coding = [0, 0, 0, 0, 0, 0, 8];
        coding[..4].copy_from_slice(&115_200u32.to_le_bytes());
        Self { source, waiting: VecDeque::new(), coding, lines: 0, began: None, made: 0, notice: None }
    }

    fn rate(&self) -> u128 {
        u128::from(u32::from_le_bytes([self.coding[0], self.coding[1], self.coding[2], self.coding[3]]))
            .max(1)
    }

    /// Machine time at which byte `index` of the source is there.
    fn time_of(&self, began: u64, index: u64) -> u64 {
        let after = (u128::from(index) + 1) * BITS * 1_000_000_000 / self.rate();
        began.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))
    }

    /// Takes what the source has made by `now`; what does not find room is lost.
    fn collect(&mut self, now: u64) {
        let Some(began) = self.began else { return };
        let by_now = u128::from(now.saturating_sub(began)) * self.rate() / (BITS * 1_000_000_000);
        let by_now = u64::try_from(by_now).unwrap_or(u64::MAX);
        let room = (ROOM - self.waiting.len()) as u64;
        let fits = by_now.saturating_sub(self.made).min(room);
        self.waiting.extend((self.made..self.made + fits).map(|index| index as u8));
        if by_now > self.made + fits {
            self.notice = Some(STATE_READY | STATE_OVERRUN);
        }
        self.made = self.made.max(by_now);
    }

    fn set_lines(&mut self, lines: u16, now: u64) {
        if (lines ^ self.lines) & 1 != 0 {
            self.notice = Some(if lines & 1 != 0 { STATE_READY } else { 0 });
            self.began = (self.source && lines & 1 != 0).then_some(now);
            self.made = 0;
        }
        self.lines = lines;
    }

    fn send(&mut self, packet: &mut [u8], now: u64) -> Reply {
        self.collect(now);
        if self.waiting.is_empty() {
            return Reply::Nak(self.began.map(|began| self.time_of(began, self.made)));
        }
        let length = packet.len().min(self.waiting.len());
        for (into, from) in packet.iter_mut().zip(self.waiting.drain(..length)) {
            *into = from;
        }
        Reply::Done(length)
    }

    fn notify(&mut self, packet: &mut [u8]) -> Reply {
        let Some(state) = self.notice.take() else { return Reply::Nak(None) };
        let [low, high] = state.to_le_bytes();
        let bytes = [0xa1, spec::CDC_SERIAL_STATE, 0, 0, 0, 0, 2, 0, low, high];
        let length = packet.len().min(bytes.len());
        packet[..length].copy_from_slice(&bytes[..length]);
        Reply::Done(length)
    }
}

impl Gadget for Serial {
    fn speed(&self) -> Speed {
        Speed::High
    }

    fn descriptors(&self, speed: Speed) -> Descriptors {
        let (packet, interval) = if speed >= Speed::High { (512, 9) } else { (64, 32) };
        // Header, call management, abstract control with line coding, union of interfaces 0 and 1 (CDC 5.2.3).
        let functional = [
            [5, spec::DESCRIPTOR_CS_INTERFACE, 0x00, 0x10, 0x01],
            [5, spec::DESCRIPTOR_CS_INTERFACE, 0x01, 0x00, 0x01],
            [5, spec::DESCRIPTOR_CS_INTERFACE, 0x06, 0x00, 0x01],
        ];
        let mut functional = functional.concat();
        functional.splice(10..10, [4, spec::DESCRIPTOR_CS_INTERFACE, 0x02, 0x02]);
        Descriptors {
            vendor: spec::VENDOR,
            product: 0x0107,
            class: [spec::CLASS_CDC, 0, 0],
            name: "Workgate serial port",
            serial: String::new(),
            configuration: Configuration::new(speed)
                .interface([spec::CLASS_CDC, spec::CDC_ACM, spec::CDC_AT])
                .extra(&functional)
                .endpoint(NOTIFY | spec::REQUEST_IN, spec::INTERRUPT, 16, interval)
                .interface([spec::CLASS_CDC_DATA, 0, 0])
                .endpoint(IN | spec::REQUEST_IN, spec::BULK, packet, 0)
                .endpoint(OUT, spec::BULK, packet, 0),
        }
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>, now: u64) -> Result<(), Stalled> {
        if setup.class() != spec::TYPE_CLASS || setup.recipient() != spec::TO_INTERFACE || setup.index != 0 {
            return Err(Stalled);
        }
        match setup.request {
            spec::CDC_SET_LINE_CODING => {
                self.coding = <[u8; 7]>::try_from(data.as_slice()).map_err(|_| Stalled)?;
                // What the source has made by then it made at the old rate.
                self.began = self.began.map(|_| now);
                self.made = 0;
            }
            spec::CDC_GET_LINE_CODING => data.extend(self.coding),
            spec::CDC_SET_CONTROL_LINES => self.set_lines(setup.value, now),
            spec::CDC_SEND_BREAK => {}
            _ => return Err(Stalled),
        }
        Ok(())
    }

    fn input(&mut self, endpoint: u8, packet: &mut [u8], now: u64) -> Reply {
        if endpoint == NOTIFY { self.notify(packet) } else { self.send(packet, now) }
    }

    fn output(&mut self, _endpoint: u8, packet: &[u8], _now: u64) -> Reply {
        if self.source {
            return Reply::Done(packet.len());
        }
        if self.waiting.len() + packet.len() > ROOM {
            return Reply::Nak(None);
        }
        self.waiting.extend(packet);
        Reply::Done(packet.len())
    }

    fn reset(&mut self) {
        *self = Self::new(self.source);
    }
}
