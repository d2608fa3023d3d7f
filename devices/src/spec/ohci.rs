//! The 1394 Open Host Controller Interface, release 1.1: registers (chapter 5 and 6), contexts (3), descriptors (7 to 10).

/// Vendor ID: Red Hat's, for virtual devices.
pub const VENDOR: u16 = 0x1af4;
/// Device ID, out of the range 0x10f0–0x10ff that the vendor leaves free for experiments.
pub const DEVICE: u16 = 0x10f4;
/// Class code: serial bus controller, FireWire, OpenHCI (A.3).
pub const CLASS: [u8; 3] = [0x0c, 0x00, 0x10];
/// Bytes of BAR 0: the 2 KiB of the register map (chapter 4), and as much again that reads as zero.
pub const BAR_BYTES: u64 = 4096;
/// Isochronous transmit contexts of this controller (4 to 32).
pub const TRANSMIT_CONTEXTS: usize = 4;
/// Isochronous receive contexts of this controller (4 to 32).
pub const RECEIVE_CONTEXTS: usize = 4;

/// Version (5.2).
pub const VERSION: u64 = 0x000;
/// Value of [`VERSION`]: there is a GUID ROM; 1.1.
pub const VERSION_VALUE: u32 = 0x0101_0010;
/// GUID ROM (5.3).
pub const GUID_ROM: u64 = 0x004;
/// GUID ROM: back to its first byte.
pub const GUID_ROM_RESET: u32 = 1 << 31;
/// GUID ROM: read the next byte; reads as one until it is there.
pub const GUID_ROM_START: u32 = 1 << 25;
/// ATRetries (5.4).
pub const AT_RETRIES: u64 = 0x008;
/// CSRReadData, CSRWriteData (5.5.1).
pub const CSR_DATA: u64 = 0x00c;
/// CSRCompareData.
pub const CSR_COMPARE: u64 = 0x010;
/// CSRControl.
pub const CSR_CONTROL: u64 = 0x014;
/// CSRControl: the compare and swap is done.
pub const CSR_DONE: u32 = 1 << 31;
/// ConfigROMhdr (5.5.2).
pub const CONFIG_ROM_HEADER: u64 = 0x018;
/// BusID (5.5.3).
pub const BUS_ID: u64 = 0x01c;
/// BusOptions (5.5.4).
pub const BUS_OPTIONS: u64 = 0x020;
/// GUIDHi (5.5.5).
pub const GUID_HI: u64 = 0x024;
/// GUIDLo.
pub const GUID_LO: u64 = 0x028;
/// ConfigROMmap (5.5.6).
pub const CONFIG_ROM_MAP: u64 = 0x034;
/// PostedWriteAddressLo (13.2.8).
pub const POSTED_WRITE_LO: u64 = 0x038;
/// PostedWriteAddressHi.
pub const POSTED_WRITE_HI: u64 = 0x03c;
/// VendorID (5.6).
pub const VENDOR_ID: u64 = 0x040;
/// HCControl, set (5.7); clear is 4 above, as for every pair.
pub const HC_CONTROL: u64 = 0x050;
/// SelfIDBuffer (11.1).
pub const SELF_ID_BUFFER: u64 = 0x064;
/// SelfIDCount (11.2).
pub const SELF_ID_COUNT: u64 = 0x068;
/// SelfIDCount: what was received is damaged, or could not be written.
pub const SELF_ID_ERROR: u32 = 1 << 31;
/// IRMultiChanMaskHi, set (10.4.1.1).
pub const MULTI_CHANNEL_HI: u64 = 0x070;
/// IRMultiChanMaskLo, set.
pub const MULTI_CHANNEL_LO: u64 = 0x078;
/// IntEvent, set (6.1).
pub const INT_EVENT: u64 = 0x080;
/// IntMask, set (6.2).
pub const INT_MASK: u64 = 0x088;
/// isoXmitIntEvent, set (6.3).
pub const XMIT_EVENT: u64 = 0x090;
/// isoXmitIntMask, set.
pub const XMIT_MASK: u64 = 0x098;
/// isoRecvIntEvent, set (6.4).
pub const RECV_EVENT: u64 = 0x0a0;
/// isoRecvIntMask, set.
pub const RECV_MASK: u64 = 0x0a8;
/// InitialBandwidthAvailable (5.8).
pub const INITIAL_BANDWIDTH: u64 = 0x0b0;
/// InitialChannelsAvailableHi.
pub const INITIAL_CHANNELS_HI: u64 = 0x0b4;
/// InitialChannelsAvailableLo.
pub const INITIAL_CHANNELS_LO: u64 = 0x0b8;
/// FairnessControl (5.9).
pub const FAIRNESS: u64 = 0x0dc;
/// LinkControl, set (5.10).
pub const LINK_CONTROL: u64 = 0x0e0;
/// Node ID (5.11).
pub const NODE_ID: u64 = 0x0e8;
/// PhyControl (5.12).
pub const PHY_CONTROL: u64 = 0x0ec;
/// Isochronous cycle timer (5.13).
pub const CYCLE_TIMER: u64 = 0x0f0;
/// AsynchronousRequestFilterHi, set (5.14.1).
pub const ASYNC_FILTER_HI: u64 = 0x100;
/// AsynchronousRequestFilterLo, set.
pub const ASYNC_FILTER_LO: u64 = 0x108;
/// PhysicalRequestFilterHi, set (5.14.2).
pub const PHYSICAL_FILTER_HI: u64 = 0x110;
/// PhysicalRequestFilterLo, set.
pub const PHYSICAL_FILTER_LO: u64 = 0x118;
/// PhysicalUpperBound (5.15), the upper 32 of 48 bits.
pub const PHYSICAL_UPPER_BOUND: u64 = 0x120;
/// Asynchronous contexts: four of them, [`ASYNC_STRIDE`] apart: request and response transmit, request and response receive.
pub const ASYNC_CONTEXTS: u64 = 0x180;
/// Distance of two asynchronous contexts.
pub const ASYNC_STRIDE: u64 = 0x20;
/// Isochronous transmit contexts.
pub const TRANSMIT_BASE: u64 = 0x200;
/// Distance of two isochronous transmit contexts.
pub const TRANSMIT_STRIDE: u64 = 0x10;
/// Isochronous receive contexts.
pub const RECEIVE_BASE: u64 = 0x400;
/// Distance of two isochronous receive contexts.
pub const RECEIVE_STRIDE: u64 = 0x20;
/// Behind the last register.
pub const REGISTERS_END: u64 = 0x800;
/// In a context: ContextControl set.
pub const CONTEXT_SET: u64 = 0x0;
/// In a context: ContextControl clear.
pub const CONTEXT_CLEAR: u64 = 0x4;
/// In a context: CommandPtr.
pub const CONTEXT_COMMAND: u64 = 0xc;
/// In an isochronous receive context: ContextMatch.
pub const CONTEXT_MATCH: u64 = 0x10;

/// HCControl: everything back to power-on but the PHY; reads as one until done.
pub const HC_SOFT_RESET: u32 = 1 << 16;
/// HCControl: the link sends and receives.
pub const HC_LINK_ENABLE: u32 = 1 << 17;
/// HCControl: physical writes are acknowledged as complete before they reached memory.
pub const HC_POSTED_WRITES: u32 = 1 << 18;
/// HCControl: the link has power.
pub const HC_LPS: u32 = 1 << 19;
/// HCControl: the link uses the enhancements of 1394a.
pub const HC_ENHANCE: u32 = 1 << 22;
/// HCControl: software is to set up the enhancements of link and PHY.
pub const HC_PROGRAM_PHY: u32 = 1 << 23;
/// HCControl: data quadlets are not swapped on their way to memory.
pub const HC_NO_SWAP: u32 = 1 << 30;
/// HCControl: the configuration ROM in memory is good.
pub const HC_ROM_VALID: u32 = 1 << 31;
/// HCControl: the bits that software can set.
pub const HC_SETTABLE: u32 =
    HC_SOFT_RESET | HC_LINK_ENABLE | HC_POSTED_WRITES | HC_LPS | HC_ENHANCE | HC_NO_SWAP | HC_ROM_VALID;
/// HCControl: the bits that software can clear.
pub const HC_CLEARABLE: u32 = HC_POSTED_WRITES | HC_LPS | HC_ENHANCE | HC_PROGRAM_PHY | HC_NO_SWAP;

/// IntEvent bits (table 6-1).
pub mod event {
    /// An asynchronous request was sent.
    pub const REQUEST_SENT: u32 = 1 << 0;
    /// An asynchronous response was sent.
    pub const RESPONSE_SENT: u32 = 1 << 1;
    /// A descriptor of the request receive context is full.
    pub const ARRQ: u32 = 1 << 2;
    /// A descriptor of the response receive context is full.
    pub const ARRS: u32 = 1 << 3;
    /// A request packet is in memory.
    pub const REQUEST_PACKET: u32 = 1 << 4;
    /// A response packet is in memory.
    pub const RESPONSE_PACKET: u32 = 1 << 5;
    /// An isochronous transmit context interrupts (read only).
    pub const ISO_TRANSMIT: u32 = 1 << 6;
    /// An isochronous receive context interrupts (read only).
    pub const ISO_RECEIVE: u32 = 1 << 7;
    /// A posted write did not reach memory.
    pub const POSTED_WRITE: u32 = 1 << 8;
    /// A lock response got no acknowledge of success.
    pub const LOCK_RESPONSE: u32 = 1 << 9;
    /// The self-ID phase is over; stays until software clears it.
    pub const SELF_ID_COMPLETE_2: u32 = 1 << 15;
    /// The self-ID phase is over; a bus reset clears it.
    pub const SELF_ID_COMPLETE: u32 = 1 << 16;
    /// A bus reset began.
    pub const BUS_RESET: u32 = 1 << 17;
    /// A register of the link was touched while the PHY gave no clock.
    pub const REGISTER_FAIL: u32 = 1 << 18;
    /// The PHY interrupts.
    pub const PHY: u32 = 1 << 19;
    /// A cycle began.
    pub const CYCLE_SYNCH: u32 = 1 << 20;
    /// The top bit of the cycle timer's seconds changed.
    pub const CYCLE_64_SECONDS: u32 = 1 << 21;
    /// A cycle had no cycle start.
    pub const CYCLE_LOST: u32 = 1 << 22;
    /// A cycle start and the cycle timer disagree.
    pub const CYCLE_INCONSISTENT: u32 = 1 << 23;
    /// A context died.
    pub const UNRECOVERABLE: u32 = 1 << 24;
    /// A cycle was longer than it may be.
    pub const CYCLE_TOO_LONG: u32 = 1 << 25;
    /// The PHY sent a register.
    pub const PHY_REGISTER: u32 = 1 << 26;
    /// Software set it.
    pub const SOFTWARE: u32 = 1 << 29;
    /// IntMask only: interrupts at all.
    pub const MASTER: u32 = 1 << 31;
    /// Events that there are, without the two that follow from other registers.
    pub const STORED: u32 = 0x27ff_833f;
}

/// LinkControl: with a bus reset, self-ID packets go to memory.
pub const LINK_SELF_ID: u32 = 1 << 9;
/// LinkControl: PHY packets go to the request receive context.
pub const LINK_PHY_PACKETS: u32 = 1 << 10;
/// LinkControl: the cycle timer counts.
pub const LINK_CYCLE_TIMER: u32 = 1 << 20;
/// LinkControl: this node, if root, sends cycle starts.
pub const LINK_CYCLE_MASTER: u32 = 1 << 21;
/// LinkControl: every bit that there is, tag1SyncFilterLock and cycleSource included.
pub const LINK_BITS: u32 =
    LINK_SELF_ID | LINK_PHY_PACKETS | LINK_CYCLE_TIMER | LINK_CYCLE_MASTER | 1 << 22 | 1 << 6;

/// Node ID: the ID is valid.
pub const NODE_VALID: u32 = 1 << 31;
/// Node ID: this node is root.
pub const NODE_ROOT: u32 = 1 << 30;
/// Node ID: the cable has power.
pub const NODE_POWER: u32 = 1 << 27;
/// Node ID: the bus number.
pub const NODE_BUS: u32 = 0xffc0;

/// PhyControl: the register is in bits 23:16.
pub const PHY_READ_DONE: u32 = 1 << 31;
/// PhyControl: read the register in bits 11:8.
pub const PHY_READ: u32 = 1 << 15;
/// PhyControl: write bits 7:0 to it.
pub const PHY_WRITE: u32 = 1 << 14;

/// Filters: every node (bit 31 of the upper half).
pub const FILTER_ALL: u64 = 1 << 63;

/// ContextControl (3.1.1): the context may run.
pub const RUN: u32 = 1 << 15;
/// ContextControl: look for descriptors again.
pub const WAKE: u32 = 1 << 12;
/// ContextControl: died of an error.
pub const DEAD: u32 = 1 << 11;
/// ContextControl: works.
pub const ACTIVE: u32 = 1 << 10;
/// ContextControl: where the speed of the last packet is.
pub const SPEED_SHIFT: u32 = 5;
/// ContextControl: event code.
pub const EVENT_CODE: u32 = 0x1f;
/// IT ContextControl: wait for a cycle (9.2).
pub const IT_CYCLE_MATCH: u32 = 1 << 31;
/// IR ContextControl: packets go one behind another into buffers (10.3).
pub const IR_BUFFER_FILL: u32 = 1 << 31;
/// IR ContextControl: with their headers.
pub const IR_HEADER: u32 = 1 << 30;
/// IR ContextControl: wait for a cycle.
pub const IR_CYCLE_MATCH: u32 = 1 << 29;
/// IR ContextControl: channels as the multi-channel mask says.
pub const IR_MULTI_CHANNEL: u32 = 1 << 28;

/// Event codes (table 3-2).
pub mod code {
    /// No event.
    pub const NO_STATUS: u32 = 0x00;
    /// The packet is longer than the buffer.
    pub const LONG_PACKET: u32 = 0x02;
    /// Nobody acknowledged.
    pub const MISSING_ACK: u32 = 0x03;
    /// Data ended too early.
    pub const UNDERRUN: u32 = 0x04;
    /// A descriptor could not be read.
    pub const DESCRIPTOR_READ: u32 = 0x06;
    /// Data could not be read.
    pub const DATA_READ: u32 = 0x07;
    /// Data could not be written.
    pub const DATA_WRITE: u32 = 0x08;
    /// The packet was made by the controller: a bus reset.
    pub const BUS_RESET: u32 = 0x09;
    /// A response came too late to be sent.
    pub const TIMEOUT: u32 = 0x0a;
    /// A transaction code that there is not.
    pub const TCODE: u32 = 0x0b;
    /// Anything else, such as a descriptor that makes no sense.
    pub const UNKNOWN: u32 = 0x0e;
    /// A bus reset came before the packet could be sent.
    pub const FLUSHED: u32 = 0x0f;
    /// Added to an acknowledge code.
    pub const ACK: u32 = 0x10;
}

/// Bytes of a descriptor.
pub const DESCRIPTOR_BYTES: usize = 16;
/// Descriptors of a block at the most (3.1.2).
pub const BLOCK: usize = 8;
/// Commands of descriptors, bits 15:12 of the control half.
pub mod command {
    /// OUTPUT_MORE.
    pub const OUTPUT_MORE: u16 = 0;
    /// OUTPUT_LAST.
    pub const OUTPUT_LAST: u16 = 1;
    /// INPUT_MORE.
    pub const INPUT_MORE: u16 = 2;
    /// INPUT_LAST.
    pub const INPUT_LAST: u16 = 3;
    /// STORE_VALUE.
    pub const STORE_VALUE: u16 = 8;
}
/// Key of a descriptor: data follows in the block.
pub const KEY_IMMEDIATE: u16 = 2;
/// Key of STORE_VALUE.
pub const KEY_STORE: u16 = 6;
