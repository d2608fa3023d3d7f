//! Events that have no text, which are nearly all.

use crate::event::BRIEF;
use crate::{Event, Kind, NO_OBJECT};

/// Words of a record without its text.
pub const BRIEF_WORDS: usize = 5;

/// Where an event was recorded, as records have it: put together once, by who knows it, and not for each event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// [`Event::thread`] in the upper half.
    thread: u64,
    /// [`Event::cpu`] in bits 16 to 23.
    cpu: u32,
}

impl Place {
    /// Thread `thread` on CPU `cpu`.
    pub const fn new(thread: u32, cpu: u8) -> Self {
        Self { thread: (thread as u64) << 32, cpu: Self::cpu(cpu) }
    }

    /// The word of CPU `cpu`.
    pub const fn cpu(cpu: u8) -> u32 {
        (cpu as u32) << 16
    }

    /// That of these words: the thread's number in the upper half of the one, and what [`Place::cpu`] says.
    #[inline]
    pub const fn from_words(thread: u64, cpu: u32) -> Self {
        Self { thread, cpu }
    }

    /// `event`, recorded there at machine time `time`, ns.
    pub const fn stamp(self, event: &Event, time: u64) -> Event {
        Event { time, thread: (self.thread >> 32) as u32, cpu: (self.cpu >> 16) as u8, ..*event }
    }
}

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

    /// The words of the record of an event of `kind` about it, with the number `arg`, recorded at machine time `time` (ns) in `place`. Those of the text are left
    /// out.
    #[inline]
    pub const fn record(self, kind: Kind, arg: u64, time: u64, place: Place) -> [u64; BRIEF_WORDS] {
        [time, self.objects, self.slot as u64 | place.thread, arg, kind as u64 | place.cpu as u64 | BRIEF]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_place_of_the_text_is_not_read() {
        let subject = Subject::of(3).and(u32::MAX).slot(7);
        let mut record = [u64::MAX; crate::EVENT_WORDS];
        let place = Place::new(12, 255);
        record[..BRIEF_WORDS].copy_from_slice(&subject.record(Kind::Wake, 9, 11, place));
        let event = place.stamp(&subject.event(Kind::Wake, 9), 11);
        assert_eq!((event.time, event.thread, event.cpu), (11, 12, 255));
        assert_eq!((event.object, event.other, event.slot), (3, u32::MAX, 7));
        assert_eq!(Event::from_words(&record), Some(event));
        assert_eq!(event.words()[..4], record[..4], "the rest of the wire form is the same");
    }
}
