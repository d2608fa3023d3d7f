//! The exercise of a plain FireWire node: each thread writes its own part of the memory, reads back what it wrote, and counts a quadlet on by locks.
//!
//! A lock that a bus reset or a lost acknowledge came in between has been carried out, or not: the thread looks which, and nothing else may stand there.

use super::exercise::Outcome;
use super::pattern;
use crate::driver::firewire_node::client as node;
use crate::ioreturn::{IOResult, IOReturn};
use crate::user_client::{Arguments, Connection};
use alloc::vec;

/// Bytes of a part: the quadlet that locks count on, and the data behind it.
const PART: u64 = 64;
const QUADLET: usize = 4;
/// Threads that have a part. Further ones only read.
const PARTS: u64 = node::MEMORY_BYTES / PART;

/// One thread's part of a node.
pub(super) struct NodeWorker {
    /// Where; `None`: nowhere.
    part: Option<u64>,
    turn: u32,
    /// The seed of the data, if it is known.
    written: Option<u64>,
    /// What the quadlet is, if it is known.
    count: Option<u32>,
}

impl NodeWorker {
    pub(super) fn new(number: u32) -> Self {
        let number = u64::from(number);
        Self { part: (number < PARTS).then_some(number * PART), turn: 0, written: None, count: None }
    }

    /// One request: a write, a read of it, a lock, a read of what it left, in turns.
    pub(super) fn request(&mut self, connection: &Connection, id: u64) -> Outcome {
        let Some(part) = self.part else {
            return Outcome::of(read(connection, 0, &mut [0; 16]), true);
        };
        let turn = self.turn % 4;
        self.turn = self.turn.wrapping_add(1);
        let data = part + QUADLET as u64;
        match turn {
            0 => self.write(connection, data, id),
            1 => self.compare(connection, data),
            2 => self.lock(connection, part, id),
            _ => self.look(connection, part),
        }
    }

    fn write(&mut self, connection: &Connection, at: u64, id: u64) -> Outcome {
        self.written = None;
        let mut bytes = vec![0; PART as usize - QUADLET];
        pattern::fill(&mut bytes, id);
        let result = write(connection, at, &bytes);
        self.written = result.is_ok().then_some(id);
        Outcome::of(result, true)
    }

    fn compare(&mut self, connection: &Connection, at: u64) -> Outcome {
        let (mut back, mut wanted) = (vec![0; PART as usize - QUADLET], vec![0; PART as usize - QUADLET]);
        let result = read(connection, at, &mut back);
        if let Some(seed) = self.written {
            pattern::fill(&mut wanted, seed);
        }
        Outcome::of(result, self.written.is_none() || back == wanted)
    }

    /// Puts a number there that nobody else does, if what must stand there does.
    fn lock(&mut self, connection: &Connection, at: u64, id: u64) -> Outcome {
        let data = id as u32 | 1 << 31;
        let Some(count) = self.count.take() else {
            let result = write(connection, at, &data.to_be_bytes());
            self.count = result.is_ok().then_some(data);
            return Outcome::of(result, true);
        };
        match swap(connection, at, count, data) {
            Ok(old) => {
                self.count = Some(data);
                Outcome::of(Ok(()), old == count)
            }
            Err(IOReturn::BusReset | IOReturn::NotResponding | IOReturn::Timeout) => {
                let now = quadlet(connection, at);
                self.count = now.as_ref().ok().copied();
                Outcome::of(now.map(drop), self.count == Some(count) || self.count == Some(data))
            }
            Err(why) => Outcome::of(Err(why), false),
        }
    }

    fn look(&mut self, connection: &Connection, at: u64) -> Outcome {
        let now = quadlet(connection, at);
        let right = self.count.is_none() || now.as_ref().ok().copied() == self.count;
        Outcome::of(now.map(drop), right)
    }
}

fn read(connection: &Connection, at: u64, into: &mut [u8]) -> IOResult {
    let mut arguments = Arguments { scalar_input: &[at], struct_output: into, ..Arguments::default() };
    connection.call(node::READ, &mut arguments)
}

fn quadlet(connection: &Connection, at: u64) -> IOResult<u32> {
    let mut bytes = [0; QUADLET];
    read(connection, at, &mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn write(connection: &Connection, at: u64, data: &[u8]) -> IOResult {
    let mut arguments = Arguments { scalar_input: &[at], struct_input: data, ..Arguments::default() };
    connection.call(node::WRITE, &mut arguments)
}

fn swap(connection: &Connection, at: u64, compare: u32, data: u32) -> IOResult<u32> {
    let mut old = [0];
    let input = [at, u64::from(compare), u64::from(data)];
    let mut arguments = Arguments { scalar_input: &input, scalar_output: &mut old, ..Arguments::default() };
    connection.call(node::SWAP, &mut arguments)?;
    Ok(old[0] as u32)
}
