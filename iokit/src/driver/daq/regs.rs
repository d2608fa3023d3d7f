//! Registers of the data-acquisition card; `docs/devices.md` describes it. Accesses are of 4 bytes, the ring's address of 8.

/// Vendor ID.
pub const VENDOR: u64 = 0x1af4;
/// Device ID.
pub const DEVICE: u64 = 0x10f3;

/// Identification.
pub const ID: u64 = 0x00;
/// What it reads as: `DAQ`, version 1.
pub const ID_VALUE: u32 = 0x4441_5101;
/// Control.
pub const CONTROL: u64 = 0x04;
/// Control: sample.
pub const RUN: u32 = 1 << 0;
/// Control: back to power-on.
pub const RESET: u32 = 1 << 1;
/// Status.
pub const STATUS: u64 = 0x08;
/// Status: the set-up, an index or memory was refused. The driver's mistakes, or the device's.
pub const MISTAKES: u32 = 1 << 2 | 1 << 3 | 1 << 4;
/// Interrupt status; a one that is written clears the bit.
pub const INTERRUPT_STATUS: u64 = 0x0c;
/// Interrupt enable.
pub const INTERRUPT_ENABLE: u64 = 0x10;
/// Interrupt: as many samples are ready as the threshold says. Vector 0.
pub const DATA: u32 = 1 << 0;
/// Interrupt: the ring became full and a sample was lost. Vector 1.
pub const OVERRUN: u32 = 1 << 1;
/// Interrupt: one of [`MISTAKES`]. Vector 1.
pub const ERROR: u32 = 1 << 2;
/// ns from one sample to the next.
pub const PERIOD: u64 = 0x14;
/// Entries that the ring can have at the most.
pub const RING_MAX: u64 = 0x18;
/// Entries, a power of two.
pub const RING_ENTRIES: u64 = 0x1c;
/// Bus address of the ring.
pub const RING_BASE: u64 = 0x20;
/// Alignment of the ring.
pub const RING_ALIGN: u64 = 64;
/// Samples ready that make [`DATA`].
pub const THRESHOLD: u64 = 0x28;
/// Samples that the driver has taken.
pub const CONSUMER: u64 = 0x30;

/// Bytes of a sample: sequence number, value, samples lost before it, check word.
pub const SAMPLE_BYTES: usize = 16;
/// Bytes behind the last entry: how many samples were written.
pub const INDEX_BYTES: u64 = 4;
/// The check word before the first word.
pub const CHECK_SEED: u32 = 0x5a5a_a5a5;
/// What each of its steps multiplies with; a value is its sequence number times this.
pub const MULTIPLIER: u32 = 0x9e37_79b1;
