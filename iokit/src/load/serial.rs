//! The exercise of a serial port: of one that loops back, that what is written comes back, in order; of one that sends by itself, that its bytes
//! count on. One client has the port; its threads take turns.
//!
//! Nothing tells which of the two a port is. The first is assumed until something else comes than what was written, and does not end.

use super::exercise::Outcome;
use super::pattern;
use crate::driver::usb_serial::client as serial;
use crate::ioreturn::{IOResult, IOReturn};
use crate::user_client::{Arguments, Connection};
use alloc::sync::Arc;
use mach::{KernelRef, Mutex};

/// Bytes of one request at the most.
const BYTES: usize = 96;
/// As many bytes that come back as they were written did not come by themselves.
const SURE: usize = 8;
/// How long one read waits, and how many of them may bring nothing.
const WAIT_NS: u64 = 100_000_000;
const IDLE: u32 = 20;
/// Reads that empty the line at the most: more than it holds. A source gives no read nothing.
const DRAINS: u32 = 200;

/// How long a source may be left alone, machine ns: it, and the driver, keep at least 4 KiB, which take 355 ms at 115200 bits a second.
const LEFT_ALONE_NS: u64 = 300_000_000;

/// Whose turn it is on the line.
pub(super) struct Line {
    kernel: KernelRef,
    state: Mutex<State>,
}

/// What is known of the line.
#[derive(Default)]
struct State {
    /// Something went wrong before: bytes of it may still be on their way.
    dirty: bool,
    /// What was written has come back once: it is no source.
    loops: bool,
    source: Option<Source>,
}

impl Line {
    pub(super) fn new(kernel: &KernelRef) -> Arc<Self> {
        Arc::new(Self { kernel: kernel.clone(), state: Mutex::new(kernel, State::default()) })
    }

    /// One request: bytes that nobody else has written there, and back; or the next bytes of a source.
    pub(super) fn request(&self, connection: &Connection, id: u64) -> Outcome {
        let mut state = self.state.lock(&self.kernel);
        let length = 1 + (id as usize % BYTES);
        if state.source.is_none() {
            match self.looped(&mut state, connection, id, length) {
                Some(outcome) => return outcome,
                None => state.source = Some(Source::default()),
            }
        }
        let mut bytes = [0; BYTES];
        let result = fill(connection, &mut bytes[..length]);
        let now = self.kernel.now();
        let right =
            state.source.as_mut().is_some_and(|source| source.goes_on(&bytes[..length], &result, now));
        Outcome::of(result, right)
    }

    /// A request of a port that loops back; `None` if this is none.
    fn looped(&self, state: &mut State, connection: &Connection, id: u64, length: usize) -> Option<Outcome> {
        if state.dirty {
            match empty(connection) {
                Ok(true) => state.dirty = false,
                Ok(false) if state.loops => return Some(Outcome::of(Err(IOReturn::Timeout), false)),
                Ok(false) => return None,
                Err(why) => return Some(Outcome::of(Err(why), false)),
            }
        }
        let (mut there, mut back) = ([0; BYTES], [0; BYTES]);
        pattern::fill(&mut there[..length], id);
        let outcome = match exchange(connection, &there[..length], &mut back[..length]) {
            Ok(()) if there == back => Outcome::Done,
            Ok(()) if state.loops => Outcome::Corrupt,
            Ok(()) => match empty(connection) {
                Ok(true) => Outcome::Corrupt,
                Ok(false) => return None,
                // It went before it could be told what it is.
                Err(why) => Outcome::of(Err(why), false),
            },
            Err(why) => Outcome::of(Err(why), false),
        };
        state.loops |= outcome == Outcome::Done && length >= SURE;
        state.dirty = outcome != Outcome::Done;
        Some(outcome)
    }
}

/// What has been seen of a port that sends 0, 1, 2 … by itself.
#[derive(Default)]
struct Source {
    /// The byte that comes next, and when the one before it was read; unknown at the start, and after a failure.
    next: Option<u8>,
    read: u64,
    /// It was left alone for longer than it can keep its bytes: once, somewhere, some are missing.
    gap: bool,
}

impl Source {
    /// Whether `bytes`, read by `now` with this result, follow the ones before.
    fn goes_on(&mut self, bytes: &[u8], result: &IOResult, now: u64) -> bool {
        if result.is_err() {
            *self = Self::default();
            return false;
        }
        self.gap |= self.next.is_some() && now.saturating_sub(self.read) > LEFT_ALONE_NS;
        self.read = now;
        let mut right = true;
        for &byte in bytes {
            if self.next.is_some_and(|next| next != byte) {
                right &= core::mem::take(&mut self.gap);
            }
            self.next = Some(byte.wrapping_add(1));
        }
        right
    }
}

fn exchange(connection: &Connection, there: &[u8], back: &mut [u8]) -> IOResult {
    connection.call(serial::WRITE, &mut Arguments { struct_input: there, ..Arguments::default() })?;
    fill(connection, back)
}

/// Reads until `into` is full. Timeout: nothing more comes.
fn fill(connection: &Connection, into: &mut [u8]) -> IOResult {
    let (mut filled, mut idle) = (0, 0);
    while filled < into.len() {
        let count = read(connection, &mut into[filled..])?;
        filled += count;
        idle += u32::from(count == 0);
        if idle == IDLE {
            return Err(IOReturn::Timeout);
        }
    }
    Ok(())
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

/// Reads until nothing more comes; false if it does not end: then this is no port that loops back.
fn empty(connection: &Connection) -> IOResult<bool> {
    let mut bytes = [0; BYTES];
    for _ in 0..DRAINS {
        if read(connection, &mut bytes)? == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_counts_on() {
        let mut source = Source::default();
        assert!(source.goes_on(&[254, 255, 0], &Ok(()), 1));
        assert!(source.goes_on(&[1], &Ok(()), LEFT_ALONE_NS));
        assert!(!source.goes_on(&[3, 4], &Ok(()), LEFT_ALONE_NS + 1), "2 is missing");
        assert!(source.goes_on(&[5], &Ok(()), LEFT_ALONE_NS + 2), "and told of once");
        assert!(!source.goes_on(&[6, 6], &Ok(()), LEFT_ALONE_NS + 3), "one comes twice");
    }

    #[test]
    fn bytes_of_a_source_that_was_left_alone_may_be_missing_once() {
        let mut source = Source::default();
        assert!(source.goes_on(&[0, 1], &Ok(()), 1));
        assert!(source.goes_on(&[2, 3], &Ok(()), 2 + LEFT_ALONE_NS), "they were kept");
        assert!(source.goes_on(&[4, 77], &Ok(()), 3 + LEFT_ALONE_NS), "and what came then was not");
        assert!(!source.goes_on(&[78, 80], &Ok(()), 4 + LEFT_ALONE_NS));
    }

    #[test]
    fn after_a_failure_anything_may_come_next() {
        let mut source = Source::default();
        assert!(source.goes_on(&[7], &Ok(()), 1));
        assert!(!source.goes_on(&[0], &Err(IOReturn::Timeout), 2));
        assert!(source.goes_on(&[99, 100], &Ok(()), 3));
    }
}
