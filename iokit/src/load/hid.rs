//! The exercise of a keyboard or a mouse: threads read its reports, and prove together that each came once or was counted as missed.

use super::account::Account;
use super::exercise::Outcome;
use crate::driver::usb_hid::client as hid;
use crate::driver::usb_hid::report::{ENTRY_BYTES, Entry};
use crate::user_client::{Arguments, Connection};
use alloc::sync::Arc;
use mach::KernelRef;

/// Reports of one request at the most.
const BATCH: usize = 8;
/// How long one request waits for a report, machine ns.
const WAIT_NS: u64 = 20_000_000;

/// The reports of one client's threads.
pub(super) struct Reports(Account);

impl Reports {
    pub(super) fn new(kernel: &KernelRef, threads: u32) -> Arc<Self> {
        Arc::new(Self(Account::new(kernel, threads)))
    }

    /// All threads are through: whether nothing was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.0.is_whole()
    }

    /// One request: a read of whatever there is, or comes within its time.
    pub(super) fn request(&self, connection: &Connection) -> Outcome {
        let (mut bytes, mut count) = ([0; BATCH * ENTRY_BYTES], [0]);
        let mut arguments = Arguments {
            scalar_input: &[WAIT_NS],
            scalar_output: &mut count,
            struct_output: &mut bytes,
            ..Arguments::default()
        };
        if let Err(why) = connection.call(hid::READ, &mut arguments) {
            return Outcome::of(Err(why), false);
        }
        let batch = usize::try_from(count[0]).ok().and_then(|count| bytes.get(..count * ENTRY_BYTES));
        match batch {
            Some([]) => Outcome::Done,
            Some(batch) => self.book(batch),
            None => Outcome::Corrupt,
        }
    }

    fn book(&self, batch: &[u8]) -> Outcome {
        match examine(batch) {
            Some((first, end, missed)) => self.0.book(first, end, missed),
            None => Outcome::Corrupt,
        }
    }
}

/// First place, one past the last, losses before the last. `None`: one is no report, or does not follow the one before it.
fn examine(batch: &[u8]) -> Option<(u32, u32, u32)> {
    let mut all: Option<(u32, u32, u32)> = None;
    for bytes in batch.chunks_exact(ENTRY_BYTES) {
        let entry = Entry::decode(bytes).filter(|entry| entry.length != 0)?;
        let (first, next, missed) = all.unwrap_or((entry.place, entry.place, entry.missed));
        if entry.place != next || entry.missed.wrapping_sub(missed).cast_signed() < 0 {
            return None;
        }
        all = Some((first, next.wrapping_add(1), entry.missed));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn batch(entries: &[(u32, u32, u8)]) -> Vec<u8> {
        let entry = |&(place, missed, length)| Entry { place, missed, length, bytes: [0; 8] }.encode();
        entries.iter().flat_map(entry).collect()
    }

    #[test]
    fn reports_follow_one_another() {
        assert_eq!(examine(&batch(&[(3, 0, 8), (4, 2, 8)])), Some((3, 5, 2)));
        for wrong in [&[(3, 0, 8), (5, 0, 8)][..], &[(3, 2, 8), (4, 1, 8)], &[(0, 0, 0)], &[]] {
            assert_eq!(examine(&batch(wrong)), None);
        }
    }
}
