//! Reports on their way from the device to clients. Tested alone.

use alloc::collections::{BTreeMap, VecDeque};

/// Bytes of a boot report at the most (HID 1.11, appendix B).
pub const REPORT_BYTES: usize = 8;
/// Bytes of an entry, as clients read it: place, losses before it, length, the report.
pub const ENTRY_BYTES: usize = 20;
/// Reports that wait for the slowest client at the most.
const KEPT_MAX: usize = 64;

/// One report, as clients read it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Which one it is of those that the client gets, from 0.
    pub place: u32,
    /// Reports that the client has missed before it.
    pub missed: u32,
    /// Bytes of the report.
    pub length: u8,
    /// The report.
    pub bytes: [u8; REPORT_BYTES],
}

impl Entry {
    /// The bytes that clients read.
    pub fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(&self.place.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.missed.to_le_bytes());
        bytes[8] = self.length;
        bytes[12..].copy_from_slice(&self.bytes);
        bytes
    }

    /// Reads one. `None`: it is none.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..ENTRY_BYTES)?;
        let word = |at: usize| bytes[at..at + 4].try_into().ok().map(u32::from_le_bytes);
        let entry =
            Self { place: word(0)?, missed: word(4)?, length: bytes[8], bytes: bytes[12..].try_into().ok()? };
        (usize::from(entry.length) <= REPORT_BYTES).then_some(entry)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// Number of the report that it gets next.
    next: u64,
    place: u32,
    missed: u32,
}

/// The last reports, and how far each client has come.
#[derive(Debug, Default)]
pub struct Reports {
    kept: VecDeque<(u8, [u8; REPORT_BYTES])>,
    /// Number of the next report, from 0.
    next: u64,
    clients: BTreeMap<u32, Cursor>,
}

impl Reports {
    /// A client gets what comes from now on.
    pub fn add(&mut self, client: u32) {
        self.clients.insert(client, Cursor { next: self.next, ..Cursor::default() });
    }

    /// A client gets nothing more.
    pub fn remove(&mut self, client: u32) {
        self.clients.remove(&client);
    }

    /// The device has sent a report.
    pub fn push(&mut self, report: &[u8]) {
        let length = report.len().min(REPORT_BYTES);
        let mut bytes = [0; REPORT_BYTES];
        bytes[..length].copy_from_slice(&report[..length]);
        if self.kept.len() == KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back((length as u8, bytes));
        self.next += 1;
    }

    /// The next report for a client. `Some(None)`: nothing yet. `None`: it is no client.
    pub fn take(&mut self, client: u32) -> Option<Option<Entry>> {
        let cursor = self.clients.get_mut(&client)?;
        let oldest = self.next - self.kept.len() as u64;
        if cursor.next < oldest {
            cursor.missed = cursor.missed.wrapping_add((oldest - cursor.next) as u32);
            cursor.next = oldest;
        }
        let Some(&(length, bytes)) = self.kept.get((cursor.next - oldest) as usize) else {
            return Some(None);
        };
        let entry = Entry { place: cursor.place, missed: cursor.missed, length, bytes };
        cursor.next += 1;
        cursor.place = cursor.place.wrapping_add(1);
        Some(Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_gets_what_comes_after_it() {
        let mut reports = Reports::default();
        reports.push(&[1]);
        reports.add(7);
        reports.push(&[2, 3]);
        reports.add(8);
        let entry = reports.take(7).flatten().expect("one report");
        assert_eq!((entry.place, entry.missed, entry.length, entry.bytes[1]), (0, 0, 2, 3));
        assert_eq!((reports.take(7), reports.take(8), reports.take(9)), (Some(None), Some(None), None));
        reports.remove(7);
        assert_eq!(reports.take(7), None);
    }

    #[test]
    fn what_a_slow_client_misses_is_counted() {
        let mut reports = Reports::default();
        reports.add(1);
        for n in 0..KEPT_MAX + 5 {
            reports.push(&[n as u8]);
        }
        let entry = reports.take(1).flatten().expect("a report");
        assert_eq!((entry.place, entry.missed, entry.bytes[0]), (0, 5, 5));
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        assert_eq!(Entry::decode(&[9; ENTRY_BYTES]), None);
    }
}
