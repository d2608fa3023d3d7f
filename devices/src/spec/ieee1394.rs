//! The serial bus: IEEE 1394-1995 with the changes of 1394a-2000, and the CSR architecture of IEEE 1212 below it.

/// Transaction code: write a quadlet (IEEE 1394-1995, 6.2.4).
pub const TCODE_WRITE_QUADLET: u8 = 0x0;
/// Transaction code: write a block.
pub const TCODE_WRITE_BLOCK: u8 = 0x1;
/// Transaction code: the answer to a write.
pub const TCODE_WRITE_RESPONSE: u8 = 0x2;
/// Transaction code: read a quadlet.
pub const TCODE_READ_QUADLET: u8 = 0x4;
/// Transaction code: read a block.
pub const TCODE_READ_BLOCK: u8 = 0x5;
/// Transaction code: the answer to a quadlet read.
pub const TCODE_READ_QUADLET_RESPONSE: u8 = 0x6;
/// Transaction code: the answer to a block read.
pub const TCODE_READ_BLOCK_RESPONSE: u8 = 0x7;
/// Transaction code: the cycle start, which only the cycle master sends.
pub const TCODE_CYCLE_START: u8 = 0x8;
/// Transaction code: lock.
pub const TCODE_LOCK: u8 = 0x9;
/// Transaction code: stream packets, isochronous or not.
pub const TCODE_STREAM: u8 = 0xa;
/// Transaction code: the answer to a lock.
pub const TCODE_LOCK_RESPONSE: u8 = 0xb;
/// Transaction code that links use among themselves: PHY packets.
pub const TCODE_PHY: u8 = 0xe;

/// Acknowledge code: done (IEEE 1394-1995, 6.2.5).
pub const ACK_COMPLETE: u8 = 0x1;
/// Acknowledge code: received, a response follows.
pub const ACK_PENDING: u8 = 0x2;
/// Acknowledge code: busy, try again.
pub const ACK_BUSY_X: u8 = 0x4;
/// Acknowledge code: the data was damaged or of the wrong length.
pub const ACK_DATA_ERROR: u8 = 0xd;
/// Acknowledge code: this cannot be done here.
pub const ACK_TYPE_ERROR: u8 = 0xe;

/// Response code: done (IEEE 1394-1995, 6.2.4).
pub const RCODE_COMPLETE: u8 = 0x0;
/// Response code: a resource is taken, the request may be sent again.
pub const RCODE_CONFLICT: u8 = 0x4;
/// Response code: hardware failed, data is not available.
pub const RCODE_DATA: u8 = 0x5;
/// Response code: a field of the request makes no sense here.
pub const RCODE_TYPE: u8 = 0x6;
/// Response code: nothing at this address.
pub const RCODE_ADDRESS: u8 = 0x7;

/// Extended transaction codes of locks (IEEE 1394-1995, 6.2.4).
pub mod lock {
    /// `(old & !arg) | (data & arg)`.
    pub const MASK_SWAP: u16 = 1;
    /// `data`, if the old value is `arg`.
    pub const COMPARE_SWAP: u16 = 2;
    /// `old + data`, big-endian.
    pub const FETCH_ADD: u16 = 3;
    /// `old + data`, little-endian.
    pub const LITTLE_ADD: u16 = 4;
    /// `old + data`, unless the old value is `arg`.
    pub const BOUNDED_ADD: u16 = 5;
    /// `old + data`, or `data` if the old value is `arg`.
    pub const WRAP_ADD: u16 = 6;
}

/// Speed code of 98.304 Mbit/s.
pub const S100: u8 = 0;
/// Speed code of 393.216 Mbit/s, the fastest of 1394a.
pub const S400: u8 = 2;

/// Bytes of data that an asynchronous packet may have at S100; each speed code doubles it (IEEE 1394-1995, table 6-5).
pub const PAYLOAD_S100: usize = 512;

/// The bus number of the local bus.
pub const LOCAL_BUS: u16 = 0x3ff;
/// The physical ID that means every node.
pub const BROADCAST: u8 = 0x3f;
/// Nodes of a bus at the most.
pub const NODES: usize = 63;
/// Ports of a PHY at the most: those that self-ID packets have room for (1394a-2000, 4.3.4.1).
pub const PORTS: usize = 16;

/// Where the initial register space begins in a node's 48-bit address space (IEEE 1212).
pub const REGISTERS: u64 = 0xffff_f000_0000;

/// Core CSRs and those of the serial bus: offsets in the register space (IEEE 1394-1995, 8.3.2).
pub mod csr {
    /// STATE_CLEAR.
    pub const STATE_CLEAR: u64 = 0x000;
    /// STATE_SET.
    pub const STATE_SET: u64 = 0x004;
    /// NODE_IDS.
    pub const NODE_IDS: u64 = 0x008;
    /// RESET_START.
    pub const RESET_START: u64 = 0x00c;
    /// SPLIT_TIMEOUT, seconds.
    pub const SPLIT_TIMEOUT_HI: u64 = 0x018;
    /// SPLIT_TIMEOUT, cycles in bits 31:19.
    pub const SPLIT_TIMEOUT_LO: u64 = 0x01c;
    /// CYCLE_TIME.
    pub const CYCLE_TIME: u64 = 0x200;
    /// BUSY_TIMEOUT.
    pub const BUSY_TIMEOUT: u64 = 0x210;
    /// BUS_MANAGER_ID.
    pub const BUS_MANAGER_ID: u64 = 0x21c;
    /// BANDWIDTH_AVAILABLE.
    pub const BANDWIDTH_AVAILABLE: u64 = 0x220;
    /// CHANNELS_AVAILABLE, channels 0 to 31.
    pub const CHANNELS_AVAILABLE_HI: u64 = 0x224;
    /// CHANNELS_AVAILABLE, channels 32 to 63.
    pub const CHANNELS_AVAILABLE_LO: u64 = 0x228;
    /// The configuration ROM.
    pub const CONFIG_ROM: u64 = 0x400;
    /// Behind the configuration ROM; the space of units begins here.
    pub const CONFIG_ROM_END: u64 = 0x800;
    /// STATE bit: this node, if it is root, sends cycle starts.
    pub const STATE_CMSTR: u32 = 1 << 8;
}

/// BUS_MANAGER_ID when nobody manages the bus.
pub const NO_BUS_MANAGER: u32 = 0x3f;
/// BANDWIDTH_AVAILABLE after a bus reset, in allocation units (IEEE 1394-1995, 8.3.2.3.7).
pub const BANDWIDTH_INITIAL: u32 = 4915;
/// SPLIT_TIMEOUT after power-on, in cycles: 100 ms.
pub const SPLIT_TIMEOUT_CYCLES: u32 = 800;

/// Cycles a second.
pub const CYCLES_PER_SECOND: u64 = 8000;
/// Nanoseconds of a cycle.
pub const CYCLE_NS: u64 = 125_000;
/// Ticks of the cycle timer in a cycle (24.576 MHz).
pub const TICKS_PER_CYCLE: u64 = 3072;

/// The second quadlet of a bus information block: `1394` in ASCII.
pub const BUS_NAME: u32 = 0x3133_3934;
/// Bus options: isochronous resource manager capable (IEEE 1394-1995, 8.3.2.5.4).
pub const OPTION_IRMC: u32 = 1 << 31;
/// Bus options: cycle master capable.
pub const OPTION_CMC: u32 = 1 << 30;
/// Bus options: isochronous capable.
pub const OPTION_ISC: u32 = 1 << 29;
/// Bus options: bus manager capable.
pub const OPTION_BMC: u32 = 1 << 28;
/// Bus options: where max_rec is.
pub const OPTION_MAX_REC_SHIFT: u32 = 12;
/// Bus options: where the ROM's generation is (1394a-2000).
pub const OPTION_GENERATION_SHIFT: u32 = 4;

/// Keys of a configuration ROM: type in bits 7:6, key ID below (IEEE 1212-2001, 7.5 and 7.7).
pub mod key {
    /// A textual descriptor leaf about the entry before.
    pub const TEXT_LEAF: u8 = 0x81;
    /// Vendor ID.
    pub const VENDOR: u8 = 0x03;
    /// Node capabilities.
    pub const CAPABILITIES: u8 = 0x0c;
    /// Specifier ID of a unit.
    pub const SPECIFIER: u8 = 0x12;
    /// Version of a unit.
    pub const VERSION: u8 = 0x13;
    /// Model ID.
    pub const MODEL: u8 = 0x17;
    /// A unit directory.
    pub const UNIT: u8 = 0xd1;
}

/// PHY registers of 1394a-2000, 5B.1: base registers 0 to 7, a page of eight behind them.
pub mod phy {
    /// Register 0: physical ID (bits 7:2), root, cable power.
    pub const ID: u8 = 0;
    /// Register 0: this node is root.
    pub const ID_ROOT: u8 = 0x02;
    /// Register 0: the cable has power.
    pub const ID_POWER: u8 = 0x01;
    /// Register 1: root hold-off, bus reset, gap count.
    pub const RESET: u8 = 1;
    /// Register 1: be root after the next bus reset.
    pub const RESET_HOLD_OFF: u8 = 0x80;
    /// Register 1: begin a long bus reset.
    pub const RESET_LONG: u8 = 0x40;
    /// Register 1: the gap count.
    pub const RESET_GAP: u8 = 0x3f;
    /// Register 2: extended register set, number of ports.
    pub const PORTS: u8 = 2;
    /// Register 2: the register set is the extended one.
    pub const PORTS_EXTENDED: u8 = 0xe0;
    /// Register 3: maximum speed (7:5), repeater delay.
    pub const SPEED: u8 = 3;
    /// Register 4: link active, contender, jitter, power class.
    pub const LINK: u8 = 4;
    /// Register 4: the link is active, as the self-ID packet tells.
    pub const LINK_ACTIVE: u8 = 0x80;
    /// Register 4: a candidate for isochronous resource manager.
    pub const LINK_CONTENDER: u8 = 0x40;
    /// Register 4: power class.
    pub const LINK_POWER: u8 = 0x07;
    /// Register 5: short bus reset, interrupts, enhancements.
    pub const EVENTS: u8 = 5;
    /// Register 5: begin an arbitrated, short bus reset.
    pub const EVENTS_SHORT_RESET: u8 = 0x40;
    /// Register 5: the cables form a loop; a one clears it.
    pub const EVENTS_LOOP: u8 = 0x20;
    /// Register 5: a port's connection changed; a one clears it.
    pub const EVENTS_PORT: u8 = 0x04;
    /// Register 5: every bit that a one clears.
    pub const EVENTS_CLEAR: u8 = 0x3c;
    /// Register 5: what software may set: watchdog, accelerated and multi-speed arbitration.
    pub const EVENTS_WRITABLE: u8 = 0x83;
    /// Register 7: page (7:5), port (3:0).
    pub const PAGE: u8 = 7;
    /// Page 0, register 8: the port's peer is a child.
    pub const PORT_CHILD: u8 = 0x08;
    /// Page 0, register 8: the port is connected.
    pub const PORT_CONNECTED: u8 = 0x04;
    /// Page 0, register 8: bias voltage is there.
    pub const PORT_BIAS: u8 = 0x02;
    /// Page 0, register 8: software disabled the port.
    pub const PORT_DISABLED: u8 = 0x01;
}

/// PHY packets (1394a-2000, 4.3.4).
pub mod phy_packet {
    /// The two bits on top that say what it is.
    pub const KIND_SHIFT: u32 = 30;
    /// Configuration: force root, gap count; neither: an extended packet.
    pub const KIND_CONFIG: u32 = 0;
    /// Self-ID.
    pub const KIND_SELF_ID: u32 = 2;
    /// Where the physical ID is.
    pub const ID_SHIFT: u32 = 24;
    /// Configuration: the node with this ID will be root, the others will not.
    pub const CONFIG_ROOT: u32 = 1 << 23;
    /// Configuration: the gap count is to be taken.
    pub const CONFIG_GAP: u32 = 1 << 22;
    /// Where the gap count is, in configuration and self-ID packets.
    pub const GAP_SHIFT: u32 = 16;
    /// Extended packet: the type; 0 is a ping.
    pub const EXTENDED_TYPE: u32 = 0xf << 18;
    /// Self-ID packet zero: the link is active.
    pub const SELF_LINK: u32 = 1 << 22;
    /// Self-ID packet zero: where the speed is.
    pub const SELF_SPEED_SHIFT: u32 = 14;
    /// Self-ID packet zero: contender.
    pub const SELF_CONTENDER: u32 = 1 << 11;
    /// Self-ID packet zero: where the power class is.
    pub const SELF_POWER_SHIFT: u32 = 8;
    /// Self-ID packet zero: this node began the reset.
    pub const SELF_INITIATED: u32 = 1 << 1;
    /// Self-ID packet: another one of this node follows.
    pub const SELF_MORE: u32 = 1 << 0;
    /// Self-ID packet: not the first one of its node.
    pub const SELF_EXTENDED: u32 = 1 << 23;
    /// Self-ID packet that is not the first: where its number is.
    pub const SELF_NUMBER_SHIFT: u32 = 20;
}

/// Gap count after power-on and after a bus reset that nobody prepared.
pub const GAP_DEFAULT: u8 = 63;
/// A long bus reset takes 166 µs (IEEE 1394-1995, table 4-29).
pub const RESET_LONG_NS: u64 = 166_700;
/// A short one 1.3 µs (1394a-2000, table 5B).
pub const RESET_SHORT_NS: u64 = 1_300;
/// What tree identification takes.
pub const TREE_ID_NS: u64 = 10_000;
/// What each self-ID packet takes.
pub const SELF_ID_NS: u64 = 1_000;
/// One octet at S100.
pub const OCTET_NS: u64 = 81;
