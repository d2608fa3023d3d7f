//! One record of the trace.

use crate::Kind;

/// Size of an encoded [`Event`], in bytes: one cache line.
pub const EVENT_BYTES: usize = 64;

/// The same in words of 64 bits.
pub const EVENT_WORDS: usize = EVENT_BYTES / 8;

/// Bytes of text that one event can carry; longer text is cut.
pub const TEXT_BYTES: usize = 24;

/// The word that has an event's kind; the text is behind it.
const WHAT: usize = 4;
/// Of that word: the record has no text, and what is in its place is nobody's.
pub(crate) const BRIEF: u64 = 1 << 24;

/// The value of [`Event::object`] and [`Event::other`] that means "none".
pub const NO_OBJECT: u32 = 0;

/// One thing that happened in the machine.
///
/// What `object`, `other` and `arg` mean is told by the [`Kind`].
// In the order of the wire form: who goes from one to the other moves whole words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Event {
    /// Machine time, in nanoseconds.
    pub time: u64,
    /// The registry entry, thread or other object that the event is about.
    pub object: u32,
    /// The second object of the event: provider, owner, woken thread.
    pub other: u32,
    /// The slot (root port number, from 1) of the plugged device that `object` belongs to; 0 = none.
    pub slot: u32,
    /// The thread that was running; 0 before the first thread exists.
    pub thread: u32,
    /// A number: an IOReturn, a request id, a vector, a count.
    pub arg: u64,
    /// Text, UTF-8, padded with zero bytes: a class, thread or rule name.
    pub text: [u8; TEXT_BYTES],
    /// What happened.
    pub kind: Kind,
    /// The CPU that recorded it.
    pub cpu: u8,
}

impl Event {
    /// An event of `kind` with every other field zero.
    pub const fn new(kind: Kind) -> Self {
        Self {
            time: 0,
            kind,
            cpu: 0,
            thread: 0,
            object: NO_OBJECT,
            other: NO_OBJECT,
            slot: 0,
            arg: 0,
            text: [0; TEXT_BYTES],
        }
    }

    /// The same event about `object`.
    #[must_use]
    pub const fn object(mut self, object: u32) -> Self {
        self.object = object;
        self
    }

    /// The same event with `other` as its second object.
    #[must_use]
    pub const fn other(mut self, other: u32) -> Self {
        self.other = other;
        self
    }

    /// The same event, belonging to the device in `slot`.
    #[must_use]
    pub const fn slot(mut self, slot: u32) -> Self {
        self.slot = slot;
        self
    }

    /// The same event with the number `arg`.
    #[must_use]
    pub const fn arg(mut self, arg: u64) -> Self {
        self.arg = arg;
        self
    }

    /// The same event with `text`, cut at the last character that fits.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        let mut end = text.len().min(TEXT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.text = [0; TEXT_BYTES];
        self.text[..end].copy_from_slice(&text.as_bytes()[..end]);
        self
    }

    /// The text without its padding; what is not UTF-8 reads as empty (a hostile guest can write it).
    pub fn text_str(&self) -> &str {
        let end = self.text.iter().position(|&b| b == 0).unwrap_or(TEXT_BYTES);
        core::str::from_utf8(&self.text[..end]).unwrap_or("")
    }

    /// The wire form: little-endian, fields in the order time, object, other, slot, thread, arg, kind, cpu, a byte that is 1 if what is in the place of
    /// the text is nobody's, four zero bytes, text.
    pub fn encode(&self) -> [u8; EVENT_BYTES] {
        let mut b = [0; EVENT_BYTES];
        self.encode_into(&mut b);
        b
    }

    /// [`Event::encode`] over whatever `b` held.
    #[inline]
    pub fn encode_into(&self, b: &mut [u8; EVENT_BYTES]) {
        for (piece, word) in b.as_chunks_mut::<8>().0.iter_mut().zip(self.words()) {
            *piece = word.to_le_bytes();
        }
    }

    /// The wire form as words: for a writer that must not take many instructions.
    #[inline]
    pub fn words(&self) -> [u64; EVENT_WORDS] {
        let text = |at: usize| u64::from_le_bytes(core::array::from_fn(|n| self.text[at + n]));
        [
            self.time,
            u64::from(self.object) | u64::from(self.other) << 32,
            u64::from(self.slot) | u64::from(self.thread) << 32,
            self.arg,
            self.kind as u64 | u64::from(self.cpu) << 16,
            text(0),
            text(8),
            text(16),
        ]
    }

    /// Reads the wire form. `None` if the kind is not one that this build knows.
    #[inline]
    pub fn decode(b: &[u8; EVENT_BYTES]) -> Option<Self> {
        Self::from_words(&core::array::from_fn(|n| {
            u64::from_le_bytes(core::array::from_fn(|byte| b[n * 8 + byte]))
        }))
    }

    /// [`Event::decode`] from the eight little-endian words of the record: for a reader that must not take many instructions.
    #[inline]
    pub fn from_words(words: &[u64; EVENT_WORDS]) -> Option<Self> {
        Self::read(|n| words[n])
    }

    /// The same, word by word: the record has `word(n)` in place n. Words that are nobody's are not asked for.
    #[inline]
    pub fn read(word: impl Fn(usize) -> u64) -> Option<Self> {
        let what = word(WHAT);
        let kind = Kind::try_from(what as u16).ok()?;
        let mut text = [0; TEXT_BYTES];
        if what & BRIEF == 0 {
            for (n, piece) in text.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                *piece = word(WHAT + 1 + n).to_le_bytes();
            }
        }
        let (objects, place) = (word(1), word(2));
        Some(Self {
            time: word(0),
            kind,
            cpu: (what >> 16) as u8,
            thread: (place >> 32) as u32,
            object: objects as u32,
            other: (objects >> 32) as u32,
            slot: place as u32,
            arg: word(3),
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encode_then_decode_is_identity() {
        let mut e = Event::new(Kind::GateClose).object(7).other(9).slot(3).arg(u64::MAX).text("edu0");
        e.time = 0x0123_4567_89ab_cdef;
        e.cpu = 7;
        e.thread = 42;
        assert_eq!(Event::decode(&e.encode()), Some(e));
        assert_eq!(Event::from_words(&e.words()), Some(e));
        assert_eq!(e.text_str(), "edu0");
    }

    #[test]
    fn fields_are_where_the_wire_form_has_them() {
        let mut e =
            Event::new(Kind::GateClose).object(0x0302_0100).other(0x0706_0504).slot(0x0b0a_0908).text("abc");
        (e.thread, e.arg, e.cpu) = (0x0f0e_0d0c, 0x1716_1514_1312_1110, 0x7f);
        let mut b = e.encode();
        assert!(b[8..32].iter().copied().eq(0..24));
        assert_eq!(u16::from_le_bytes([b[32], b[33]]), Kind::GateClose as u16);
        assert_eq!((b[34], &b[40..44]), (0x7f, &b"abc\0"[..]));
        b[..8].copy_from_slice(&7u64.to_le_bytes());
        assert_eq!(Event::decode(&b).map(|event| event.time), Some(7));
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let e = Event::new(Kind::Name).text("12345678901234567890123é");
        assert_eq!(e.text_str(), "12345678901234567890123");
    }

    #[test]
    fn an_unknown_kind_does_not_decode() {
        let mut b = Event::new(Kind::Ready).encode();
        b[32..34].copy_from_slice(&u16::MAX.to_le_bytes());
        assert_eq!(Event::decode(&b), None);
    }
}
