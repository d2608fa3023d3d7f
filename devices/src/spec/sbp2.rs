//! Serial Bus Protocol 2 (ANSI NCITS 325-1998).

/// Specifier ID of the unit directory: NCITS (7.4.1).
pub const SPECIFIER: u32 = 0x00_609e;
/// Version of the unit directory.
pub const VERSION: u32 = 0x01_0483;
/// Command set specifier: NCITS.
pub const COMMAND_SET_SPECIFIER: u32 = 0x00_609e;
/// Command set: SCSI primary commands and what belongs to them.
pub const COMMAND_SET: u32 = 0x01_04d8;

/// Key: management agent, an offset in the register space (7.4.7).
pub const KEY_MANAGEMENT_AGENT: u8 = 0x54;
/// Key: logical unit number.
pub const KEY_LOGICAL_UNIT: u8 = 0x14;
/// Key: unit characteristics.
pub const KEY_CHARACTERISTICS: u8 = 0x3a;
/// Key: command set specifier.
pub const KEY_COMMAND_SET_SPECIFIER: u8 = 0x38;
/// Key: command set.
pub const KEY_COMMAND_SET: u8 = 0x39;
/// Key: firmware revision.
pub const KEY_FIRMWARE: u8 = 0x3c;
/// Key: reconnect timeout.
pub const KEY_RECONNECT: u8 = 0x3d;

/// Bytes of a management ORB (5.1.3).
pub const MANAGEMENT_ORB_BYTES: u16 = 32;
/// Bytes of a command ORB of this project's targets: with room for a command of 16 bytes (5.1.2).
pub const COMMAND_ORB_BYTES: u16 = 36;
/// A pointer that points nowhere has this bit in its upper quadlet (5.1).
pub const NULL: u32 = 1 << 31;

/// Functions of management ORBs (5.1.3).
pub mod function {
    /// LOGIN.
    pub const LOGIN: u32 = 0x0;
    /// QUERY LOGINS.
    pub const QUERY_LOGINS: u32 = 0x1;
    /// RECONNECT.
    pub const RECONNECT: u32 = 0x3;
    /// SET PASSWORD.
    pub const SET_PASSWORD: u32 = 0x4;
    /// LOGOUT.
    pub const LOGOUT: u32 = 0x7;
    /// ABORT TASK.
    pub const ABORT_TASK: u32 = 0xb;
    /// ABORT TASK SET.
    pub const ABORT_TASK_SET: u32 = 0xc;
    /// LOGICAL UNIT RESET.
    pub const LOGICAL_UNIT_RESET: u32 = 0xe;
    /// TARGET RESET.
    pub const TARGET_RESET: u32 = 0xf;
}

/// Login ORB: nobody else may be logged in (5.1.3.1).
pub const LOGIN_EXCLUSIVE: u32 = 1 << 28;
/// ORB: write a status block in the end, even for success.
pub const NOTIFY: u32 = 1 << 31;
/// ORB: where the request format is.
pub const FORMAT_SHIFT: u32 = 29;
/// Command ORB: the target writes to the initiator's buffer (5.1.2).
pub const DIRECTION: u32 = 1 << 27;
/// Command ORB: the data descriptor points to a page table.
pub const PAGE_TABLE: u32 = 1 << 19;

/// Registers of a command block agent (6.4).
pub mod agent {
    /// AGENT_STATE.
    pub const STATE: u64 = 0x00;
    /// AGENT_RESET.
    pub const RESET: u64 = 0x04;
    /// ORB_POINTER.
    pub const ORB_POINTER: u64 = 0x08;
    /// DOORBELL.
    pub const DOORBELL: u64 = 0x10;
    /// UNSOLICITED_STATUS_ENABLE.
    pub const UNSOLICITED: u64 = 0x14;
    /// Bytes of the registers.
    pub const BYTES: u64 = 0x20;
}

/// Response of a status block: done (5.3).
pub const STATUS_COMPLETE: u8 = 0;
/// Response of a status block: the bus failed.
pub const STATUS_TRANSPORT: u8 = 1;
/// Response of a status block: the ORB makes no sense.
pub const STATUS_ILLEGAL: u8 = 2;

/// sbp_status of a status block that completes or refuses (5.3, table 2).
pub mod status {
    /// Nothing to add.
    pub const NONE: u8 = 0;
    /// The type of request is not supported.
    pub const TYPE: u8 = 1;
    /// The speed is not supported.
    pub const SPEED: u8 = 2;
    /// The page size is not supported.
    pub const PAGE_SIZE: u8 = 3;
    /// Access is denied: somebody else is logged in exclusively, or it is not who logged in.
    pub const ACCESS_DENIED: u8 = 4;
    /// The logical unit is not supported.
    pub const LUN: u8 = 5;
    /// The function is rejected.
    pub const FUNCTION_REJECTED: u8 = 7;
    /// No such login.
    pub const LOGIN_ID: u8 = 8;
    /// The request was aborted.
    pub const ABORTED: u8 = 11;
    /// Nothing to be said.
    pub const UNSPECIFIED: u8 = 0xff;
}
/// With [`STATUS_TRANSPORT`], the object that the bus failed at: the ORB.
pub const OBJECT_ORB: u8 = 0 << 6;
/// The data buffer.
pub const OBJECT_DATA: u8 = 1 << 6;
/// The page table.
pub const OBJECT_PAGE_TABLE: u8 = 2 << 6;
/// With an object: no acknowledge, or a response that did not come in time.
pub const ERROR_TIMEOUT: u8 = 0x2;
/// With an object: the address is wrong.
pub const ERROR_ADDRESS: u8 = 0xf;
