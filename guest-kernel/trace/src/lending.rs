//! What a kernel tells its host of memory for DMA: records of the bench page ([`crate::ring`]) that are no events. They are for who looks where devices
//! read and write, and are in no trace.

use crate::EVENT_WORDS;

/// Number of [`Lending::Lent`] in the place where an event has its kind.
const LENT: u16 = 0xff00;
/// Number of [`Lending::Returned`].
const RETURNED: u16 = 0xff01;

/// A piece of DMA memory changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lending {
    /// A device may reach it from now on. Told before any device knows of it.
    Lent {
        /// The slot of the device; 0 = any.
        slot: u32,
        /// Physical address.
        address: u64,
        /// Bytes.
        bytes: u64,
    },
    /// No device may reach it any more. Told before it is used for anything else.
    Returned {
        /// Physical address, as it was lent.
        address: u64,
    },
}

impl Lending {
    /// The eight words of the record, little-endian in the ring: slot, address, number and bytes are where an event has its slot, its
    /// `arg`, its kind and its text.
    pub const fn words(self) -> [u64; EVENT_WORDS] {
        match self {
            Self::Lent { slot, address, bytes } => [0, 0, slot as u64, address, LENT as u64, bytes, 0, 0],
            Self::Returned { address } => [0, 0, 0, address, RETURNED as u64, 0, 0, 0],
        }
    }

    /// Reads the words of a record. `None`: it is something else.
    pub fn from_words(words: &[u64; EVENT_WORDS]) -> Option<Self> {
        let [_, _, slot, address, number, bytes, ..] = *words;
        match number as u16 {
            LENT => Some(Self::Lent { slot: slot as u32, address, bytes }),
            RETURNED => Some(Self::Returned { address }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Kind};

    #[test]
    fn records_round_trip_and_are_no_events() {
        let lent = Lending::Lent { slot: 3, address: u64::MAX - 7, bytes: 1 << 40 };
        for lending in [lent, Lending::Returned { address: 0x1000 }] {
            let record = lending.words();
            assert_eq!(Lending::from_words(&record), Some(lending));
            assert_eq!(Event::from_words(&record), None);
        }
        assert_eq!(Lending::from_words(&Event::new(Kind::IoIssue).arg(5).words()), None);
    }
}
