//! The last bytes of a console, and how many came before them.

use std::collections::VecDeque;

/// Bytes that are kept.
pub const KEPT: usize = 256 << 10;

/// What was printed last. Bytes are counted from the first that was ever printed, so that a reader is no more than a number.
#[derive(Debug, Default)]
pub struct Backlog {
    bytes: VecDeque<u8>,
    /// The number of the first byte that is kept.
    first: u64,
}

impl Backlog {
    /// Appends what was printed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let old = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..old);
        self.first += old as u64;
    }

    /// The number of the byte that will be printed next.
    pub fn end(&self) -> u64 {
        self.first + self.bytes.len() as u64
    }

    /// Bytes from number `from` on, at most `room.len()`: how many there are, and how many before them are not kept any more.
    pub fn read(&self, from: u64, room: &mut [u8]) -> (usize, u64) {
        let lost = self.first.saturating_sub(from);
        let skipped = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let rest = self.bytes.range(skipped.min(self.bytes.len())..);
        let mut read = 0;
        for (place, byte) in room.iter_mut().zip(rest) {
            *place = *byte;
            read += 1;
        }
        (read, lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_too_old_is_counted() {
        let mut backlog = Backlog::default();
        backlog.push(&vec![b'a'; KEPT]);
        backlog.push(b"bcd");
        let mut room = [0; 4];
        assert_eq!(backlog.read(0, &mut room), (4, 3));
        assert_eq!(backlog.read(backlog.end() - 2, &mut room), (2, 0));
        assert_eq!(&room[..2], b"cd");
        assert_eq!(backlog.read(backlog.end() + 9, &mut room), (0, 0));
    }

    proptest! {
        /// A reader who comes often enough reads all that was printed, in order.
        #[test]
        fn a_quick_reader_misses_nothing(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..50)) {
            let (mut backlog, mut at, mut got) = (Backlog::default(), 0, Vec::<u8>::new());
            for piece in &pieces {
                backlog.push(piece);
                loop {
                    let mut room = [0; 64];
                    let (read, lost) = backlog.read(at, &mut room);
                    prop_assert_eq!(lost, 0);
                    if read == 0 {
                        break;
                    }
                    at += read as u64;
                    got.extend(&room[..read]);
                }
            }
            prop_assert_eq!(got, pieces.concat());
            prop_assert_eq!(at, backlog.end());
        }
    }
}
