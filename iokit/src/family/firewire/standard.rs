//! Numbers of the serial bus that the family and its drivers use (IEEE 1394-1995, 1394a-2000, IEEE 1212-2001).

use crate::ioreturn::{IOResult, IOReturn};

/// Where the initial register space begins in a node's 48 bits of address space (IEEE 1212).
pub const REGISTERS: u64 = 0xffff_f000_0000;
/// The configuration ROM.
pub const CONFIG_ROM: u64 = REGISTERS + 0x400;
/// STATE_SET: what is set in it is set in the node (8.3.2.2.1).
pub const STATE_SET: u64 = REGISTERS + 0x004;
/// In it: the node sends cycle starts, if it is root.
pub const STATE_CYCLE_MASTER: u32 = 1 << 8;
/// BUS_MANAGER_ID, the first of the four registers that nodes share the bus with (8.3.2.3.6); bandwidth and channels are behind it.
pub const BUS_MANAGER_ID: u64 = REGISTERS + 0x21c;
/// Quadlets that a configuration ROM has at the most.
pub const ROM_QUADLETS: u16 = 256;
/// Addresses have so many bits.
pub const OFFSET_BITS: u32 = 48;
/// The number of the local bus.
pub const LOCAL_BUS: u16 = 0x3ff;
/// Nodes of a bus at the most.
pub const NODES_MAX: usize = 63;

/// Transaction codes (IEEE 1394-1995, 6.2.4.5).
pub mod tcode {
    /// Write a quadlet.
    pub const WRITE_QUADLET: u8 = 0x0;
    /// Write a block.
    pub const WRITE_BLOCK: u8 = 0x1;
    /// The answer to a write.
    pub const WRITE_RESPONSE: u8 = 0x2;
    /// Read a quadlet.
    pub const READ_QUADLET: u8 = 0x4;
    /// Read a block.
    pub const READ_BLOCK: u8 = 0x5;
    /// The answer to a quadlet read.
    pub const READ_QUADLET_RESPONSE: u8 = 0x6;
    /// The answer to a block read.
    pub const READ_BLOCK_RESPONSE: u8 = 0x7;
    /// Lock.
    pub const LOCK: u8 = 0x9;
    /// The answer to a lock.
    pub const LOCK_RESPONSE: u8 = 0xb;
    /// What links tell themselves: PHY packets, the packet that tells of a bus reset.
    pub const PHY: u8 = 0xe;

    /// Whether it asks for something.
    pub const fn is_request(code: u8) -> bool {
        matches!(code, WRITE_QUADLET | WRITE_BLOCK | READ_QUADLET | READ_BLOCK | LOCK)
    }

    /// Whether it answers.
    pub const fn is_response(code: u8) -> bool {
        matches!(code, WRITE_RESPONSE | READ_QUADLET_RESPONSE | READ_BLOCK_RESPONSE | LOCK_RESPONSE)
    }

    /// Whether its header has a fourth quadlet with length and extended code.
    pub const fn is_block(code: u8) -> bool {
        matches!(code, WRITE_BLOCK | READ_BLOCK | READ_BLOCK_RESPONSE | LOCK | LOCK_RESPONSE)
    }
}

/// Extended transaction code: compare and swap.
pub const COMPARE_SWAP: u16 = 2;

/// Response codes (IEEE 1394-1995, 6.2.4.10).
pub mod rcode {
    /// Done.
    pub const COMPLETE: u8 = 0;
    /// A resource is taken; try again.
    pub const CONFLICT: u8 = 4;
    /// Hardware failed.
    pub const DATA: u8 = 5;
    /// Not with this kind of request.
    pub const TYPE: u8 = 6;
    /// Nothing at this address.
    pub const ADDRESS: u8 = 7;
}

/// What a response code says. Busy: try again; NotFound: nothing at this address; Unsupported: not with this kind of request.
pub fn response(code: u8) -> IOResult {
    match code {
        rcode::COMPLETE => Ok(()),
        rcode::CONFLICT => Err(IOReturn::Busy),
        rcode::TYPE => Err(IOReturn::Unsupported),
        rcode::ADDRESS => Err(IOReturn::NotFound),
        _ => Err(IOReturn::Error),
    }
}

/// Speed code of 98.304 Mbit/s; each further one doubles it.
pub const S100: u8 = 0;
/// Speed code of 393.216 Mbit/s, the fastest of 1394a.
pub const S400: u8 = 2;

/// Bytes of data that a packet may have at a speed (IEEE 1394-1995, table 6-5).
pub fn payload(speed: u8) -> usize {
    512 << speed.min(S400)
}

/// How long an answer may take, machine ns (SPLIT_TIMEOUT, 8.3.2.2.6).
pub const SPLIT_TIMEOUT_NS: u64 = 100_000_000;
/// The same in cycles.
pub const SPLIT_TIMEOUT_CYCLES: u32 = 800;

/// Bus options: where max_rec is; a node takes blocks of two to the power of max_rec + 1 bytes.
pub const MAX_REC_SHIFT: u32 = 12;

/// Bandwidth that there is to give after a bus reset, in units of about 20 ns of each cycle (BANDWIDTH_AVAILABLE, 8.3.2.3.7).
pub const BANDWIDTH_INITIAL: u32 = 4915;
/// Isochronous channels.
pub const CHANNELS: u8 = 64;

/// Keys of a configuration ROM: type in bits 7:6, identifier below (IEEE 1212-2001, 7.5).
pub mod key {
    /// A textual descriptor about the entry before it.
    pub const TEXT: u8 = 0x81;
    /// Vendor.
    pub const VENDOR: u8 = 0x03;
    /// Node capabilities.
    pub const CAPABILITIES: u8 = 0x0c;
    /// Specifier of a unit.
    pub const SPECIFIER: u8 = 0x12;
    /// Version of a unit.
    pub const VERSION: u8 = 0x13;
    /// Model.
    pub const MODEL: u8 = 0x17;
    /// A unit directory.
    pub const UNIT: u8 = 0xd1;
}

/// The second quadlet of a bus information block: "1394".
pub const BUS_NAME: u32 = 0x3133_3934;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_response_codes_mean() {
        assert_eq!(response(rcode::COMPLETE), Ok(()));
        assert_eq!(
            [4, 5, 6, 7, 15].map(|code| response(code).err()),
            [
                Some(IOReturn::Busy),
                Some(IOReturn::Error),
                Some(IOReturn::Unsupported),
                Some(IOReturn::NotFound),
                Some(IOReturn::Error),
            ]
        );
    }

    #[test]
    fn a_code_is_a_request_or_a_response_or_neither() {
        for code in 0..16 {
            assert!(!(tcode::is_request(code) && tcode::is_response(code)));
        }
        assert_eq!([0, 1, 2].map(payload), [512, 1024, 2048]);
        assert_eq!(payload(7), 2048);
    }
}
