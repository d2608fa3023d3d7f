//! Transfer request blocks (xHCI 1.2, 6.4).

use super::regs::kind;
use crate::family::usb::Setup;

/// Bytes of a TRB.
pub const BYTES: u64 = 16;
/// Bit 0 of the control word: the cycle.
pub const CYCLE: u32 = 1 << 0;
/// Link: the cycle toggles.
pub const TOGGLE: u32 = 1 << 1;
/// Interrupt on a short packet.
pub const SHORT: u32 = 1 << 2;
/// The same transfer goes on in the next TRB.
pub const CHAIN: u32 = 1 << 4;
/// Interrupt when complete.
pub const COMPLETE: u32 = 1 << 5;
/// The parameter is the data.
pub const IMMEDIATE: u32 = 1 << 6;
/// The event of [`COMPLETE`] is not worth an interrupt (4.17.5).
pub const QUIET: u32 = 1 << 9;
/// Data and status stages: from the device.
pub const INPUT: u32 = 1 << 16;

/// One block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trb {
    /// Usually an address.
    pub parameter: u64,
    /// Lengths and codes.
    pub status: u32,
    /// Cycle, flags, type.
    pub control: u32,
}

impl Trb {
    /// A block of this type.
    pub const fn new(kind: u32, parameter: u64, status: u32, flags: u32) -> Self {
        Self { parameter, status, control: kind << 10 | flags }
    }

    /// A command for a device slot and, if it is not 0, an endpoint.
    pub const fn command(kind: u32, parameter: u64, slot: u8, endpoint: u8) -> Self {
        Self::new(kind, parameter, 0, (slot as u32) << 24 | (endpoint as u32) << 16)
    }

    /// The setup stage (6.4.1.2.1); `data`: there is a data stage.
    pub fn setup(setup: &Setup, data: bool) -> Self {
        // Transfer type: 0 no data, 2 out, 3 in.
        let kind_of = match (data, setup.is_input()) {
            (false, _) => 0,
            (true, false) => 2,
            (true, true) => 3,
        };
        Self::new(kind::SETUP, u64::from_le_bytes(setup.encode()), 8, IMMEDIATE | kind_of << 16)
    }

    /// Its type.
    pub const fn kind(&self) -> u32 {
        self.control >> 10 & 0x3f
    }

    /// Of an event: the completion code.
    pub const fn code(&self) -> u8 {
        (self.status >> 24) as u8
    }

    /// Of an event: bytes that were not transferred.
    pub const fn residue(&self) -> u32 {
        self.status & 0xff_ffff
    }

    /// Of an event: the device slot.
    pub const fn slot(&self) -> u8 {
        (self.control >> 24) as u8
    }

    /// Of a transfer event: the endpoint.
    pub const fn endpoint(&self) -> u8 {
        (self.control >> 16 & 0x1f) as u8
    }

    /// Of a port event: the port.
    pub const fn port(&self) -> u8 {
        (self.parameter >> 24) as u8
    }

    /// The bytes in memory.
    pub fn encode(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.parameter.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.status.to_le_bytes());
        bytes[12..].copy_from_slice(&self.control.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        let event =
            Trb { parameter: 5 << 24, status: 13 << 24 | 100, control: 3 << 24 | 4 << 16 | 32 << 10 | 1 };
        assert_eq!((event.kind(), event.code(), event.residue()), (32, 13, 100));
        assert_eq!((event.slot(), event.endpoint(), event.port()), (3, 4, 5));
        let stop = Trb::command(kind::STOP_ENDPOINT, 0, 3, 4);
        assert_eq!((stop.kind(), stop.slot(), stop.endpoint()), (15, 3, 4));
        assert_eq!(stop.encode()[12..], [0, 15 << 2, 4, 3]);
    }

    #[test]
    fn a_setup_says_which_way_its_data_goes() {
        let input = Setup { kind: 0x80, request: 6, value: 0x100, index: 0, length: 18 };
        assert_eq!(Trb::setup(&input, true).control >> 16, 3);
        assert_eq!(Trb::setup(&input, false).control >> 16, 0);
        assert_eq!(Trb::setup(&Setup { kind: 0, ..input }, true).control >> 16, 2);
        assert_eq!(Trb::setup(&input, true).parameter.to_le_bytes(), input.encode());
    }
}
