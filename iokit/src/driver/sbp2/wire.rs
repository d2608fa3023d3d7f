//! What is in memory and in registers (SBP-2, clauses 5 to 7). Tested alone.

/// Specifier of the unit directory (7.4).
pub const SPECIFIER: u32 = 0x00_609e;
/// Version of the unit directory.
pub const VERSION: u32 = 0x01_0483;
/// Key: the management agent, in quadlets of the register space (7.4.7).
pub const KEY_MANAGEMENT_AGENT: u8 = 0x54;
/// Key: the logical unit, in bits 15:0.
pub const KEY_LOGICAL_UNIT: u8 = 0x14;

/// Bytes of a management ORB (5.1.3).
pub const MANAGEMENT_BYTES: usize = 32;
/// Bytes of a command ORB with room for 16 bytes of command (5.1.2).
pub const COMMAND_BYTES: usize = 36;
/// Bytes of the answer to a login (5.1.3.1).
pub const LOGIN_BYTES: usize = 16;
/// Bytes of a status block at the most (5.3).
pub const STATUS_BYTES: usize = 32;

/// Register of a command block agent (6.4): any write resets it.
pub const AGENT_RESET: u64 = 0x04;
/// Register of a command block agent: where its next ORB is.
pub const ORB_POINTER: u64 = 0x08;

/// A login lasts 2 to the power of this seconds behind a bus reset.
const RECONNECT: u32 = 2 << 20;
/// Nobody else may be logged in.
const EXCLUSIVE: u32 = 1 << 28;
/// A status block is wanted even for success.
const NOTIFY: u32 = 1 << 31;

/// What a management ORB is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Log in to this logical unit, exclusively.
    LogIn(u16),
    /// Take the login with this ID up again.
    Reconnect(u16),
    /// End the login with this ID.
    LogOut(u16),
}

fn quadlets<const N: usize>(quadlets: &[u32]) -> [u8; N] {
    let mut bytes = [0; N];
    for (four, quadlet) in bytes.chunks_exact_mut(4).zip(quadlets) {
        four.copy_from_slice(&quadlet.to_be_bytes());
    }
    bytes
}

/// A management ORB: its answer goes to `response`, its status to `fifo`.
pub fn management(function: Function, response: u32, fifo: u64) -> [u8; MANAGEMENT_BYTES] {
    let (flags, response, length) = match function {
        Function::LogIn(unit) => (EXCLUSIVE | RECONNECT | u32::from(unit), response, LOGIN_BYTES as u32),
        Function::Reconnect(login) => (3 << 16 | u32::from(login), 0, 0),
        Function::LogOut(login) => (7 << 16 | u32::from(login), 0, 0),
    };
    quadlets(&[0, 0, 0, response, NOTIFY | flags, length, (fifo >> 32) as u32, fifo as u32])
}

/// A command ORB, the last of its list: its data, in packets of `payload` bytes at `speed`, are at `data` in memory of node `node`.
pub fn command(
    node: u16,
    (data, length): (u32, u16),
    inward: bool,
    (speed, payload): (u8, usize),
    block: &[u8],
) -> [u8; COMMAND_BYTES] {
    let size = payload.max(4).ilog2() - 2;
    let flags =
        NOTIFY | u32::from(inward) << 27 | u32::from(speed & 7) << 24 | size << 20 | u32::from(length);
    let mut orb = quadlets(&[1 << 31, 0, u32::from(node) << 16, data, flags]);
    let count = block.len().min(16);
    orb[20..20 + count].copy_from_slice(&block[..count]);
    orb
}

/// ID of the login and address of its command block agent, as the answer has them.
pub fn login(answer: &[u8; LOGIN_BYTES]) -> (u16, u64) {
    let [_, _, a, b, _, _, high @ ..] = *answer;
    let [c, d, e, f, g, h, ..] = high;
    (u16::from_be_bytes([a, b]), u64::from_be_bytes([0, 0, c, d, e, f, g, h]))
}

/// A status block (5.3, annex B).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The ORB that it is about.
    pub orb: u64,
    /// 0: done; 1: the bus failed; 2: the ORB makes no sense.
    pub response: u8,
    /// The agent must be reset.
    pub dead: bool,
    /// sbp_status.
    pub code: u8,
    /// The sense key, if there is sense data.
    pub sense: Option<u8>,
}

/// Reads a status block. `None`: it is too short.
pub fn status(bytes: &[u8]) -> Option<Status> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let (low, rest) = rest.split_first_chunk::<4>()?;
    let [flags, code, ..] = *head;
    let orb = u64::from(u16::from_be_bytes([head[2], head[3]])) << 32 | u64::from(u32::from_be_bytes(*low));
    let (response, dead) = (flags >> 4 & 3, flags & 8 != 0);
    let sense = rest.get(1).filter(|_| flags & 7 > 1 && rest[0] & 0x3f != 0).map(|key| key & 0xf);
    Some(Status { orb, response, dead, code, sense })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orbs_are_big_endian() {
        let orb = command(0xffc1, (0x1234, 512), true, (2, 512), &[0x28, 1]);
        assert_eq!(orb[..4], [0x80, 0, 0, 0]);
        assert_eq!(orb[8..24], [0xff, 0xc1, 0, 0, 0, 0, 0x12, 0x34, 0x8a, 0x70, 2, 0, 0x28, 1, 0, 0]);
        let orb = management(Function::LogIn(0), 0x99, 1 << 32);
        assert_eq!(orb[12..], [0, 0, 0, 0x99, 0x90, 0x20, 0, 0, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(management(Function::Reconnect(7), 0x99, 0)[16..20], [0x80, 3, 0, 7]);
        assert_eq!(management(Function::LogOut(7), 0x99, 0)[16..20], [0x80, 7, 0, 7]);
    }

    #[test]
    fn status_blocks_are_read_and_short_ones_refused() {
        let good = status(&[0x41, 0, 0, 0, 0, 0, 0x10, 0]).expect("a status");
        assert_eq!(good, Status { orb: 0x1000, response: 0, dead: false, code: 0, sense: None });
        let sense = [0x45, 0, 0, 0, 0, 0, 0x10, 0, 2, 6, 0x29, 0];
        assert_eq!(status(&sense).and_then(|status| status.sense), Some(6));
        let dead = status(&[0x59, 0x42, 0, 1, 0, 0, 0, 0]).expect("a status");
        assert_eq!((dead.response, dead.dead, dead.code, dead.orb), (1, true, 0x42, 1 << 32));
        assert_eq!(status(&[0; 7]), None);
    }

    #[test]
    fn a_login_has_an_agent() {
        let answer = [0, 16, 0, 3, 0, 0, 0xff, 0xff, 0xf0, 1, 2, 0, 0, 0, 0, 3];
        assert_eq!(login(&answer), (3, 0xffff_f001_0200));
    }
}
