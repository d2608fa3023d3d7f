//! The exercise of a disk: each thread writes its own part of it, and reads back what it wrote.

use super::exercise::Outcome;
use super::pattern;
use crate::family::storage::client as media;
use crate::ioreturn::{IOResult, IOReturn};
use crate::user_client::{Arguments, Connection};
use alloc::vec::Vec;

/// Blocks of one request at the most, unless its size is said.
const BLOCKS_MAX: u64 = 8;
/// Bytes of a block at the most: what a disk says is not believed beyond.
const BLOCK_BYTES_MAX: u64 = 4096;
/// One request in so many is a flush.
const FLUSH_EVERY: u32 = 16;

/// One thread's part of a disk.
pub(super) struct DiskWorker {
    number: u32,
    threads: u32,
    turn: u32,
    size: Option<u32>,
    /// Where, once the size is known: first block, bytes; or nowhere.
    part: Option<Option<(u64, usize)>>,
    /// The seed of what stands there.
    written: Option<u64>,
}

impl DiskWorker {
    pub(super) fn new(number: u32, threads: u32, size: Option<u32>) -> Self {
        Self { number, threads, turn: 0, size, part: None, written: None }
    }

    /// One request: a write, a read of it, now and then a flush.
    pub(super) fn request(&mut self, connection: &Connection, id: u64) -> Outcome {
        let (block, bytes) = match self.part(connection) {
            Ok(Some(part)) => part,
            Ok(None) => return flush(connection),
            Err(why) => return Outcome::of(Err(why), false),
        };
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(FLUSH_EVERY) {
            return flush(connection);
        }
        match self.written.take() {
            None => {
                let result = data(bytes, id).and_then(|data| write(connection, block, &data));
                self.written = result.is_ok().then_some(id);
                Outcome::of(result, true)
            }
            Some(seed) => match (room(bytes), data(bytes, seed)) {
                (Ok(mut back), Ok(data)) => {
                    let result = read(connection, block, &mut back);
                    Outcome::of(result, back == data)
                }
                (Err(why), _) | (_, Err(why)) => Outcome::of(Err(why), false),
            },
        }
    }

    /// Parts do not overlap; a thread that finds no room on a small disk has none, and only flushes.
    fn part(&mut self, connection: &Connection) -> IOResult<Option<(u64, usize)>> {
        if let Some(part) = self.part {
            return Ok(part);
        }
        let mut size = [0; 2];
        let mut arguments = Arguments { scalar_output: &mut size, ..Arguments::default() };
        connection.call(media::SIZE, &mut arguments)?;
        let [blocks, block_bytes] = size;
        if block_bytes > BLOCK_BYTES_MAX {
            return Err(IOReturn::NoResources);
        }
        let most = self.size.map_or(BLOCKS_MAX, |bytes| (u64::from(bytes) / block_bytes.max(1)).max(1));
        let part = share(u64::from(self.number), u64::from(self.threads), blocks, most)
            .map(|(first, count)| (first, (count * block_bytes) as usize));
        self.part = Some(part);
        Ok(part)
    }
}

/// First block and number of blocks, at `most`, of thread `number` of `threads`; `None` = the disk has no room for it.
fn share(number: u64, threads: u64, blocks: u64, most: u64) -> Option<(u64, u64)> {
    let each = (blocks / threads.max(1)).clamp(1, most);
    (number < blocks / each).then_some((number * each, each))
}

fn flush(connection: &Connection) -> Outcome {
    Outcome::of(connection.call(media::FLUSH, &mut Arguments::default()), true)
}

fn write(connection: &Connection, block: u64, data: &[u8]) -> IOResult {
    let mut arguments = Arguments { scalar_input: &[block], struct_input: data, ..Arguments::default() };
    connection.call(media::WRITE, &mut arguments)
}

fn read(connection: &Connection, block: u64, data: &mut [u8]) -> IOResult {
    let mut arguments = Arguments { scalar_input: &[block], struct_output: data, ..Arguments::default() };
    connection.call(media::READ, &mut arguments)
}

fn data(bytes: usize, seed: u64) -> IOResult<Vec<u8>> {
    let mut data = room(bytes)?;
    pattern::fill(&mut data, seed);
    Ok(data)
}

/// A plan may ask for more than the guest has.
fn room(bytes: usize) -> IOResult<Vec<u8>> {
    let mut data = Vec::new();
    data.try_reserve_exact(bytes).map_err(|_| IOReturn::NoMemory)?;
    data.resize(bytes, 0);
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn parts_fit_on_any_disk_and_do_not_overlap() {
        for (threads, blocks) in
            [(1, 0), (1, 1), (4, 1), (4, 3), (4, 4), (4, 7), (16_384, 1), (16_384, 16_385), (3, 1 << 27)]
        {
            for most in [1, 8, 2_048] {
                let mut end = 0;
                for (first, count) in (0..threads).filter_map(|number| share(number, threads, blocks, most)) {
                    assert!(first >= end && count > 0 && first + count <= blocks, "{threads} {blocks}");
                    assert!(count <= most);
                    end = first + count;
                }
                assert_eq!(end > 0, blocks > 0);
            }
        }
    }
}
