//! Bulk-only transport (USB Mass Storage Class, Bulk-Only Transport 1.0, chapter 5): wrappers of commands and of their status.

/// Bytes of a command block wrapper.
pub const CBW_BYTES: usize = 31;
/// Bytes of a command status wrapper.
pub const CSW_BYTES: usize = 13;
/// Class request: reset.
pub const RESET: u8 = 0xff;
/// Class request: the highest unit.
pub const GET_MAX_LUN: u8 = 0xfe;

const CBW_SIGNATURE: u32 = 0x4342_5355;
const CSW_SIGNATURE: u32 = 0x5342_5355;

/// A command block wrapper (5.1) for unit 0. `length`: bytes of data, which come from the device if `input`.
pub fn command(tag: u32, length: u32, input: bool, block: &[u8]) -> [u8; CBW_BYTES] {
    let mut bytes = [0; CBW_BYTES];
    bytes[..4].copy_from_slice(&CBW_SIGNATURE.to_le_bytes());
    bytes[4..8].copy_from_slice(&tag.to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12] = if input { 0x80 } else { 0 };
    let count = block.len().min(16);
    bytes[14] = count as u8;
    bytes[15..15 + count].copy_from_slice(&block[..count]);
    bytes
}

/// What a command came to (5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Passed; so many bytes of the data were not processed.
    Passed(u32),
    /// Failed: sense data says why.
    Failed,
    /// The two disagree about the data: reset recovery.
    PhaseError,
}

/// Reads a command status wrapper (6.3: valid and meaningful). `None`: it is neither; reset recovery.
pub fn status(bytes: &[u8], tag: u32, length: u32) -> Option<Status> {
    let bytes = bytes.get(..CSW_BYTES)?;
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    if word(0) != CSW_SIGNATURE || word(4) != tag {
        return None;
    }
    match bytes[12] {
        0 if word(8) <= length => Some(Status::Passed(word(8))),
        1 if word(8) <= length => Some(Status::Failed),
        2 => Some(Status::PhaseError),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_wrapped() {
        let bytes = command(7, 512, true, &[0x28, 0, 0, 0, 0, 1, 0, 0, 1, 0]);
        assert_eq!(&bytes[..4], b"USBC");
        assert_eq!((bytes[4], bytes[9], bytes[12], bytes[14], bytes[15]), (7, 2, 0x80, 10, 0x28));
        assert_eq!(command(0, 0, false, &[1; 40])[14], 16);
    }

    #[test]
    fn only_a_valid_and_meaningful_status_is_believed() {
        let mut good = [0; CSW_BYTES];
        good[..4].copy_from_slice(b"USBS");
        good[4] = 7;
        assert_eq!(status(&good, 7, 0), Some(Status::Passed(0)));
        assert_eq!(status(&good[..12], 7, 0), None);
        assert_eq!(status(&good, 8, 0), None);
        for (code, expected) in [(1, Some(Status::Failed)), (2, Some(Status::PhaseError)), (3, None)] {
            good[12] = code;
            assert_eq!(status(&good, 7, 0), expected);
        }
        good[12] = 0;
        good[8] = 9;
        assert_eq!((status(&good, 7, 8), status(&good, 7, 9)), (None, Some(Status::Passed(9))));
        good[0] = 0;
        assert_eq!(status(&good, 7, 9), None);
    }
}
