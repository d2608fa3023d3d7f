//! The eight words of a trace record, in the order in which the ring wants them stored.

use trace::Event;

/// Index of the word with the sequence number in its upper half (`trace::ring::SEQUENCE`): stored last.
pub const LAST_WORD: usize = 4;

/// The words of `event` as [`Event::encode`] lays them out, with `sequence` in place. Faster than going through bytes,
/// which counts where every instruction is interpreted.
#[inline]
pub fn words(event: &Event, sequence: u32) -> [u64; 8] {
    let text = |at: usize| u64::from_le_bytes(core::array::from_fn(|i| event.text[at + i]));
    [
        event.time,
        u64::from(event.object) | u64::from(event.other) << 32,
        u64::from(event.slot) | u64::from(event.thread) << 32,
        event.arg,
        u64::from(event.kind as u16) | u64::from(event.cpu) << 16 | u64::from(sequence) << 32,
        text(0),
        text(8),
        text(16),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use trace::{Kind, ring};

    #[test]
    fn the_words_are_the_encoding() {
        let mut event =
            Event::new(Kind::GateClose).object(7).other(9).slot(3).arg(u64::MAX - 5).text("EduUserClient");
        event.time = 0x0123_4567_89ab_cdef;
        event.cpu = 6;
        event.thread = 42;
        let mut expected = event.encode();
        expected[ring::SEQUENCE..ring::SEQUENCE + 4].copy_from_slice(&0xfeed_beefu32.to_le_bytes());
        let mut bytes = [0; 64];
        for (n, word) in words(&event, 0xfeed_beef).iter().enumerate() {
            bytes[n * 8..n * 8 + 8].copy_from_slice(&word.to_le_bytes());
        }
        assert_eq!(bytes, expected);
        assert_eq!(ring::SEQUENCE / 8, LAST_WORD);
    }
}
