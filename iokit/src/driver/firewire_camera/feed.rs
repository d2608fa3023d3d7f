//! Packets on their way from the camera to clients: in order, each once, and those that are missing counted. Tested alone.
//!
//! A packet says which one it is, so that a gap is seen. The camera counts from zero whenever it is started: each start begins a run.

use alloc::collections::{BTreeMap, VecDeque};

/// Bytes of data of a packet, as the driver sets the camera up.
pub const PACKET_BYTES: usize = 64;
/// Pieces of a frame, likewise; a piece is a packet.
pub const PIECES: u32 = 8;
/// Bytes of an entry, as clients read it: place, packets missed before it, run, the packet.
pub const ENTRY_BYTES: usize = 12 + PACKET_BYTES;
/// Packets that wait for the slowest client at the most: 32 ms.
const KEPT_MAX: usize = 256;
/// A gap beyond this, an eighth of a second, is believed only if the next packet says the same: the packet's head may be damaged.
const GAP_MAX: u32 = 1000;

/// One packet, as clients read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which one it is of those that the client gets, from 0.
    pub place: u32,
    /// Packets that the client has missed before it.
    pub missed: u32,
    /// The start of the camera that it belongs to.
    pub run: u32,
    /// The packet.
    pub packet: [u8; PACKET_BYTES],
}

impl Entry {
    /// The bytes that clients read.
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        for (four, word) in bytes.chunks_exact_mut(4).zip([self.place, self.missed, self.run]) {
            four.copy_from_slice(&word.to_le_bytes());
        }
        bytes[12..].copy_from_slice(&self.packet);
        bytes
    }

    /// Reads one. `None`: the bytes are too few.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let packet = bytes.get(12..ENTRY_BYTES)?.try_into().ok()?;
        Some(Self { place: word(0)?, missed: word(4)?, run: word(8)?, packet })
    }
}

/// Which packet of its run this is. `None`: it says nothing that can be.
pub fn number(packet: &[u8; PACKET_BYTES]) -> Option<u32> {
    let word = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
    let (frame, piece) = (word(0)?, word(4)?);
    (piece < PIECES).then(|| frame.wrapping_mul(PIECES).wrapping_add(piece))
}

/// Whether the bytes behind the head are those that belong to it: they count on through the frame, from the frame's number.
pub fn is_whole(packet: &[u8; PACKET_BYTES]) -> bool {
    let word = |at: usize| packet[at..at + 4].iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte));
    let data = &packet[8..];
    let first = word(0).wrapping_add(word(4).wrapping_mul(data.len() as u32));
    (0..).zip(data).all(|(n, &byte)| byte == first.wrapping_add(n) as u8)
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    run: u32,
    /// Packets that never came, up to this one.
    lost: u32,
    packet: [u8; PACKET_BYTES],
}

#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// Number of the packet that it gets next, of all that came.
    next: u64,
    place: u32,
    /// Packets that came and were not kept long enough for it.
    late: u32,
    /// What was lost before it was there.
    before: u32,
}

/// The last packets, and how far each client has come.
#[derive(Debug, Default)]
pub struct Feed {
    kept: VecDeque<Kept>,
    /// Packets that came.
    came: u64,
    run: u32,
    /// The packet of this run that is next.
    expected: u32,
    lost: u32,
    /// What would follow the last packet that was not believed.
    doubted: Option<u32>,
    clients: BTreeMap<u32, Cursor>,
}

impl Feed {
    /// A client gets what comes from now on.
    pub fn add(&mut self, client: u32) {
        self.clients.insert(client, Cursor { next: self.came, before: self.lost, ..Cursor::default() });
    }

    /// A client gets nothing more.
    pub fn remove(&mut self, client: u32) {
        self.clients.remove(&client);
    }

    /// Whether there is a client.
    pub fn is_wanted(&self) -> bool {
        !self.clients.is_empty()
    }

    /// The camera is started: its next packet is its first.
    pub fn begin(&mut self) {
        (self.run, self.expected, self.doubted) = (self.run.wrapping_add(1), 0, None);
    }

    /// A packet came. One of another length, or that makes no sense, is as good as lost: the next one tells.
    pub fn push(&mut self, packet: &[u8]) {
        let Ok(packet) = packet.try_into() else { return };
        let Some(number) = number(&packet).filter(|_| is_whole(&packet)) else { return };
        let Some(gap) = self.gap(number) else { return };
        self.lost = self.lost.wrapping_add(gap);
        self.expected = self.expected.wrapping_add(gap).wrapping_add(1);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { run: self.run, lost: self.lost, packet });
        self.came += 1;
    }

    /// How many are missing before the packet with this number. `None`: it is not believed.
    fn gap(&mut self, number: u32) -> Option<u32> {
        let gap = number.wrapping_sub(self.expected);
        let doubted = self.doubted.take();
        if gap <= GAP_MAX {
            return Some(gap);
        }
        if doubted != Some(number) {
            self.doubted = Some(number.wrapping_add(1));
            return None;
        }
        if gap.cast_signed() < 0 {
            // The camera has begun anew without having been told.
            (self.run, self.expected) = (self.run.wrapping_add(1), number);
            return Some(0);
        }
        Some(gap)
    }

    /// The next packet for a client. `Some(None)`: nothing yet. `None`: it is no client.
    pub fn take(&mut self, client: u32) -> Option<Option<Entry>> {
        let cursor = self.clients.get_mut(&client)?;
        let oldest = self.came - self.kept.len() as u64;
        if cursor.next < oldest {
            cursor.late = cursor.late.wrapping_add((oldest - cursor.next) as u32);
            cursor.next = oldest;
        }
        let Some(kept) = self.kept.get((cursor.next - oldest) as usize) else { return Some(None) };
        let missed = kept.lost.wrapping_sub(cursor.before).wrapping_add(cursor.late);
        let entry = Entry { place: cursor.place, missed, run: kept.run, packet: kept.packet };
        cursor.next += 1;
        cursor.place = cursor.place.wrapping_add(1);
        Some(Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn packet(number: u32) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[..4].copy_from_slice(&(number / PIECES).to_be_bytes());
        packet[4..8].copy_from_slice(&(number % PIECES).to_be_bytes());
        let first = number / PIECES + number % PIECES * 56;
        (0..).zip(&mut packet[8..]).for_each(|(n, byte)| *byte = (first + n) as u8);
        packet
    }

    #[test]
    fn a_wrong_byte_is_seen() {
        for at in 8..PACKET_BYTES {
            let mut packet = packet(77);
            assert!(is_whole(&packet));
            packet[at] ^= 1;
            assert!(!is_whole(&packet), "{at}");
        }
    }

    #[test]
    fn a_jump_is_believed_when_two_packets_tell_of_it() {
        let mut feed = Feed::default();
        feed.add(1);
        feed.begin();
        [0, 5000, 1, 9000, 9001, 9002, 3, 4].iter().for_each(|&n| feed.push(&packet(n)));
        let all: Vec<_> = core::iter::from_fn(|| taken(&mut feed, 1)).collect();
        let there =
            [(0, 0, 1, Some(0)), (1, 0, 1, Some(1)), (2, 8999, 1, Some(9001)), (3, 8999, 1, Some(9002))];
        assert_eq!(all[..4], there);
        assert_eq!(all[4..], [(4, 8999, 2, Some(4))], "back to an earlier one: another run");
    }

    fn taken(feed: &mut Feed, client: u32) -> Option<(u32, u32, u32, Option<u32>)> {
        let entry = feed.take(client).flatten()?;
        Some((entry.place, entry.missed, entry.run, number(&entry.packet)))
    }

    #[test]
    fn gaps_are_counted_and_each_start_counts_from_zero() {
        let mut feed = Feed::default();
        assert!(!feed.is_wanted());
        feed.add(7);
        feed.begin();
        [0, 1, 4].iter().for_each(|&n| feed.push(&packet(n)));
        feed.begin();
        feed.push(&packet(2));
        let all: Vec<_> = core::iter::from_fn(|| taken(&mut feed, 7)).collect();
        assert_eq!(all, [(0, 0, 1, Some(0)), (1, 0, 1, Some(1)), (2, 2, 1, Some(4)), (3, 4, 2, Some(2))]);
        assert_eq!((feed.take(7), feed.take(8)), (Some(None), None));
    }

    #[test]
    fn what_is_damaged_is_missing() {
        let mut feed = Feed::default();
        feed.add(1);
        feed.begin();
        feed.push(&packet(0));
        let mut damaged = packet(1);
        damaged[7] = 0xff;
        feed.push(&damaged);
        damaged = packet(2);
        damaged[2] = 1;
        feed.push(&damaged);
        feed.push(&[0; 8]);
        feed.push(&packet(0));
        feed.push(&packet(3));
        assert_eq!(taken(&mut feed, 1), Some((0, 0, 1, Some(0))));
        assert_eq!(taken(&mut feed, 1), Some((1, 2, 1, Some(3))), "one from the past is none either");
    }

    #[test]
    fn what_a_slow_client_misses_is_counted_too() {
        let mut feed = Feed::default();
        feed.begin();
        feed.push(&packet(5));
        feed.add(1);
        (6..KEPT_MAX as u32 + 9).for_each(|n| feed.push(&packet(n)));
        assert_eq!(taken(&mut feed, 1), Some((0, 3, 1, Some(9))));
        let entry = feed.take(1).flatten().expect("a packet");
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        assert_eq!(Entry::decode(&[0; ENTRY_BYTES - 1]), None);
        feed.remove(1);
        assert_eq!(feed.take(1), None);
    }
}
