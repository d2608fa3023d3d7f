//! TRBs, and where a ring goes on.

use crate::spec::xhci as spec;

/// A transfer request block (4.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trb {
    /// Bytes 0–7: an address, or data.
    pub parameter: u64,
    /// Bytes 8–11.
    pub status: u32,
    /// Bytes 12–15.
    pub control: u32,
}

impl Trb {
    /// From memory.
    pub fn parse(bytes: &[u8; spec::TRB_BYTES]) -> Self {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let parameter = u64::from(word(4)) << 32 | u64::from(word(0));
        Self { parameter, status: word(8), control: word(12) }
    }

    /// To memory.
    pub fn bytes(self) -> [u8; spec::TRB_BYTES] {
        let mut bytes = [0; spec::TRB_BYTES];
        bytes[..8].copy_from_slice(&self.parameter.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.status.to_le_bytes());
        bytes[12..].copy_from_slice(&self.control.to_le_bytes());
        bytes
    }

    /// An event (6.4.2) of type `kind` with completion code `code`.
    pub fn event(kind: u32, parameter: u64, code: u8, length: u32, extra: u32) -> Self {
        let status = u32::from(code) << 24 | length & 0xff_ffff;
        Self { parameter, status, control: kind << spec::TRB_TYPE_SHIFT | extra }
    }

    /// The type (6.4.6).
    pub fn kind(self) -> u32 {
        self.control >> spec::TRB_TYPE_SHIFT & 0x3f
    }

    /// True if all of `bits` of the control word are set.
    pub fn has(self, bits: u32) -> bool {
        self.control & bits == bits
    }

    /// The slot that a command names.
    pub fn slot(self) -> u8 {
        (self.control >> 24) as u8
    }

    /// The endpoint that a command names.
    pub fn endpoint(self) -> u8 {
        (self.control >> 16 & 0x1f) as u8
    }

    /// The interrupter that gets the events of a transfer TRB.
    pub fn interrupter(self) -> u16 {
        (self.status >> 22) as u16
    }

    /// Bytes that a transfer TRB moves.
    pub fn length(self) -> u32 {
        match self.kind() {
            spec::NORMAL | spec::SETUP | spec::DATA | spec::ISOCH => self.status & spec::TRB_LENGTH,
            _ => 0,
        }
    }
}

/// Where a ring is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Address of the next TRB.
    pub address: u64,
    /// The cycle bit of TRBs that are the controller's.
    pub cycle: bool,
}

impl Cursor {
    /// From a pointer with the cycle state in bit 0.
    pub fn parse(pointer: u64) -> Self {
        Self { address: pointer & !0xf, cycle: pointer & 1 != 0 }
    }

    /// The same, back.
    pub fn pointer(self) -> u64 {
        self.address | u64::from(self.cycle)
    }

    /// Behind `trb`, which is at the cursor.
    pub fn after(self, trb: Trb) -> Self {
        if trb.kind() == spec::LINK {
            let cycle = self.cycle != trb.has(spec::TRB_TOGGLE);
            return Self { address: trb.parameter & !0xf, cycle };
        }
        Self { address: self.address.wrapping_add(spec::TRB_BYTES as u64), ..self }
    }
}
