//! The exercise of a serial port that loops back: what is written comes back, in order. One client has the port; its threads take turns.

use super::exercise::Outcome;
use super::pattern;
use crate::driver::usb_serial::client as serial;
use crate::ioreturn::{IOResult, IOReturn};
use crate::user_client::{Arguments, Connection};
use alloc::sync::Arc;
use mach::{KernelRef, Mutex};

/// Bytes of one request at the most.
const BYTES: usize = 96;
/// How long one read waits, and how many of them bring back what was written.
const WAIT_NS: u64 = 100_000_000;
const READS: u32 = 20;
/// Reads that empty the line at the most: more than it holds.
const DRAINS: u32 = 200;

/// Whose turn it is on the line.
pub(super) struct Line {
    kernel: KernelRef,
    /// Something went wrong before: bytes of it may still be on their way.
    dirty: Mutex<bool>,
}

impl Line {
    pub(super) fn new(kernel: &KernelRef) -> Arc<Self> {
        Arc::new(Self { kernel: kernel.clone(), dirty: Mutex::new(kernel, false) })
    }

    /// One request: bytes that nobody else has written there, and back.
    pub(super) fn request(&self, connection: &Connection, id: u64) -> Outcome {
        let mut dirty = self.dirty.lock(&self.kernel);
        if *dirty {
            match drain(connection) {
                Ok(()) => *dirty = false,
                Err(why) => return Outcome::of(Err(why), false),
            }
        }
        let (mut there, mut back) = ([0; BYTES], [0; BYTES]);
        let length = 1 + (id as usize % BYTES);
        pattern::fill(&mut there[..length], id);
        let outcome = match exchange(connection, &there[..length], &mut back[..length]) {
            Ok(()) => Outcome::of(Ok(()), there == back),
            Err(why) => Outcome::of(Err(why), false),
        };
        *dirty = outcome != Outcome::Done;
        outcome
    }
}

fn exchange(connection: &Connection, there: &[u8], back: &mut [u8]) -> IOResult {
    connection.call(serial::WRITE, &mut Arguments { struct_input: there, ..Arguments::default() })?;
    let mut filled = 0;
    for _ in 0..READS {
        filled += read(connection, &mut back[filled..])?;
        if filled == back.len() {
            return Ok(());
        }
    }
    Err(IOReturn::Timeout)
}

fn read(connection: &Connection, into: &mut [u8]) -> IOResult<usize> {
    let (mut count, room) = ([0], into.len());
    let mut arguments = Arguments {
        scalar_input: &[WAIT_NS],
        scalar_output: &mut count,
        struct_output: into,
        ..Arguments::default()
    };
    connection.call(serial::READ, &mut arguments)?;
    Ok(usize::try_from(count[0]).unwrap_or(room).min(room))
}

/// Reads until nothing more comes. Timeout: it does not end, so this is no port that loops back.
fn drain(connection: &Connection) -> IOResult {
    let mut bytes = [0; BYTES];
    for _ in 0..DRAINS {
        if read(connection, &mut bytes)? == 0 {
            return Ok(());
        }
    }
    Err(IOReturn::Timeout)
}
