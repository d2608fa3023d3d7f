//! Events that have no text, which are nearly all.

use crate::event::BRIEF;
use crate::{Event, Kind, NO_OBJECT};

/// Words of a record without its text.
pub const BRIEF_WORDS: usize = 5;

/// What an event is about. On the way from who tells it to who records it, it stays in two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// [`Event::object`] and, in the upper half, [`Event::other`].
    objects: u64,
    /// [`Event::slot`].
    slot: u32,
}

impl Subject {
    /// None at all.
    pub const NONE: Self = Self::of(NO_OBJECT);

    /// `object` alone.
    #[inline]
    pub const fn of(object: u32) -> Self {
        Self { objects: object as u64, slot: 0 }
    }

    /// The same with `other` as its second object; it has none yet.
    #[inline]
    #[must_use]
    pub const fn and(self, other: u32) -> Self {
        Self { objects: self.objects | (other as u64) << 32, ..self }
    }

    /// The same, belonging to the device in `slot`.
    #[inline]
    #[must_use]
    pub const fn slot(self, slot: u32) -> Self {
        Self { slot, ..self }
    }

    /// The event of `kind` about it, with the number `arg`.
    #[inline]
    pub const fn event(self, kind: Kind, arg: u64) -> Event {
        let (object, other) = (self.objects as u32, (self.objects >> 32) as u32);
        Event::new(kind).object(object).other(other).slot(self.slot).arg(arg)
    }

    /// The words of the record of an event of `kind` about it, with the number `arg`, recorded at machine time `time` (ns) on CPU `cpu` by `thread`. Those
    /// of the text are left out.
    #[inline]
    pub const fn record(
        self,
        kind: Kind,
        arg: u64,
        (time, cpu, thread): (u64, u8, u32),
    ) -> [u64; BRIEF_WORDS] {
        [
            time,
            self.objects,
            self.slot as u64 | (thread as u64) << 32,
            arg,
            kind as u64 | (cpu as u64) << 16 | BRIEF,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_place_of_the_text_is_not_read() {
        let subject = Subject::of(3).and(u32::MAX).slot(7);
        let mut record = [u64::MAX; crate::EVENT_WORDS];
        record[..BRIEF_WORDS].copy_from_slice(&subject.record(Kind::Wake, 9, (11, 255, 12)));
        let event = Event { time: 11, cpu: 255, thread: 12, ..subject.event(Kind::Wake, 9) };
        assert_eq!((event.object, event.other, event.slot), (3, u32::MAX, 7));
        assert_eq!(Event::from_words(&record), Some(event));
        assert_eq!(event.words()[..4], record[..4], "the rest of the wire form is the same");
    }
}
