//! The exercise of a camera: threads read its stream, and prove together that each packet came once, in order, or was counted as missed.
//!
//! In one run of the camera the number of a packet is its place plus what was missed, plus something that stays the same. So threads need not tell each
//! other what they got, only that.

use super::account::Account;
use super::exercise::Outcome;
use crate::driver::firewire_camera::client as camera;
use crate::driver::firewire_camera::feed::{ENTRY_BYTES, Entry, is_whole, number};
use crate::user_client::{Arguments, Connection};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use mach::{KernelRef, Mutex};

/// Packets of one request at the most.
const BATCH: usize = 16;
/// How long one request waits for a packet, machine ns.
const WAIT_NS: u64 = 20_000_000;
/// Runs that are remembered: the last ones. More than there are threads that could bring an older one.
const RUNS: usize = 64;

/// The stream of one client's threads.
pub(super) struct Frames {
    kernel: KernelRef,
    account: Account,
    /// By run: what stays the same in it.
    runs: Mutex<BTreeMap<u32, u32>>,
}

impl Frames {
    pub(super) fn new(kernel: &KernelRef, threads: u32) -> Arc<Self> {
        let runs = Mutex::new(kernel, BTreeMap::new());
        Arc::new(Self { kernel: kernel.clone(), account: Account::new(kernel, threads), runs })
    }

    /// All threads are through: whether nothing was left out.
    pub(super) fn is_whole(&self) -> bool {
        self.account.is_whole()
    }

    /// One request: a read of whatever there is, or comes within its time.
    pub(super) fn request(&self, connection: &Connection) -> Outcome {
        let (mut bytes, mut count) = (vec![0; BATCH * ENTRY_BYTES], [0]);
        let mut arguments = Arguments {
            scalar_input: &[WAIT_NS],
            scalar_output: &mut count,
            struct_output: &mut bytes,
            ..Arguments::default()
        };
        if let Err(why) = connection.call(camera::READ, &mut arguments) {
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
        let seen = examine(batch, &mut self.runs.lock(&self.kernel));
        match seen {
            Some((first, end, missed)) => self.account.book(first, end, missed),
            None => Outcome::Corrupt,
        }
    }
}

/// First place, one past the last, losses before the last. `None`: one is not what the camera sends, or does not follow the one before it.
fn examine(batch: &[u8], runs: &mut BTreeMap<u32, u32>) -> Option<(u32, u32, u32)> {
    let mut all: Option<(u32, u32, u32)> = None;
    for bytes in batch.chunks_exact(ENTRY_BYTES) {
        let entry = Entry::decode(bytes).filter(|entry| is_whole(&entry.packet))?;
        let (first, next, missed) = all.unwrap_or((entry.place, entry.place, entry.missed));
        let steady = number(&entry.packet)?.wrapping_sub(entry.place).wrapping_sub(entry.missed);
        let known = *runs.entry(entry.run).or_insert(steady);
        if entry.place != next || entry.missed.wrapping_sub(missed).cast_signed() < 0 || known != steady {
            return None;
        }
        all = Some((first, next.wrapping_add(1), entry.missed));
    }
    while runs.len() > RUNS {
        runs.pop_first();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::firewire_camera::feed::{PACKET_BYTES, PIECES};
    use alloc::vec::Vec;

    fn packet(number: u32) -> [u8; PACKET_BYTES] {
        let (frame, piece) = (number / PIECES, number % PIECES);
        let mut packet = [0; PACKET_BYTES];
        packet[..4].copy_from_slice(&frame.to_be_bytes());
        packet[4..8].copy_from_slice(&piece.to_be_bytes());
        let first = frame + piece * 56;
        (0..).zip(&mut packet[8..]).for_each(|(n, byte)| *byte = (first + n) as u8);
        packet
    }

    /// Entries by place, losses, run and number.
    fn batch(entries: &[(u32, u32, u32, u32)]) -> Vec<u8> {
        let entry =
            |&(place, missed, run, number)| Entry { place, missed, run, packet: packet(number) }.encode();
        entries.iter().flat_map(entry).collect()
    }

    #[test]
    fn packets_follow_one_another_and_runs_begin_anywhere() {
        let mut runs = BTreeMap::new();
        let first = batch(&[(0, 0, 1, 0), (1, 0, 1, 1), (2, 2, 1, 4), (3, 2, 2, 0)]);
        assert_eq!(examine(&first, &mut runs), Some((0, 4, 2)));
        let second = batch(&[(4, 5, 2, 4), (5, 5, 2, 5)]);
        assert_eq!(examine(&second, &mut runs), Some((4, 6, 5)), "of another thread");
        for wrong in [
            &[(6, 5, 2, 7)][..],
            &[(6, 6, 2, 6)],
            &[(6, 5, 3, 0), (7, 5, 3, 2)],
            &[(6, 5, 3, 0), (8, 5, 3, 1)],
        ] {
            assert_eq!(examine(&batch(wrong), &mut runs.clone()), None, "{wrong:?}");
        }
    }
}
