//! What will happen at a machine time: device ticks and plan rules, in a stable order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// A device asked for a tick.
    Tick {
        /// Index of the slot.
        slot: usize,
        /// The model's token.
        token: u64,
    },
    /// A time rule of the plan.
    Rule(usize),
    /// The next pulse of a storm.
    Pulse(usize),
    /// The end of the storm pulse on a level line.
    PulseEnd(usize),
    /// A replug that waited for an ejection.
    Replug(usize),
    /// The end of a stuck line.
    StickEnd(usize),
    /// The end of a mute device.
    MuteEnd(usize),
    /// The link comes up again.
    LinkUp {
        /// Index of the slot.
        slot: usize,
        /// The card's epoch when it went down.
        epoch: u32,
    },
    /// The end of a freeze or of a delay.
    Resume(usize),
    /// There is memory again.
    Plenty,
    /// An interrupt that is late.
    Late {
        /// Index of the slot.
        slot: usize,
        /// The card's epoch when it was raised.
        epoch: u32,
        /// Its number.
        index: u16,
    },
    /// The second of two interrupts where there was one to raise.
    Echo {
        /// Index of the slot.
        slot: usize,
        /// The card's epoch when the first was raised.
        epoch: u32,
    },
    /// A DMA write that is late.
    Land {
        /// Index of the slot.
        slot: usize,
        /// The card's epoch when it was sent.
        epoch: u32,
        /// Its number.
        number: u64,
    },
    /// What was disconnected from its port comes back.
    Reattach(usize),
    /// The end of a device's NAKs, unless that has moved.
    NakEnd(usize),
    /// A port takes too much current no longer.
    CurrentEnd {
        /// Index of the controller's slot.
        card: usize,
        /// Index of the hub; `None` = the controller.
        hub: Option<usize>,
        /// From 1.
        port: u8,
    },
    /// An interrupt that waits for a timer.
    Race {
        /// Index of the slot.
        slot: usize,
        /// The card's epoch when it was raised.
        epoch: u32,
        /// When the timer is due.
        at: u64,
    },
}

/// An entry: by time, then by order of request.
type Entry = Reverse<(u64, u64, Due)>;

/// The queue.
#[derive(Default)]
pub struct Timers {
    heap: BinaryHeap<Entry>,
    sequence: u64,
}

impl Timers {
    /// Asks for `due` at `time`.
    pub fn push(&mut self, time: u64, due: Due) {
        self.heap.push(Reverse((time, self.sequence, due)));
        self.sequence += 1;
    }

    /// The earliest time at which something is due.
    pub fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((time, ..))| *time)
    }

    /// The number that the next request gets: a bound for [`Timers::pop`].
    pub fn bound(&self) -> u64 {
        self.sequence
    }

    /// Takes what is due at `now`, if it was asked for before `bound`: requests made meanwhile wait for the next round, so that a
    /// round ends.
    pub fn pop(&mut self, now: u64, bound: u64) -> Option<(u64, Due)> {
        let Reverse((time, sequence, due)) = *self.heap.peek()?;
        if time > now || sequence >= bound {
            return None;
        }
        self.heap.pop();
        Some((time, due))
    }

    /// Number of entries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Forgets a replug that waits: the card is in its slot already.
    pub fn cancel_replug(&mut self, slot: usize) {
        self.heap.retain(|Reverse((_, _, due))| *due != Due::Replug(slot));
    }

    /// Forgets every tick of a slot: its device is gone or was reset.
    pub fn cancel_ticks(&mut self, slot: usize) {
        self.heap.retain(|Reverse((_, _, due))| !matches!(due, Due::Tick { slot: s, .. } if *s == slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_keep_the_order_of_requests() {
        let mut timers = Timers::default();
        for token in 0..5 {
            timers.push(7, Due::Tick { slot: 0, token });
        }
        let bound = timers.bound();
        for token in 0..5 {
            assert_eq!(timers.pop(7, bound), Some((7, Due::Tick { slot: 0, token })));
        }
        assert_eq!(timers.pop(7, bound), None);
    }

    #[test]
    fn a_round_leaves_what_it_asks_for_itself() {
        let mut timers = Timers::default();
        timers.push(1, Due::Rule(0));
        let bound = timers.bound();
        assert!(timers.pop(5, bound).is_some());
        timers.push(0, Due::Rule(0));
        assert_eq!(timers.pop(5, bound), None);
        assert_eq!(timers.next(), Some(0));
    }

    #[test]
    fn cancelled_ticks_never_come() {
        let mut timers = Timers::default();
        timers.push(1, Due::Tick { slot: 0, token: 1 });
        timers.push(2, Due::Tick { slot: 1, token: 2 });
        timers.cancel_ticks(0);
        assert_eq!(timers.next(), Some(2));
    }
}
