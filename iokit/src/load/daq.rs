//! The exercise of a data-acquisition card: threads read the stream, and prove together that every sample came once or was counted as
//! lost.

use super::account::Account;
use super::exercise::Outcome;
use crate::driver::daq::client as daq;
use crate::driver::daq::regs::MULTIPLIER;
use crate::driver::daq::sample::{ENTRY_BYTES, Entry};
use crate::user_client::{Arguments, Connection};
use alloc::sync::Arc;
use mach::KernelRef;

/// Samples of one request at the most.
const BATCH: usize = 16;

/// The stream of one client's threads.
pub(super) struct Stream(Account);

impl Stream {
    pub(super) fn new(kernel: &KernelRef, threads: u32) -> Arc<Self> {
        Arc::new(Self(Account::new(kernel, threads)))
    }

    /// All threads are through: whether nothing was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.0.is_whole()
    }

    /// One request: a read of whatever there is.
    pub(super) fn request(&self, connection: &Connection) -> Outcome {
        let mut bytes = [0; BATCH * ENTRY_BYTES];
        let mut count = [0];
        let mut arguments =
            Arguments { scalar_output: &mut count, struct_output: &mut bytes, ..Arguments::default() };
        if let Err(why) = connection.call(daq::READ, &mut arguments) {
            return Outcome::of(Err(why), false);
        }
        let batch = usize::try_from(count[0]).ok().and_then(|count| bytes.get(..count * ENTRY_BYTES));
        match batch.and_then(examine) {
            Some(Batch { first, end, missed }) => self.0.book(first, end, missed),
            None => Outcome::Corrupt,
        }
    }
}

/// What came back from one request, samples that follow one another.
#[derive(Debug, PartialEq, Eq)]
struct Batch {
    /// Place of the first.
    first: u32,
    /// One past the place of the last.
    end: u32,
    /// Losses before the last.
    missed: u32,
}

/// Looks at every sample. `None`: none there, a check word or value is wrong, or one does not follow the one before it.
fn examine(bytes: &[u8]) -> Option<Batch> {
    let mut batch: Option<Batch> = None;
    for entry in bytes.chunks_exact(ENTRY_BYTES) {
        let entry = Entry::decode(entry)?;
        if entry.sample.value != entry.sample.sequence.wrapping_mul(MULTIPLIER) {
            return None;
        }
        let (place, missed) = (entry.place(), entry.missed());
        let next = batch.take().unwrap_or(Batch { first: place, end: place, missed });
        // Places follow one another and losses only grow: so do the sequence numbers.
        if place != next.end || missed.wrapping_sub(next.missed).cast_signed() < 0 {
            return None;
        }
        batch = Some(Batch { end: place.wrapping_add(1), missed, ..next });
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::daq::regs::{CHECK_SEED, SAMPLE_BYTES};
    use alloc::vec::Vec;

    fn entry(sequence: u32, lost: u32, dropped: u32) -> Vec<u8> {
        let words = [sequence, sequence.wrapping_mul(MULTIPLIER), lost];
        let step = |sum: u32, word: u32| (sum ^ word).rotate_left(5).wrapping_mul(MULTIPLIER);
        let check = words.into_iter().fold(CHECK_SEED, step);
        let bytes: Vec<u8> = words.into_iter().chain([check]).flat_map(u32::to_le_bytes).collect();
        let bytes: [u8; SAMPLE_BYTES] = bytes.try_into().expect("four words");
        Entry::encode(&bytes, dropped).to_vec()
    }

    #[test]
    fn losses_that_are_counted_are_no_mistake() {
        let batch = [entry(5, 0, 0), entry(9, 2, 1), entry(10, 2, 1)].concat();
        assert_eq!(examine(&batch), Some(Batch { first: 5, end: 8, missed: 3 }));
    }

    #[test]
    fn a_gap_a_repetition_and_a_wrong_word_are_mistakes() {
        assert_eq!(examine(&[entry(5, 0, 0), entry(7, 0, 0)].concat()), None);
        assert_eq!(examine(&[entry(5, 0, 0), entry(5, 0, 0)].concat()), None);
        assert_eq!(examine(&[entry(5, 0, 0), entry(6, 1, 0)].concat()), None);
        let mut wrong = entry(5, 0, 0);
        wrong[4] ^= 1;
        assert_eq!(examine(&wrong), None);
        assert_eq!(examine(&[]), None);
    }
}
