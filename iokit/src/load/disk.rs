//! The exercise of a disk: each thread writes its own part of it, and reads back what it wrote.

use super::exercise::Outcome;
use super::pattern;
use crate::family::storage::client as media;
use crate::ioreturn::{IOResult, IOReturn};
use crate::user_client::{Arguments, Connection};
use alloc::vec;
use alloc::vec::Vec;

/// Blocks of one request at the most.
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
    /// Where, once the size is known: first block, bytes.
    part: Option<(u64, usize)>,
    /// The seed of what stands there.
    written: Option<u64>,
}

impl DiskWorker {
    pub(super) fn new(number: u32, threads: u32) -> Self {
        Self { number, threads, turn: 0, part: None, written: None }
    }

    /// One request: a write, a read of it, now and then a flush.
    pub(super) fn request(&mut self, connection: &Connection, id: u64) -> Outcome {
        let (block, bytes) = match self.part(connection) {
            Ok(part) => part,
            Err(why) => return Outcome::of(Err(why), false),
        };
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(FLUSH_EVERY) {
            return Outcome::of(connection.call(media::FLUSH, &mut Arguments::default()), true);
        }
        match self.written.take() {
            None => {
                let result = write(connection, block, &data(bytes, id));
                self.written = result.is_ok().then_some(id);
                Outcome::of(result, true)
            }
            Some(seed) => {
                let mut back = vec![0; bytes];
                let mut arguments =
                    Arguments { scalar_input: &[block], struct_output: &mut back, ..Arguments::default() };
                let result = connection.call(media::READ, &mut arguments);
                Outcome::of(result, back == data(bytes, seed))
            }
        }
    }

    /// Parts do not overlap; threads that find no room on a small disk have nothing to do.
    fn part(&mut self, connection: &Connection) -> IOResult<(u64, usize)> {
        if let Some(part) = self.part {
            return Ok(part);
        }
        let mut size = [0; 2];
        let mut arguments = Arguments { scalar_output: &mut size, ..Arguments::default() };
        connection.call(media::SIZE, &mut arguments)?;
        let [blocks, block_bytes] = size;
        let each = (blocks / u64::from(self.threads).max(1)).min(BLOCKS_MAX);
        if each == 0 || block_bytes > BLOCK_BYTES_MAX {
            return Err(IOReturn::NoResources);
        }
        let part = (u64::from(self.number) * each, (each * block_bytes) as usize);
        self.part = Some(part);
        Ok(part)
    }
}

fn write(connection: &Connection, block: u64, data: &[u8]) -> IOResult {
    let mut arguments = Arguments { scalar_input: &[block], struct_input: data, ..Arguments::default() };
    connection.call(media::WRITE, &mut arguments)
}

fn data(bytes: usize, seed: u64) -> Vec<u8> {
    let mut data = vec![0; bytes];
    pattern::fill(&mut data, seed);
    data
}
