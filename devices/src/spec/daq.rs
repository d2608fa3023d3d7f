//! The data-acquisition card, a design of this project: `docs/devices.md` describes it register by register.

/// Vendor ID: Red Hat's, for virtual devices.
pub const VENDOR: u16 = 0x1af4;
/// Device ID, out of the range 0x10f0–0x10ff that the vendor leaves free for experiments.
pub const DEVICE: u16 = 0x10f3;
/// Revision ID.
pub const REVISION: u8 = 0x01;
/// Class code: data acquisition and signal processing, other (PCI 3.0, appendix D).
pub const CLASS: [u8; 3] = [0x11, 0x80, 0x00];
/// Bytes of BAR 0.
pub const BAR_BYTES: u64 = 4096;

/// Identification (read only).
pub const ID: u64 = 0x00;
/// Value of [`ID`]: `DAQ` in ASCII, then the version.
pub const ID_VALUE: u32 = 0x4441_5101;
/// Control, an or of the `CONTROL_` bits.
pub const CONTROL: u64 = 0x04;
/// Control: the card samples.
pub const CONTROL_RUN: u32 = 1 << 0;
/// Control: everything back to power-on; reads as zero.
pub const CONTROL_RESET: u32 = 1 << 1;
/// Status (read only), an or of the `STATUS_` bits.
pub const STATUS: u64 = 0x08;
/// Status: the card samples.
pub const STATUS_RUNNING: u32 = 1 << 0;
/// Status: the ring is full and samples are being lost.
pub const STATUS_OVERRUN: u32 = 1 << 1;
/// Status: RUN was refused, because ring or threshold make no sense.
pub const STATUS_BAD_SETUP: u32 = 1 << 2;
/// Status: a consumer index was refused.
pub const STATUS_BAD_INDEX: u32 = 1 << 3;
/// Status: memory refused a sample, and the card stopped.
pub const STATUS_FAULT: u32 = 1 << 4;
/// The status bits that tell of a mistake; RUN and RESET clear them.
pub const STATUS_MISTAKES: u32 = STATUS_BAD_SETUP | STATUS_BAD_INDEX | STATUS_FAULT;
/// Interrupt status, an or of the `INTERRUPT_` bits; a one that is written clears the bit.
pub const INTERRUPT_STATUS: u64 = 0x0c;
/// Interrupt enable: which of them are signalled.
pub const INTERRUPT_ENABLE: u64 = 0x10;
/// Interrupt: as many samples as the threshold says are ready.
pub const INTERRUPT_DATA: u32 = 1 << 0;
/// Interrupt: the ring became full and a sample was lost.
pub const INTERRUPT_OVERRUN: u32 = 1 << 1;
/// Interrupt: one of [`STATUS_MISTAKES`] was made.
pub const INTERRUPT_ERROR: u32 = 1 << 2;
/// Every interrupt.
pub const INTERRUPTS: u32 = INTERRUPT_DATA | INTERRUPT_OVERRUN | INTERRUPT_ERROR;
/// Nanoseconds from one sample to the next; reads as what the card really does.
pub const PERIOD: u64 = 0x14;
/// Shortest period, ns.
pub const PERIOD_LEAST: u32 = 1_000;
/// Longest period, ns.
pub const PERIOD_MOST: u32 = 1_000_000_000;
/// The most entries that this card's ring can have (read only).
pub const RING_MAX: u64 = 0x18;
/// Entries of the ring: a power of two, at least 2.
pub const RING_ENTRIES: u64 = 0x1c;
/// Bus address of the ring, a multiple of 64; 8 bytes.
pub const RING_BASE: u64 = 0x20;
/// Alignment of [`RING_BASE`].
pub const RING_ALIGN: u64 = 64;
/// Samples that must be ready for [`INTERRUPT_DATA`], 1 to the number of entries.
pub const THRESHOLD: u64 = 0x28;
/// Samples written since power-on, modulo 2³² (read only).
pub const PRODUCER: u64 = 0x2c;
/// Samples taken by the driver since power-on, modulo 2³².
pub const CONSUMER: u64 = 0x30;
/// Samples lost since power-on, modulo 2³² (read only).
pub const LOST: u64 = 0x34;

/// MSI-X vectors.
pub const VECTORS: u16 = 2;
/// Vector of [`INTERRUPT_DATA`].
pub const VECTOR_DATA: u16 = 0;
/// Vector of the other two.
pub const VECTOR_TROUBLE: u16 = 1;

/// Bytes of a sample: sequence number, value, samples lost before it, check word; 4 bytes each, little-endian.
pub const SAMPLE_BYTES: usize = 16;
/// Bytes behind the last entry, in which the card keeps a copy of [`PRODUCER`].
pub const INDEX_BYTES: u64 = 4;
/// The check word before the first word is mixed in.
pub const CHECK_SEED: u32 = 0x5a5a_a5a5;
/// What each step of the check word multiplies with; the value of a sample, too, is its sequence number times this.
pub const MULTIPLIER: u32 = 0x9e37_79b1;
