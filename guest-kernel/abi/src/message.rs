//! Messages: a header, then descriptors if the message is complex, then any bytes.
//!
//! | offset | bytes | header |
//! |---|---|---|
//! | 0 | 4 | bits: disposition of `remote` (0–7), of `local` (8–15), [`COMPLEX`] |
//! | 4 | 4 | size of the whole message in bytes; set by the kernel |
//! | 8 | 4 | remote: the name to send to; when received, the name of the reply right (0 = none) |
//! | 12 | 4 | local: the name to reply to (0 = none); when received, the name of the port that the message came through |
//! | 16 | 4 | id |
//! | 20 | 4 | descriptors (0 unless complex) |
//! | 24 | 8 | sequence number of the message at its port; set by the kernel |
//!
//! A descriptor has 16 bytes: type (byte 0), disposition or options (byte 1), name or size in bytes (4–7), address (8–15).

/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of a descriptor.
pub const DESCRIPTOR_BYTES: usize = 16;
/// Bytes of a message at the most, without its out-of-line memory.
pub const MESSAGE_MAX: usize = 16 << 10;
/// Descriptors of one message.
pub const DESCRIPTORS_MAX: usize = 16;
/// Bytes of out-of-line memory of one message.
pub const OUT_OF_LINE_MAX: u64 = 1 << 20;
/// In a header's bits: there are descriptors.
pub const COMPLEX: u32 = 1 << 31;

/// Options of [`Trap::Message`](crate::Trap::Message).
pub mod option {
    /// Send (`MACH_SEND_MSG`).
    pub const SEND: u64 = 1;
    /// Receive (`MACH_RCV_MSG`).
    pub const RECEIVE: u64 = 2;
    /// A message that is too large stays queued (`MACH_RCV_LARGE`).
    pub const RECEIVE_LARGE: u64 = 4;
    /// Sending ends with the timeout (`MACH_SEND_TIMEOUT`); 0 = at once.
    pub const SEND_TIMEOUT: u64 = 0x10;
    /// Receiving ends with the timeout (`MACH_RCV_TIMEOUT`); 0 = at once.
    pub const RECEIVE_TIMEOUT: u64 = 0x100;
    /// All there are.
    pub const ALL: u64 = SEND | RECEIVE | RECEIVE_LARGE | SEND_TIMEOUT | RECEIVE_TIMEOUT;
}

/// How a right goes into a message, with Mach's numbers (`MACH_MSG_TYPE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Disposition {
    /// The receive right goes.
    MoveReceive = 16,
    /// One user reference of a send right goes.
    MoveSend = 17,
    /// The send-once right goes.
    MoveSendOnce = 18,
    /// A copy of a send right goes.
    CopySend = 19,
    /// A new send right is made from the receive right.
    MakeSend = 20,
    /// A new send-once right is made from the receive right.
    MakeSendOnce = 21,
}

impl Disposition {
    /// Every disposition, in order of numbers.
    pub const ALL: [Disposition; 6] = [
        Self::MoveReceive,
        Self::MoveSend,
        Self::MoveSendOnce,
        Self::CopySend,
        Self::MakeSend,
        Self::MakeSendOnce,
    ];

    /// The disposition with this number.
    pub const fn from_number(number: u32) -> Option<Disposition> {
        match number {
            16 => Some(Self::MoveReceive),
            17 => Some(Self::MoveSend),
            18 => Some(Self::MoveSendOnce),
            19 => Some(Self::CopySend),
            20 => Some(Self::MakeSend),
            21 => Some(Self::MakeSendOnce),
            _ => None,
        }
    }
}

/// A message's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Dispositions and [`COMPLEX`].
    pub bits: u32,
    /// Bytes of the message.
    pub size: u32,
    /// Where it goes; in what was received, where to reply.
    pub remote: u32,
    /// Where to reply; in what was received, where it came.
    pub local: u32,
    /// What the message is about.
    pub id: u32,
    /// Number of descriptors.
    pub descriptors: u32,
    /// Its number at the port, counted from 0.
    pub sequence: u64,
}

/// `bits` of a message to a right of disposition `remote`, with a reply right of disposition `local`, if any.
pub const fn bits(remote: Disposition, local: Option<Disposition>) -> u32 {
    remote as u32
        | match local {
            Some(local) => (local as u32) << 8,
            None => 0,
        }
}

impl Header {
    /// The bytes.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let words = [self.bits, self.size, self.remote, self.local, self.id, self.descriptors];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes[24..].copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    /// A header from its bytes.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            bits: word(bytes, 0),
            size: word(bytes, 4),
            remote: word(bytes, 8),
            local: word(bytes, 12),
            id: word(bytes, 16),
            descriptors: word(bytes, 20),
            sequence: long(bytes, 24),
        }
    }
}

/// A descriptor's first byte: a port right.
const PORT: u8 = 0;
/// A descriptor's first byte: out-of-line memory.
const OUT_OF_LINE: u8 = 1;
/// In a descriptor's second byte: the memory goes away from the sender.
const DEALLOCATE: u8 = 1;

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// A port right. In a received message `name` is the receiver's: [`NULL`](crate::port::NULL) or
    /// [`DEAD`](crate::port::DEAD) if there is no right.
    Port {
        /// Its name.
        name: u32,
        /// How it goes; in a received message one of the three that move: what kind of right came.
        disposition: Disposition,
    },
    /// Out-of-line memory, copied lazily. In a received message it lies at `address` in the receiver's space.
    OutOfLine {
        /// Where. Need not be page-aligned; what arrives has the same offset in its page.
        address: u64,
        /// Bytes.
        size: u32,
        /// It goes away from the sender.
        deallocate: bool,
    },
}

impl Descriptor {
    /// The bytes.
    pub fn encode(&self) -> [u8; DESCRIPTOR_BYTES] {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        let (head, low, address) = match *self {
            Self::Port { name, disposition } => ([PORT, disposition as u8], name, 0),
            Self::OutOfLine { address, size, deallocate } => {
                ([OUT_OF_LINE, if deallocate { DEALLOCATE } else { 0 }], size, address)
            }
        };
        bytes[..2].copy_from_slice(&head);
        bytes[4..8].copy_from_slice(&low.to_le_bytes());
        bytes[8..].copy_from_slice(&address.to_le_bytes());
        bytes
    }

    /// A descriptor from its bytes; `None` if type, disposition or options mean nothing.
    pub fn decode(bytes: &[u8; DESCRIPTOR_BYTES]) -> Option<Self> {
        let low = word(bytes, 4);
        match (bytes[0], bytes[1]) {
            (PORT, disposition) => {
                let disposition = Disposition::from_number(u32::from(disposition))?;
                Some(Self::Port { name: low, disposition })
            }
            (OUT_OF_LINE, options @ 0..=DEALLOCATE) => {
                Some(Self::OutOfLine { address: long(bytes, 8), size: low, deallocate: options != 0 })
            }
            _ => None,
        }
    }
}

/// The 32-bit word at `at`; 0 beyond the end.
pub fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    if let Some(place) = at.checked_add(4).and_then(|end| bytes.get(at..end)) {
        word.copy_from_slice(place);
    }
    u32::from_le_bytes(word)
}

/// The 64-bit word at `at`; 0 beyond the end.
pub fn long(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(place) = at.checked_add(8).and_then(|end| bytes.get(at..end)) {
        word.copy_from_slice(place);
    }
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_descriptors_go_there_and_back() {
        let header = Header {
            bits: 0x8000_1513,
            size: 96,
            remote: 3,
            local: 4,
            id: 5,
            descriptors: 2,
            sequence: 1 << 40,
        };
        assert_eq!(Header::decode(&header.encode()), header);
        for disposition in Disposition::ALL {
            let port = Descriptor::Port { name: 77, disposition };
            assert_eq!(Descriptor::decode(&port.encode()), Some(port));
        }
        for deallocate in [false, true] {
            let memory = Descriptor::OutOfLine { address: 1 << 45, size: 9, deallocate };
            assert_eq!(Descriptor::decode(&memory.encode()), Some(memory));
        }
    }

    #[test]
    fn nonsense_is_no_descriptor() {
        for (kind, options) in [(0, 15), (0, 22), (1, 2), (2, 0), (255, 255)] {
            let mut bytes = [0; DESCRIPTOR_BYTES];
            (bytes[0], bytes[1]) = (kind, options);
            assert_eq!(Descriptor::decode(&bytes), None);
        }
    }

    #[test]
    fn words_beyond_the_end_are_zero() {
        assert_eq!((word(&[1; 5], 2), long(&[1; 7], 0), word(&[], usize::MAX)), (0, 0, 0));
    }
}
