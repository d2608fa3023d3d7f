//! A camera-like source: once a register says so, it sends a packet on a channel in each cycle, the pieces of frames that count up.
//!
//! ```text
//! frame: piece 0 (sync = 1) │ piece 1 │ … │ piece n - 1      one piece a cycle
//! piece: frame number (4 bytes) │ piece number (4) │ bytes: (frame + position in the frame) mod 256
//! ```

use super::node::{Facts, Link, Node, Origin, Refusal};
use super::packet::{Stream, payload_limit};
use super::phy::PhyFacts;
use super::plain::SPECIFIER;
use super::rom::{self, Directory};
use crate::spec::ieee1394::{self as spec, key};

/// The registers, in the units' space.
pub const REGISTERS: u64 = spec::REGISTERS + 0x1_0000;
/// Register: bit 31 = send; bits 21:16 = channel; bits 1:0 = speed code.
pub const CONTROL: u64 = REGISTERS;
/// In [`CONTROL`]: send.
pub const CONTROL_SEND: u32 = 1 << 31;
/// Register: bytes of a packet, a multiple of 4 from 8 to what the speed allows.
pub const PACKET: u64 = REGISTERS + 4;
/// Register: pieces of a frame, 1 to 65535.
pub const PIECES: u64 = REGISTERS + 8;
/// Register (read only): packets sent since power-on.
pub const SENT: u64 = REGISTERS + 12;
/// Version of the unit.
pub const VERSION: u32 = 2;

/// What can be chosen about the camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its PHY.
    pub phy: PhyFacts,
    /// EUI-64.
    pub guid: u64,
    /// Text behind the model ID.
    pub name: String,
}

/// The camera.
pub struct Camera {
    settings: Settings,
    control: u32,
    packet: u32,
    pieces: u32,
    sent: u32,
    frame: u32,
    piece: u32,
}

impl Camera {
    /// A camera at power-on: it does not send.
    pub fn new(settings: Settings) -> Self {
        Self { settings, control: 0, packet: 512, pieces: 16, sent: 0, frame: 0, piece: 0 }
    }

    fn speed(&self) -> u8 {
        ((self.control & 3) as u8).min(self.settings.phy.speed)
    }
}

impl Node for Camera {
    fn facts(&self) -> Facts {
        Facts { phy: self.settings.phy, max_payload: 512, latency: 5_000 }
    }

    fn rom(&self) -> Vec<u8> {
        let unit = Directory::new().value(key::SPECIFIER, SPECIFIER).value(key::VERSION, VERSION);
        let root = Directory::new()
            .value(key::VENDOR, SPECIFIER)
            .text("Workgate")
            .value(key::CAPABILITIES, rom::CAPABILITIES)
            .value(key::MODEL, 3)
            .text(&self.settings.name)
            .directory(key::UNIT, unit);
        let options = spec::OPTION_CMC | spec::OPTION_ISC;
        rom::build(rom::options(options, 512, self.settings.phy.speed), self.settings.guid, &root)
    }

    fn read(&mut self, offset: u64, into: &mut [u8], _: Origin, _: &mut Link<'_>) -> Result<(), Refusal> {
        let value = match offset {
            CONTROL => self.control,
            PACKET => self.packet,
            PIECES => self.pieces,
            SENT => self.sent,
            _ => return Err(Refusal::Address),
        };
        if into.len() != 4 {
            return Err(Refusal::Type);
        }
        into.copy_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8], _: Origin, _: &mut Link<'_>) -> Result<(), Refusal> {
        let value = u32::from_be_bytes(from.try_into().map_err(|_| Refusal::Type)?);
        match offset {
            CONTROL => {
                if value & CONTROL_SEND != 0 && !self.streams() {
                    (self.frame, self.piece) = (0, 0);
                }
                self.control = value & (CONTROL_SEND | 0x3f << 16 | 3);
            }
            PACKET => self.packet = value.clamp(8, payload_limit(self.settings.phy.speed) as u32) & !3,
            PIECES => self.pieces = value.clamp(1, 0xffff),
            SENT => return Err(Refusal::Type),
            _ => return Err(Refusal::Address),
        }
        Ok(())
    }

    /// A bus reset gives all channels back (IEEE 1394-1995, 8.4.2.4): the camera stops until it is told a channel again.
    fn bus_reset(&mut self, _: &mut Link<'_>) {
        self.control &= !CONTROL_SEND;
    }

    fn streams(&self) -> bool {
        self.control & CONTROL_SEND != 0
    }

    fn stream(&mut self, _cycle: u16) -> Option<Stream> {
        // A piece that the speed does not allow is cut.
        let bytes = (self.packet as usize).min(payload_limit(self.speed()));
        let first = self.frame.wrapping_add(self.piece.wrapping_mul(self.packet - 8));
        let mut data = self.frame.to_be_bytes().to_vec();
        data.extend(self.piece.to_be_bytes());
        data.extend((0..bytes - 8).map(|n| first.wrapping_add(n as u32) as u8));
        let sync = u8::from(self.piece == 0);
        self.piece += 1;
        if self.piece >= self.pieces {
            (self.piece, self.frame) = (0, self.frame.wrapping_add(1));
        }
        self.sent = self.sent.wrapping_add(1);
        let channel = (self.control >> 16 & 0x3f) as u8;
        Some(Stream { channel, tag: 0, sync, speed: self.speed(), data })
    }

    fn power_on(&mut self) {
        *self = Self::new(self.settings.clone());
    }
}
