//! The block tester: every thread writes patterns into its own part of a disk, and reads them back.

use super::workers::{self, Counts};
use crate::io::{Arguments, Connection, Service};
use crate::message::Mailbox;
use crate::os::{Error, Os, Result};
use crate::port::Port;
use crate::random;
use crate::start::{info, told};

/// The class of disks.
const CLASS: &str = "IOMedia";
/// External methods of a medium.
mod media {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const FLUSH: u32 = 2;
    pub const SIZE: u32 = 3;
}
/// Blocks of one request at the most.
const BLOCKS_MAX: u64 = 8;
/// Bytes of one request at the most.
const BYTES_MAX: usize = 4096;
/// One request in so many is a flush.
const FLUSH_EVERY: u64 = 16;
/// Errors after which a thread gives up.
const ERRORS_MAX: u64 = 16;

/// The program.
pub fn run(os: &dyn Os, argument: u64) -> u64 {
    if argument != 0 {
        return u64::from(workers::help(os, argument, test).is_err());
    }
    workers::finish(os, "block tester", first(os))
}

fn first(os: &dyn Os) -> Result<Counts> {
    let mail = Mailbox::new(os)?;
    let service = Service::in_slot(&mail, CLASS, told(os, info::SLOT) as u32)?;
    let connection = service.open(&mail, 0)?;
    service.release(&mail)?;
    let counts = workers::lead(&mail, connection.0, test)?;
    // A port that died (the device went first) needs no closing.
    match connection.close(&mail) {
        Err(error) if !error.is_gone() => Err(error),
        _ => Ok(counts),
    }
}

/// A thread's part of the disk.
struct Part {
    block: u64,
    bytes: usize,
}

/// One thread's work: until the disk or the run ends, or it has done what it was told.
fn test(mail: &Mailbox<'_>, connection: Port, number: u64) -> Result<Counts> {
    let os = mail.os();
    let (connection, rounds, seed) =
        (Connection(connection), told(os, info::ROUNDS), told(os, info::SEED) ^ number << 32);
    let mut counts = Counts::default();
    let part = match part(mail, connection, number) {
        Ok(part) => part,
        Err(error) if error.is_gone() => return Ok(counts),
        Err(error) => return Err(error),
    };
    let mut written = None;
    let mut round = 0;
    while (rounds == 0 || round < rounds) && counts.errors < ERRORS_MAX {
        round += 1;
        let request = match &part {
            Some(part) if !round.is_multiple_of(FLUSH_EVERY) => {
                transfer(mail, connection, part, &mut written, seed.wrapping_add(round))
            }
            _ => flush(mail, connection).map(|()| true),
        };
        match request {
            Ok(true) => counts.done += 1,
            Ok(false) => {
                counts.corrupt += 1;
                if connection.say_data_were_wrong(mail).is_err() {
                    // The disk has gone, and the books with it: the exit code still says so.
                    break;
                }
            }
            Err(error) if error.is_gone() => break,
            Err(_) => counts.errors += 1,
        }
    }
    Ok(counts)
}

/// Writes, or reads and compares; whether what came back is what was written.
fn transfer(
    mail: &Mailbox<'_>,
    connection: Connection,
    part: &Part,
    written: &mut Option<u64>,
    seed: u64,
) -> Result<bool> {
    let mut data = [0; BYTES_MAX];
    let data = &mut data[..part.bytes];
    let block = [part.block];
    match written.take() {
        None => {
            random::fill(data, seed);
            let mut arguments =
                Arguments { scalar_input: &block, struct_input: data, ..Arguments::default() };
            connection.call(mail, media::WRITE, &mut arguments)?;
            *written = Some(seed);
            Ok(true)
        }
        Some(seed) => {
            let mut arguments =
                Arguments { scalar_input: &block, struct_output: data, ..Arguments::default() };
            let (_, bytes) = connection.call(mail, media::READ, &mut arguments)?;
            Ok(bytes == part.bytes && random::is_filled(data, seed))
        }
    }
}

fn flush(mail: &Mailbox<'_>, connection: Connection) -> Result<()> {
    connection.call(mail, media::FLUSH, &mut Arguments::default()).map(|_| ())
}

/// Parts do not overlap; a thread that finds no room on a small disk has none, and only flushes.
fn part(mail: &Mailbox<'_>, connection: Connection, number: u64) -> Result<Option<Part>> {
    let os = mail.os();
    let mut size = [0; 2];
    let mut arguments = Arguments { scalar_output: &mut size, ..Arguments::default() };
    connection.call(mail, media::SIZE, &mut arguments)?;
    let [blocks, block_bytes] = size;
    let depth = told(os, info::DEPTH).max(1);
    let threads = told(os, info::CLIENTS).max(1).saturating_mul(depth);
    let number = told(os, info::CLIENT).saturating_mul(depth).saturating_add(number);
    let Some((block, count)) = share(number, threads, blocks) else { return Ok(None) };
    let bytes = count.checked_mul(block_bytes).and_then(|bytes| usize::try_from(bytes).ok());
    match bytes {
        Some(bytes) if bytes <= BYTES_MAX => Ok(Some(Part { block, bytes })),
        // A disk with blocks of that size is none that this program knows.
        _ => Err(Error::Protocol),
    }
}

/// First block and number of blocks of thread `number` of `threads`.
fn share(number: u64, threads: u64, blocks: u64) -> Option<(u64, u64)> {
    let each = (blocks / threads.max(1)).clamp(1, BLOCKS_MAX);
    (number < blocks / each).then_some((number * each, each))
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn parts_fit_on_any_disk_and_do_not_overlap() {
        for (threads, blocks) in [(1, 0), (1, 1), (4, 1), (4, 4), (4, 7), (16_384, 1), (3, 1 << 27)] {
            let mut end = 0;
            for (first, count) in (0..threads).filter_map(|number| share(number, threads, blocks)) {
                assert!(first >= end && count > 0 && first + count <= blocks, "{threads} {blocks}");
                end = first + count;
            }
            assert_eq!(end > 0, blocks > 0);
        }
    }
}
