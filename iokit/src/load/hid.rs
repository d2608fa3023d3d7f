//! The exercise of a keyboard or a mouse: threads read its reports, and prove together that each came once or was counted as missed.

use super::coverage::Coverage;
use super::exercise::Outcome;
use crate::driver::usb_hid::client as hid;
use crate::driver::usb_hid::report::{ENTRY_BYTES, Entry};
use crate::user_client::{Arguments, Connection};
use alloc::sync::Arc;
use mach::{KernelRef, Mutex};

/// Reports of one request at the most.
const BATCH: usize = 8;
/// How long one request waits for a report, machine ns.
const WAIT_NS: u64 = 20_000_000;

/// What the threads of one client know together.
pub(super) struct Reports {
    kernel: KernelRef,
    /// Threads that read.
    threads: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    coverage: Coverage,
    /// Losses that were told of so far.
    missed: u32,
}

impl Reports {
    pub(super) fn new(kernel: &KernelRef, threads: u32) -> Arc<Self> {
        let seen = Mutex::new(kernel, Seen::default());
        Arc::new(Self { kernel: kernel.clone(), threads: threads as usize, seen })
    }

    /// All threads are through: whether nothing was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.seen.lock(&self.kernel).coverage.close().is_ok()
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
        let Some((first, end, missed)) = examine(batch) else { return Outcome::Corrupt };
        let mut seen = self.seen.lock(&self.kernel);
        if seen.coverage.see(first, end, self.threads).is_err() {
            return Outcome::Corrupt;
        }
        let fresh = missed.wrapping_sub(seen.missed).cast_signed();
        if fresh <= 0 {
            return Outcome::Done;
        }
        seen.missed = missed;
        Outcome::Overrun(fresh.unsigned_abs())
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
