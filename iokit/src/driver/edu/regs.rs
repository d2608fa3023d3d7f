//! Registers of QEMU's educational device (QEMU, docs/specs/edu).
//!
//! Registers below 0x80 take accesses of 4 bytes, from there on of 4 or 8.

/// Vendor ID.
pub const VENDOR: u64 = 0x1234;
/// Device ID.
pub const DEVICE: u64 = 0x11e8;

/// Identification: 0xRRrr00ed, major and minor version.
pub const IDENTIFICATION: u64 = 0x00;
/// The constant half of the identification.
pub const IDENTIFICATION_LOW: u16 = 0x00ed;
/// Liveness check: reads as the inverse of what was written.
pub const LIVENESS: u64 = 0x04;
/// Factorial: write n, read n! (modulo 2³²) when the status says so.
pub const FACTORIAL: u64 = 0x08;
/// Status.
pub const STATUS: u64 = 0x20;
/// Status: a factorial is being computed.
pub const STATUS_COMPUTING: u32 = 0x01;
/// Status: interrupt when the factorial is done.
pub const STATUS_INTERRUPT: u32 = 0x80;
/// Interrupt status: what raised the interrupt.
pub const INTERRUPT_STATUS: u64 = 0x24;
/// Interrupt acknowledge: bits to clear in the interrupt status.
pub const INTERRUPT_ACKNOWLEDGE: u64 = 0x64;
/// Interrupt status: a factorial is done.
pub const INTERRUPT_FACTORIAL: u32 = 0x001;
/// Interrupt status: a DMA transfer is done.
pub const INTERRUPT_DMA: u32 = 0x100;
/// DMA source address, 64 bits.
pub const DMA_SOURCE: u64 = 0x80;
/// DMA destination address, 64 bits.
pub const DMA_DESTINATION: u64 = 0x88;
/// DMA count in bytes, 64 bits.
pub const DMA_COUNT: u64 = 0x90;
/// DMA command, 64 bits.
pub const DMA_COMMAND: u64 = 0x98;
/// DMA command: run; clears when done.
pub const DMA_RUN: u64 = 0x01;
/// DMA command: from the card to RAM.
pub const DMA_TO_RAM: u64 = 0x02;
/// DMA command: interrupt when done.
pub const DMA_INTERRUPT: u64 = 0x04;

/// DMA address of the card's buffer.
pub const CARD_BUFFER: u64 = 0x4_0000;
/// Bytes of the card's buffer.
pub const CARD_BUFFER_BYTES: u64 = 4096;
/// Addresses that QEMU's card reaches unless told otherwise: 28 bits.
pub const DMA_LIMIT: u64 = 1 << 28;
