//! Which memory devices may reach, as the guest tells in its ring, and what they have reached that is not judged yet.
//!
//! Guest and devices run side by side here, and what the guest says is behind what it does. So an access is judged by a *window* of the ring: from the record that the
//! guest was at when the platform was called, to the one it was at when the call was over. The guest tells that a piece is lent before any device knows of it, and that it is
//! taken back when it counts on no access any more; so an access that no piece has allowed at any moment of its window was to somebody else's memory, whatever the order
//! in which this host's threads ran. Nothing is judged before the ring has been read to the end of the window.

use devices::platform::{Lent, Piece};
use std::collections::VecDeque;
use trace::{Event, Kind, Lending};

/// Pieces that came back and are still remembered.
const RETURNED: usize = 4096;
/// Accesses that may wait for their judgement; later ones are not judged.
const WAITING: usize = 1 << 16;

/// A device went to memory.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The slot of the device.
    pub slot: u32,
    /// First address.
    pub address: u64,
    /// Bytes.
    pub bytes: usize,
    /// Machine time, ns.
    pub time: u64,
}

/// An access, and the records of its window.
struct Open {
    access: Access,
    from: u64,
    to: u64,
}

/// What is lent, and what is to be judged.
#[derive(Default)]
pub struct Loans {
    lent: Lent,
    /// With the number of the record that told it, in order.
    returned: VecDeque<(u64, Piece)>,
    /// What came back before this record may be forgotten.
    known_from: u64,
    open: Vec<Open>,
}

impl Loans {
    /// Those of a guest that has told of `lent` so far.
    pub fn of(lent: Lent) -> Self {
        Self { lent, ..Self::default() }
    }

    /// What is lent, as far as the ring was read.
    pub fn lent(&self) -> &Lent {
        &self.lent
    }

    /// Record `number` of the ring says this.
    pub fn hear(&mut self, number: u64, lending: Lending) {
        match lending {
            Lending::Lent { slot, address, bytes } => self.lent.lend(slot, address, bytes),
            Lending::Returned { address } => {
                let Some(piece) = self.lent.take_back(address) else { return };
                if self.returned.len() == RETURNED
                    && let Some((oldest, _)) = self.returned.pop_front()
                {
                    self.known_from = oldest.wrapping_add(1);
                }
                self.returned.push_back((number, piece));
            }
        }
    }

    /// Records were lost: nothing is known any more.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Devices went to memory while the guest went from record `from` to record `to`.
    pub fn went(&mut self, from: u64, to: u64, accesses: impl IntoIterator<Item = Access>) {
        let room = WAITING.saturating_sub(self.open.len());
        self.open.extend(accesses.into_iter().take(room).map(|access| Open { access, from, to }));
    }

    /// Judges the accesses whose windows end before record `tail`, up to which the ring was read; for each that was to nobody's memory an event.
    pub fn judge(&mut self, tail: u64) -> Vec<Event> {
        let mut strays = Vec::new();
        let mut open = std::mem::take(&mut self.open);
        open.retain(|open| {
            let due = open.to <= tail;
            if due && !self.allowed(open) {
                strays.push(stray(open.access));
            }
            !due
        });
        self.open = open;
        strays
    }

    fn allowed(&self, open: &Open) -> bool {
        let Access { slot, address, bytes, .. } = open.access;
        let recent = || self.returned.iter().rev().take_while(|(number, _)| *number >= open.from);
        self.lent.allows(slot, address, bytes)
            || open.from < self.known_from
            || recent().any(|(_, piece)| piece.allows(slot, address, bytes))
    }
}

fn stray(access: Access) -> Event {
    let event = Event::new(Kind::Violation).slot(access.slot).arg(access.address).text("dma-outside-buffer");
    Event { time: access.time, ..event }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENT: Lending = Lending::Lent { slot: 1, address: 0x1000, bytes: 0x100 };
    const BACK: Lending = Lending::Returned { address: 0x1000 };

    fn access(address: u64) -> [Access; 1] {
        [Access { slot: 1, address, bytes: 0x10, time: 7 }]
    }

    /// A guest that has lent a piece by record 0, and taken it back by record 5.
    fn back_again() -> Loans {
        let mut loans = Loans::default();
        loans.hear(0, LENT);
        loans.hear(5, BACK);
        loans
    }

    #[test]
    fn what_no_moment_of_the_window_allows_is_a_stray() {
        for (from, to, strays) in [(2, 5, 0), (5, 6, 0), (6, 6, 1), (6, 9, 1)] {
            let mut loans = back_again();
            loans.went(from, to, access(0x1080));
            assert_eq!(loans.judge(9).len(), strays, "{from} to {to}");
            assert!(loans.judge(9).is_empty(), "judged once");
        }
        let mut loans = back_again();
        loans.went(1, 2, access(0x10f8));
        let strays = loans.judge(9);
        assert_eq!(strays.len(), 1, "across its end");
        let Event { kind, slot, arg, time, .. } = strays[0];
        assert_eq!((kind, slot, arg, time), (Kind::Violation, 1, 0x10f8, 7));
        assert_eq!(strays[0].text_str(), "dma-outside-buffer");
    }

    #[test]
    fn nothing_is_judged_before_the_ring_is_read_to_the_end_of_its_window() {
        let mut loans = Loans::default();
        loans.hear(0, LENT);
        loans.hear(1, BACK);
        // Record 2 lends the piece again; the device hears of it at once, the host only when it reads the ring.
        loans.went(2, 3, access(0x1000));
        assert!(loans.judge(2).is_empty());
        loans.hear(2, LENT);
        assert!(loans.judge(3).is_empty());
        loans.hear(3, BACK);
        loans.went(4, 4, access(0x1000));
        assert_eq!(loans.judge(4).len(), 1);
    }

    #[test]
    fn a_guest_that_does_not_tell_is_not_looked_after() {
        let mut loans = Loans::default();
        loans.went(0, 0, access(0));
        assert!(loans.judge(0).is_empty());
        let mut loans = back_again();
        loans.forget();
        loans.went(6, 6, access(0x1000));
        assert!(loans.judge(9).is_empty());
    }

    #[test]
    fn what_may_be_forgotten_accuses_nobody() {
        let mut loans = Loans::default();
        for n in 0..3 * RETURNED as u64 {
            loans.hear(2 * n, LENT);
            loans.hear(2 * n + 1, BACK);
        }
        let end = 6 * RETURNED as u64;
        loans.went(1, end, access(0x1000));
        assert!(loans.judge(end).is_empty());
        loans.went(end, end, access(0x1000));
        assert_eq!(loans.judge(end).len(), 1);
        assert!(loans.returned.len() <= RETURNED);
    }

    #[test]
    fn a_guest_that_publishes_nothing_does_not_fill_the_host() {
        let mut loans = back_again();
        for _ in 0..2 * WAITING {
            loans.went(6, u64::MAX, access(0x1000));
        }
        assert_eq!(loans.open.len(), WAITING);
    }
}
