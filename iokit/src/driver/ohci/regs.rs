//! Registers and codes of the 1394 Open Host Controller Interface 1.1 that the driver uses.

/// Class code: serial bus, FireWire, OpenHCI (A.3).
pub const CLASS: u64 = 0x0c_0010;
/// Version (5.2).
pub const VERSION: u64 = 0x000;
/// ATRetries (5.4).
pub const AT_RETRIES: u64 = 0x008;
/// CSRReadData, CSRWriteData (5.5.1).
pub const CSR_DATA: u64 = 0x00c;
/// CSRCompareData.
pub const CSR_COMPARE: u64 = 0x010;
/// CSRControl: which register; begins a compare and swap.
pub const CSR_CONTROL: u64 = 0x014;
/// CSRControl: it is done.
pub const CSR_DONE: u32 = 1 << 31;
/// ConfigROMhdr (5.5.2).
pub const CONFIG_ROM_HEADER: u64 = 0x018;
/// BusOptions (5.5.4).
pub const BUS_OPTIONS: u64 = 0x020;
/// GUIDHi (5.5.5).
pub const GUID_HI: u64 = 0x024;
/// GUIDLo.
pub const GUID_LO: u64 = 0x028;
/// ConfigROMmap (5.5.6).
pub const CONFIG_ROM_MAP: u64 = 0x034;
/// HCControl (5.7): set here, clear at [`CLEAR`] above, as of every pair.
pub const HC_CONTROL: u64 = 0x050;
/// From a register of a pair that sets to the one that clears.
pub const CLEAR: u64 = 4;
/// SelfIDBuffer (11.1).
pub const SELF_ID_BUFFER: u64 = 0x064;
/// SelfIDCount (11.2).
pub const SELF_ID_COUNT: u64 = 0x068;
/// IntEvent (6.1); the one that clears reads as those that are not masked.
pub const INT_EVENT: u64 = 0x080;
/// IntMask (6.2).
pub const INT_MASK: u64 = 0x088;
/// isoRecvIntEvent, a bit for each context (6.4).
pub const STREAM_EVENT: u64 = 0x0a0;
/// isoRecvIntMask; has a bit for each context that there is.
pub const STREAM_MASK: u64 = 0x0a8;
/// LinkControl (5.10).
pub const LINK_CONTROL: u64 = 0x0e0;
/// NodeID (5.11).
pub const NODE_ID: u64 = 0x0e8;
/// PhyControl (5.12).
pub const PHY_CONTROL: u64 = 0x0ec;
/// AsynchronousRequestFilterHi (5.14.1).
pub const ASYNC_FILTER_HI: u64 = 0x100;
/// PhysicalRequestFilterHi (5.14.2).
pub const PHYSICAL_FILTER_HI: u64 = 0x110;
/// PhysicalRequestFilterLo.
pub const PHYSICAL_FILTER_LO: u64 = 0x118;
/// Bytes of registers that there must be.
pub const BYTES: u64 = 0x800;

/// The contexts that are used (3.1, 7.2, 8.2, 10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Requests that are sent.
    RequestOut,
    /// Responses that are sent.
    ResponseOut,
    /// Requests that come.
    RequestIn,
    /// Responses that come.
    ResponseIn,
    /// A stream that comes: isochronous receive context so and so, below [`STREAMS_MAX`].
    StreamIn(u8),
}

/// Isochronous receive contexts that there can be.
pub const STREAMS_MAX: usize = 32;

impl Context {
    /// Where its registers begin.
    pub fn at(self) -> u64 {
        match self {
            Self::RequestOut => 0x180,
            Self::ResponseOut => 0x1a0,
            Self::RequestIn => 0x1c0,
            Self::ResponseIn => 0x1e0,
            Self::StreamIn(number) => 0x400 + 0x20 * u64::from(number),
        }
    }
}

/// In a context: CommandPtr.
pub const COMMAND: u64 = 0xc;
/// In a context of a stream: ContextMatch.
pub const MATCH: u64 = 0x10;
/// ContextMatch: whatever the tag is (10.3.3).
pub const MATCH_TAGS: u32 = 0xf << 28;
/// ContextControl of a stream: each packet comes with its header.
pub const STREAM_HEADER: u32 = 1 << 30;
/// ContextControl of a stream: the ways in which it can receive (10.3.2).
pub const STREAM_MODES: u32 = 0xf << 28;
/// ContextControl: it may run.
pub const RUN: u32 = 1 << 15;
/// ContextControl: look for descriptors again.
pub const WAKE: u32 = 1 << 12;
/// ContextControl: it works.
pub const ACTIVE: u32 = 1 << 10;

/// HCControl: back to power-on.
pub const HC_SOFT_RESET: u32 = 1 << 16;
/// HCControl: the link sends and receives.
pub const HC_LINK_ENABLE: u32 = 1 << 17;
/// HCControl: physical writes may be posted.
pub const HC_POSTED_WRITES: u32 = 1 << 18;
/// HCControl: the link has power.
pub const HC_LPS: u32 = 1 << 19;
/// HCControl: data is not swapped.
pub const HC_NO_SWAP: u32 = 1 << 30;
/// HCControl: the configuration ROM is good.
pub const HC_ROM_VALID: u32 = 1 << 31;

/// Events (table 6-1).
pub mod event {
    /// A request was sent.
    pub const REQUEST_SENT: u32 = 1 << 0;
    /// A response was sent.
    pub const RESPONSE_SENT: u32 = 1 << 1;
    /// A request is in memory.
    pub const REQUEST_IN: u32 = 1 << 4;
    /// A response is in memory.
    pub const RESPONSE_IN: u32 = 1 << 5;
    /// A context of a stream interrupts; cleared there.
    pub const STREAM_IN: u32 = 1 << 7;
    /// The self-ID phase is over.
    pub const SELF_ID_COMPLETE: u32 = 1 << 16;
    /// A bus reset began.
    pub const BUS_RESET: u32 = 1 << 17;
    /// A context died.
    pub const UNRECOVERABLE: u32 = 1 << 24;
    /// IntMask only: interrupts at all.
    pub const MASTER: u32 = 1 << 31;
    /// Those that the driver wants.
    pub const WANTED: u32 = REQUEST_SENT
        | RESPONSE_SENT
        | REQUEST_IN
        | RESPONSE_IN
        | STREAM_IN
        | SELF_ID_COMPLETE
        | BUS_RESET
        | UNRECOVERABLE;
}

/// LinkControl: self-ID packets go to memory.
pub const LINK_SELF_ID: u32 = 1 << 9;
/// LinkControl: the cycle timer counts.
pub const LINK_CYCLE_TIMER: u32 = 1 << 20;
/// LinkControl: this node sends cycle starts, if it is root.
pub const LINK_CYCLE_MASTER: u32 = 1 << 21;
/// NodeID: it is valid.
pub const NODE_VALID: u32 = 1 << 31;
/// Filters, upper half: every node.
pub const FILTER_ALL: u32 = 1 << 31;
/// SelfIDCount: what was received is damaged.
pub const SELF_ID_ERROR: u32 = 1 << 31;
/// PhyControl: write bits 7:0 to the register in bits 11:8.
pub const PHY_WRITE: u32 = 1 << 14;
/// PHY register 5: begin a short bus reset (1394a-2000, 5B.1).
pub const PHY_SHORT_RESET: u32 = 5 << 8 | 0x40;

/// Event codes in descriptors (table 3-2); acknowledges have [`code::ACK`] set.
pub mod code {
    /// None yet.
    pub const NONE: u32 = 0x00;
    /// A bus reset came first.
    pub const FLUSHED: u32 = 0x0f;
    /// Nobody acknowledged.
    pub const MISSING_ACK: u32 = 0x03;
    /// With an acknowledge code of IEEE 1394 in bits 3:0.
    pub const ACK: u32 = 0x10;
    /// Acknowledged: done.
    pub const COMPLETE: u32 = ACK | 0x1;
    /// Acknowledged: a response follows.
    pub const PENDING: u32 = ACK | 0x2;
    /// Acknowledged as busy, in one of three ways.
    pub const BUSY: core::ops::RangeInclusive<u32> = ACK | 0x4..=ACK | 0x6;
    /// Acknowledged: not with this kind of request.
    pub const TYPE_ERROR: u32 = ACK | 0xe;
}

/// Bytes of a descriptor.
pub const DESCRIPTOR_BYTES: u64 = 16;
/// Control half of a descriptor: an immediate header that is all of a packet; interrupts, and its branch counts (7.1).
pub const OUTPUT_LAST_IMMEDIATE: u32 = 0x123c;
/// An immediate header that data follows.
pub const OUTPUT_MORE_IMMEDIATE: u32 = 0x0200;
/// The last of a packet's data; interrupts, and its branch counts.
pub const OUTPUT_LAST: u32 = 0x103c;
/// A buffer for what comes; with status, interrupts, and its branch counts (8.1).
pub const INPUT_MORE: u32 = 0x283c;
/// A buffer for one packet of a stream; with status, and its branch counts (10.2.2).
pub const INPUT_LAST: u32 = 0x380c;
/// The same, and interrupts.
pub const INPUT_LAST_INTERRUPTS: u32 = INPUT_LAST | 0x30;
