//! A sample, as the card writes it and as clients get it. No hardware; tested alone.

use super::regs;

/// Bytes of a sample as clients get it: those of the card, then how many samples this client's queue had no room for before it.
pub const ENTRY_BYTES: usize = regs::SAMPLE_BYTES + 4;

/// A sample whose check word is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Ticks of the sample clock before it, modulo 2³².
    pub sequence: u32,
    /// What the converter says.
    pub value: u32,
    /// Samples that the card lost before it, modulo 2³².
    pub lost: u32,
}

impl Sample {
    /// Reads the card's bytes; `None` if the check word is wrong.
    pub fn decode(bytes: &[u8; regs::SAMPLE_BYTES]) -> Option<Self> {
        let word = |n: usize| {
            u32::from_le_bytes([bytes[4 * n], bytes[4 * n + 1], bytes[4 * n + 2], bytes[4 * n + 3]])
        };
        let [sequence, value, lost] = [0, 1, 2].map(word);
        (word(3) == check([sequence, value, lost])).then_some(Self { sequence, value, lost })
    }

    /// Its place among the samples that the card wrote, from 0.
    pub fn index(&self) -> u32 {
        self.sequence.wrapping_sub(self.lost)
    }
}

/// For each word: xor, rotate left by 5, multiply.
fn check(words: [u32; 3]) -> u32 {
    let step = |sum: u32, word: u32| (sum ^ word).rotate_left(5).wrapping_mul(regs::MULTIPLIER);
    words.into_iter().fold(regs::CHECK_SEED, step)
}

/// A sample as a client gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The card's.
    pub sample: Sample,
    /// Samples that this client's queue had no room for before it, modulo 2³².
    pub dropped: u32,
}

impl Entry {
    /// The bytes of an entry: those of the card, and the client's count.
    pub fn encode(sample: &[u8; regs::SAMPLE_BYTES], dropped: u32) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..regs::SAMPLE_BYTES].copy_from_slice(sample);
        bytes[regs::SAMPLE_BYTES..].copy_from_slice(&dropped.to_le_bytes());
        bytes
    }

    /// Reads those bytes; `None` if there are fewer, or the check word is wrong.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (sample, dropped) = bytes.split_first_chunk()?;
        let dropped = u32::from_le_bytes(dropped.try_into().ok()?);
        Some(Self { sample: Sample::decode(sample)?, dropped })
    }

    /// Its place among the samples that this client gets: one more from each to the next, if every loss is counted.
    pub fn place(&self) -> u32 {
        self.sample.index().wrapping_sub(self.dropped)
    }

    /// Samples that did not reach this client before this one, modulo 2³².
    pub fn missed(&self) -> u32 {
        self.sample.lost.wrapping_add(self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sample 1 with two lost before it, worked out apart from this code; the card's model is held against the same number.
    fn known() -> [u8; regs::SAMPLE_BYTES] {
        let mut bytes = [0; regs::SAMPLE_BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip([1u32, 0x9e37_79b1, 2, 0xda4d_52b4]) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_known_sample() {
        let sample = Sample::decode(&known());
        assert_eq!(sample, Some(Sample { sequence: 1, value: 0x9e37_79b1, lost: 2 }));
        assert_eq!(sample.map(|s| s.index()), Some(u32::MAX));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        for bit in 0..8 * regs::SAMPLE_BYTES {
            let mut bytes = known();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Sample::decode(&bytes), None, "bit {bit}");
        }
    }

    #[test]
    fn an_entry_there_and_back() {
        let bytes = Entry::encode(&known(), 5);
        let entry = Entry::decode(&bytes).expect("its check word is right");
        assert_eq!((entry.dropped, entry.missed(), entry.place()), (5, 7, u32::MAX - 5));
        assert_eq!(Entry::decode(&bytes[..ENTRY_BYTES - 1]), None);
        assert_eq!(Entry::decode(&[]), None);
    }
}
