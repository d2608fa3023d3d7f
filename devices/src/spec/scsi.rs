//! SCSI: commands, sense keys and pages of a disk (SPC-4, SBC-3).

/// TEST UNIT READY (SPC-4).
pub const TEST_UNIT_READY: u8 = 0x00;
/// REQUEST SENSE (SPC-4).
pub const REQUEST_SENSE: u8 = 0x03;
/// INQUIRY (SPC-4).
pub const INQUIRY: u8 = 0x12;
/// MODE SENSE (6) (SPC-4).
pub const MODE_SENSE_6: u8 = 0x1a;
/// START STOP UNIT (SBC-3).
pub const START_STOP_UNIT: u8 = 0x1b;
/// PREVENT ALLOW MEDIUM REMOVAL (SBC-3).
pub const PREVENT_ALLOW: u8 = 0x1e;
/// READ CAPACITY (10) (SBC-3).
pub const READ_CAPACITY_10: u8 = 0x25;
/// READ (10) (SBC-3).
pub const READ_10: u8 = 0x28;
/// WRITE (10) (SBC-3).
pub const WRITE_10: u8 = 0x2a;
/// VERIFY (10) (SBC-3).
pub const VERIFY_10: u8 = 0x2f;
/// SYNCHRONIZE CACHE (10) (SBC-3).
pub const SYNCHRONIZE_CACHE_10: u8 = 0x35;
/// MODE SENSE (10) (SPC-4).
pub const MODE_SENSE_10: u8 = 0x5a;
/// READ (16) (SBC-3).
pub const READ_16: u8 = 0x88;
/// WRITE (16) (SBC-3).
pub const WRITE_16: u8 = 0x8a;
/// SERVICE ACTION IN (16) (SPC-4).
pub const SERVICE_ACTION_IN_16: u8 = 0x9e;
/// Its service action READ CAPACITY (16) (SBC-3).
pub const READ_CAPACITY_16: u8 = 0x10;
/// REPORT LUNS (SPC-4).
pub const REPORT_LUNS: u8 = 0xa0;

/// Sense key: nothing to report (SPC-4).
pub const NO_SENSE: u8 = 0x0;
/// Sense key: not ready.
pub const NOT_READY: u8 = 0x2;
/// Sense key: the medium failed.
pub const MEDIUM_ERROR: u8 = 0x3;
/// Sense key: the command is wrong.
pub const ILLEGAL_REQUEST: u8 = 0x5;
/// Sense key: the unit was reset or its medium changed.
pub const UNIT_ATTENTION: u8 = 0x6;

/// Sense key: the command was ended before its time; it may be tried again.
pub const ABORTED_COMMAND: u8 = 0xb;
/// Additional sense code and qualifier: the unit's communication failed.
pub const ASC_COMMUNICATION: [u8; 2] = [0x08, 0x00];
/// Additional sense code and qualifier (SPC-4, annex D): initialising command required.
pub const ASC_NOT_STARTED: [u8; 2] = [0x04, 0x02];
/// Unrecovered read error.
pub const ASC_READ_ERROR: [u8; 2] = [0x11, 0x00];
/// Write error.
pub const ASC_WRITE_ERROR: [u8; 2] = [0x0c, 0x00];
/// Invalid command operation code.
pub const ASC_BAD_COMMAND: [u8; 2] = [0x20, 0x00];
/// Logical block address out of range.
pub const ASC_OUT_OF_RANGE: [u8; 2] = [0x21, 0x00];
/// Invalid field in CDB.
pub const ASC_BAD_FIELD: [u8; 2] = [0x24, 0x00];
/// Logical unit not supported.
pub const ASC_NO_UNIT: [u8; 2] = [0x25, 0x00];
/// Power on, reset, or bus device reset occurred.
pub const ASC_RESET: [u8; 2] = [0x29, 0x00];

/// Vital product data page: those that there are (SPC-4).
pub const VPD_PAGES: u8 = 0x00;
/// Vital product data page: serial number (SPC-4).
pub const VPD_SERIAL: u8 = 0x80;
/// Vital product data page: identification (SPC-4).
pub const VPD_IDENTIFICATION: u8 = 0x83;
/// Vital product data page: block limits (SBC-3).
pub const VPD_LIMITS: u8 = 0xb0;
/// Mode page: caching (SBC-3).
pub const MODE_CACHING: u8 = 0x08;
/// Mode page: all of them.
pub const MODE_ALL: u8 = 0x3f;
/// Fixed format sense data, current (SPC-4).
pub const SENSE_FIXED: u8 = 0x70;
/// Bytes of fixed format sense data.
pub const SENSE_BYTES: usize = 18;
/// Bytes of a block.
pub const BLOCK_BYTES: u64 = 512;
