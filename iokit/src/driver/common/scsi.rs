//! The few SCSI commands that a disk needs, and how it is got to know (SPC-4, SBC-3). Whatever carries them.

use crate::family::storage::Geometry;
use crate::ioreturn::{IOResult, IOReturn};

/// A command block, and its length.
pub type Block = ([u8; 16], usize);

/// Bytes of fixed-format sense data that are asked for.
pub const SENSE_BYTES: u32 = 18;
/// Bytes that INQUIRY is asked for.
pub const INQUIRY_BYTES: u32 = 36;
/// Bytes of READ CAPACITY (10).
pub const CAPACITY_BYTES: u32 = 8;
/// Bytes of READ CAPACITY (16) that are asked for.
pub const CAPACITY_16_BYTES: u32 = 32;
/// Bytes of MODE SENSE that are asked for.
pub const MODE_BYTES: u32 = 4;
/// Bytes of a block at the most, and at the least.
const BLOCK_BYTES: core::ops::RangeInclusive<u32> = 512..=4096;

fn block<const N: usize>(bytes: [u8; N]) -> Block {
    let mut block = [0; 16];
    block[..N].copy_from_slice(&bytes);
    (block, N)
}

/// TEST UNIT READY.
pub fn test_unit_ready() -> Block {
    block([0; 6])
}

/// REQUEST SENSE.
pub fn request_sense() -> Block {
    block([0x03, 0, 0, 0, SENSE_BYTES as u8, 0])
}

/// INQUIRY.
pub fn inquiry() -> Block {
    block([0x12, 0, 0, 0, INQUIRY_BYTES as u8, 0])
}

/// MODE SENSE (6) of all pages.
pub fn mode_sense() -> Block {
    block([0x1a, 0, 0x3f, 0, MODE_BYTES as u8, 0])
}

/// READ CAPACITY (10).
pub fn read_capacity() -> Block {
    block([0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// READ CAPACITY (16).
pub fn read_capacity_16() -> Block {
    let mut bytes = [0; 16];
    (bytes[0], bytes[1], bytes[13]) = (0x9e, 0x10, CAPACITY_16_BYTES as u8);
    block(bytes)
}

/// SYNCHRONIZE CACHE (10) of everything.
pub fn synchronize() -> Block {
    block([0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// READ or WRITE of `count` blocks from `first`: (10) where that suffices, else (16).
pub fn transfer(write: bool, first: u64, count: u16) -> Block {
    let code = if write { 0x2a } else { 0x28 };
    match u32::try_from(first) {
        Ok(first) if first.checked_add(u32::from(count)).is_some() => {
            let ([a, b, c, d], [e, f]) = (first.to_be_bytes(), count.to_be_bytes());
            block([code, 0, a, b, c, d, 0, e, f, 0])
        }
        _ => {
            let mut bytes = [0; 16];
            bytes[0] = code | 0x80;
            bytes[2..10].copy_from_slice(&first.to_be_bytes());
            bytes[12..14].copy_from_slice(&count.to_be_bytes());
            block(bytes)
        }
    }
}

/// What sense data says (SPC-4): the IOReturn of a command that failed. `None`: ask again, nothing is wrong with the command.
pub fn why(sense: &[u8]) -> Option<IOReturn> {
    match sense.get(2).map(|byte| byte & 0xf) {
        // Not ready: there is no medium, or not yet.
        Some(2) => Some(IOReturn::NotReady),
        Some(5) => Some(IOReturn::Unsupported),
        // Unit attention: something happened since the last command. Aborted command: the unit could not go on with this one.
        Some(6 | 0xb) => None,
        Some(7) => Some(IOReturn::NotWritable),
        _ => Some(IOReturn::Error),
    }
}

/// What the capacity says. `Ok(None)`: it is too large for eight bytes. Unsupported: blocks of a strange size, or none.
pub fn geometry(capacity: &[u8], request_bytes: u32) -> IOResult<Option<Geometry>> {
    let word = |at: usize| {
        capacity
            .get(at..at + 4)
            .and_then(|b| b.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or(IOReturn::Unsupported)
    };
    let (last, bytes) = (word(0)?, word(4)?);
    if last == u32::MAX {
        return Ok(None);
    }
    sound(u64::from(last), bytes, request_bytes).map(Some)
}

/// The same of READ CAPACITY (16).
pub fn geometry_16(capacity: &[u8], request_bytes: u32) -> IOResult<Geometry> {
    let part = capacity.get(..12).ok_or(IOReturn::Unsupported)?;
    let last = part[..8].try_into().map(u64::from_be_bytes).map_err(|_| IOReturn::Unsupported)?;
    let bytes = part[8..].try_into().map(u32::from_be_bytes).map_err(|_| IOReturn::Unsupported)?;
    sound(last, bytes, request_bytes)
}

fn sound(last: u64, block_bytes: u32, request_bytes: u32) -> IOResult<Geometry> {
    let blocks = last.checked_add(1).ok_or(IOReturn::Unsupported)?;
    let fits = BLOCK_BYTES.contains(&block_bytes) && block_bytes.is_power_of_two();
    if fits {
        Ok(Geometry { blocks, block_bytes, request_bytes, writable: true })
    } else {
        Err(IOReturn::Unsupported)
    }
}

/// Whether MODE SENSE says that the medium may be written.
pub fn is_writable(mode: &[u8]) -> bool {
    mode.get(2).is_none_or(|byte| byte & 0x80 == 0)
}

/// Attempts to find the unit ready, and what lies between two, machine ns.
const READY_TRIES: u32 = 20;
const READY_STEP_NS: u64 = 10_000_000;

/// What carries commands to a unit. Gated; sleeps.
pub trait Unit {
    /// A command whose data, if there are any, come into `into`.
    fn ask(&self, command: Block, into: &mut [u8]) -> IOResult;
    /// Waits for so long, machine ns, with the gate open.
    fn pause(&self, ns: u64);
}

/// Gets to know a disk that takes `request_bytes` bytes in one command. Unsupported: it is none. NotReady: it does not become ready.
pub fn look(unit: &impl Unit, request_bytes: u32) -> IOResult<Geometry> {
    let mut bytes = [0; INQUIRY_BYTES as usize];
    unit.ask(inquiry(), &mut bytes)?;
    if bytes[0] & 0x1f != 0 {
        return Err(IOReturn::Unsupported);
    }
    wait_ready(unit)?;
    let mut capacity = [0; CAPACITY_16_BYTES as usize];
    let short = &mut capacity[..CAPACITY_BYTES as usize];
    unit.ask(read_capacity(), short)?;
    let known = match geometry(short, request_bytes)? {
        Some(geometry) => geometry,
        None => {
            unit.ask(read_capacity_16(), &mut capacity)?;
            geometry_16(&capacity, request_bytes)?
        }
    };
    let mut mode = [0; MODE_BYTES as usize];
    match unit.ask(mode_sense(), &mut mode) {
        Ok(()) | Err(IOReturn::Unsupported) => {}
        Err(why) => return Err(why),
    }
    Ok(Geometry { writable: is_writable(&mode), ..known })
}

fn wait_ready(unit: &impl Unit) -> IOResult {
    for _ in 0..READY_TRIES {
        match unit.ask(test_unit_ready(), &mut []) {
            Err(IOReturn::NotReady) => unit.pause(READY_STEP_NS),
            other => return other,
        }
    }
    Err(IOReturn::NotReady)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_bytes_as_long_as_they_suffice() {
        let (bytes, length) = transfer(false, 0x0102_0304, 8);
        assert_eq!((length, &bytes[..10]), (10, &[0x28, 0, 1, 2, 3, 4, 0, 0, 8, 0][..]));
        let (bytes, length) = transfer(true, 1 << 32, 8);
        assert_eq!((length, bytes[0], bytes[5], bytes[13]), (16, 0xaa, 1, 8));
        assert_eq!(transfer(false, u64::from(u32::MAX), 1).1, 16);
    }

    #[test]
    fn a_capacity_is_believed_if_it_makes_sense() {
        let good = geometry(&[0, 0, 0x7f, 0xff, 0, 0, 2, 0], 16384).expect("sound").expect("small");
        assert_eq!((good.blocks, good.block_bytes), (32768, 512));
        assert_eq!(geometry(&[0xff, 0xff, 0xff, 0xff, 0, 0, 2, 0], 16384), Ok(None));
        for bytes in [&[0u8; 8][..], &[0; 3], &[0, 0, 0, 9, 0, 0, 2, 1], &[0, 0, 0, 9, 1, 0, 0, 0]] {
            assert_eq!(geometry(bytes, 16384), Err(IOReturn::Unsupported));
        }
        assert_eq!(geometry_16(&[0xff; 12], 16384), Err(IOReturn::Unsupported));
        let mut large = [0; 12];
        (large[3], large[10]) = (1, 2);
        assert_eq!(geometry_16(&large, 16384).map(|g| g.blocks), Ok((1 << 32) + 1));
    }

    #[test]
    fn sense_says_why() {
        let sense = |key: u8| why(&[0x70, 0, key]);
        assert_eq!(
            (sense(2), sense(5), sense(6)),
            (Some(IOReturn::NotReady), Some(IOReturn::Unsupported), None)
        );
        assert_eq!((sense(3), why(&[])), (Some(IOReturn::Error), Some(IOReturn::Error)));
        assert!(is_writable(&[]) && is_writable(&[3, 0, 0, 0]) && !is_writable(&[3, 0, 0x80, 0]));
    }
}
