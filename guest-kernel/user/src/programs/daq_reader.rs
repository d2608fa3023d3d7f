//! The data-acquisition reader: takes samples out of the queue that the driver shares with it, without asking the kernel while there are
//! some, and sees to it that every sample came once or was counted as lost.

use super::workers::{self, Counts};
use crate::io::{Connection, Service};
use crate::message::Mailbox;
use crate::os::{Error, Os, Result};
use crate::port::Port;
use crate::queue::DataQueue;
use crate::start::{info, told};
use abi::KernReturn;
use abi::io::DATA_AVAILABLE;
use abi::notify::DEAD_NAME;

/// The class of the driver.
const CLASS: &str = "DaqDriver";
/// Bytes of an entry: sequence number, value, samples lost before it, check word, samples that the queue had no room for before it.
const ENTRY_BYTES: usize = 20;
/// The check word before the first word (`docs/devices.md`).
const CHECK_SEED: u32 = 0x5a5a_a5a5;
/// What each of its steps multiplies with; a value is its sequence number times this.
const MULTIPLIER: u32 = 0x9e37_79b1;
/// How long it waits for data before it looks whether the card is still there, in ns.
const PATIENCE: u64 = 1_000_000_000;

/// The program. It has one thread.
pub fn run(os: &dyn Os, _argument: u64) -> u64 {
    workers::finish(os, "daq reader", first(os))
}

fn first(os: &dyn Os) -> Result<Counts> {
    let mail = Mailbox::new(os)?;
    let service = Service::in_slot(&mail, CLASS, told(os, info::SLOT) as u32)?;
    let connection = service.open(&mail, 0)?;
    service.release(&mail)?;
    let counts = match read(&mail, connection) {
        Err(error) if error.is_gone() => return Ok(Counts::default()),
        result => result?,
    };
    match connection.close(&mail) {
        Err(error) if !error.is_gone() => Err(error),
        _ => Ok(counts),
    }
}

fn read(mail: &Mailbox<'_>, connection: Connection) -> Result<Counts> {
    let os = mail.os();
    let rounds = told(os, info::ROUNDS);
    let news = Port::new(os)?;
    connection.0.tell_of_death(os, news)?;
    connection.tell(mail, 0, news)?;
    let queue = DataQueue::new(connection.map(mail, 0)?)?;
    let (mut counts, mut stream) = (Counts::default(), Stream::default());
    while rounds == 0 || counts.done < rounds {
        let mut entry = [0; ENTRY_BYTES];
        match queue.take(&mut entry)? {
            Some(ENTRY_BYTES) if stream.see(&entry) => counts.done += 1,
            Some(_) => {
                counts.corrupt += 1;
                connection.say_data_were_wrong(mail)?;
            }
            None if wait(mail, news)? => {}
            None => break,
        }
    }
    news.destroy(os)?;
    Ok(counts)
}

/// Waits for data. False: the connection is gone.
fn wait(mail: &Mailbox<'_>, news: Port) -> Result<bool> {
    match mail.receive(news, Some(PATIENCE)) {
        Ok(message) => match message.id() {
            DATA_AVAILABLE => Ok(true),
            DEAD_NAME => Ok(false),
            _ => Err(Error::Protocol),
        },
        // A card that stands still tells of nothing.
        Err(Error::Kernel(KernReturn::ReceiveTimedOut)) => Ok(true),
        Err(error) if error.is_gone() => Ok(false),
        Err(error) => Err(error),
    }
}

/// What has been seen of the stream.
#[derive(Default)]
struct Stream {
    /// Place that the next sample has to have among those that came here, and what was lost before the last one.
    next: Option<(u32, u32)>,
}

impl Stream {
    /// Whether the sample is whole, and the next one.
    fn see(&mut self, entry: &[u8; ENTRY_BYTES]) -> bool {
        let word = |n: usize| {
            u32::from_le_bytes([entry[4 * n], entry[4 * n + 1], entry[4 * n + 2], entry[4 * n + 3]])
        };
        let [sequence, value, lost, check, dropped] = [0, 1, 2, 3, 4].map(word);
        let step = |sum: u32, word: u32| (sum ^ word).rotate_left(5).wrapping_mul(MULTIPLIER);
        let whole = check == [sequence, value, lost].into_iter().fold(CHECK_SEED, step);
        let missed = lost.wrapping_add(dropped);
        let place = sequence.wrapping_sub(missed);
        let follows = match self.next {
            None => true,
            Some((next, before)) => place == next && missed.wrapping_sub(before).cast_signed() >= 0,
        };
        self.next = Some((place.wrapping_add(1), missed));
        whole && value == sequence.wrapping_mul(MULTIPLIER) && follows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u32, lost: u32, dropped: u32) -> [u8; ENTRY_BYTES] {
        let words = [sequence, sequence.wrapping_mul(MULTIPLIER), lost];
        let step = |sum: u32, word: u32| (sum ^ word).rotate_left(5).wrapping_mul(MULTIPLIER);
        let check = words.into_iter().fold(CHECK_SEED, step);
        let mut bytes = [0; ENTRY_BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words.into_iter().chain([check, dropped])) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn losses_that_are_counted_are_no_mistake() {
        let mut stream = Stream::default();
        assert!([entry(5, 0, 0), entry(9, 2, 1), entry(10, 2, 1)].iter().all(|entry| stream.see(entry)));
    }

    #[test]
    fn a_gap_a_repetition_and_a_wrong_word_are_mistakes() {
        for second in [entry(7, 0, 0), entry(5, 0, 0), entry(6, 1, 0)] {
            let mut stream = Stream::default();
            assert!(stream.see(&entry(5, 0, 0)) && !stream.see(&second));
        }
        let mut wrong = entry(5, 0, 0);
        wrong[4] ^= 1;
        assert!(!Stream::default().see(&wrong));
    }
}
