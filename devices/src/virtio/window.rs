//! The PCI configuration access capability (4.1.4.9): a window onto the BAR for those who cannot map it.

/// Offsets in the capability body, behind its two header bytes.
const BAR: usize = 2;
const OFFSET: usize = 6;
const LENGTH: usize = 10;
const DATA: usize = 14;
/// Bytes of the body.
pub const BODY_BYTES: usize = 18;

/// An access that the window asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// BAR number.
    pub bar: u8,
    /// Offset in the BAR.
    pub offset: u64,
    /// 1, 2 or 4.
    pub length: usize,
}

/// The writable registers of the capability.
#[derive(Default)]
pub struct Window {
    bytes: [u8; BODY_BYTES],
}

impl Window {
    /// Back to power-on.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Bytes of the body that software may write.
    fn writable(at: usize) -> bool {
        at == BAR || (OFFSET..BODY_BYTES).contains(&at)
    }

    /// Software wrote `from` at `offset` of the body: the access to make with the bytes of [`Window::data`], if the data were touched.
    pub fn write(&mut self, offset: usize, from: &[u8]) -> Option<Access> {
        for (at, &byte) in (offset..BODY_BYTES).zip(from) {
            if Self::writable(at) {
                self.bytes[at] = byte;
            }
        }
        if offset + from.len() > DATA { self.access() } else { None }
    }

    /// The access to make before `length` bytes at `offset` of the body are read.
    pub fn before_read(&self, offset: usize, length: usize) -> Option<Access> {
        if offset + length > DATA { self.access() } else { None }
    }

    /// The data register, up to the length of the access.
    pub fn data(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[DATA..DATA + length.min(4)]
    }

    /// Answers a read: the writable bytes over what is stored.
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        for (at, byte) in (offset..BODY_BYTES).zip(into) {
            if Self::writable(at) {
                *byte = self.bytes[at];
            }
        }
    }

    fn access(&self) -> Option<Access> {
        let word = |at: usize| {
            let bytes = &self.bytes[at..at + 4];
            u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        };
        let length = word(LENGTH) as usize;
        let offset = u64::from(word(OFFSET));
        let legal = matches!(length, 1 | 2 | 4) && offset.is_multiple_of(length as u64);
        legal.then_some(Access { bar: self.bytes[BAR], offset, length })
    }
}
