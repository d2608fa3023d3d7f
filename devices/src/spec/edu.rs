//! The educational device of QEMU, as its `docs/specs/edu.rst` describes it.

/// Vendor ID.
pub const VENDOR: u16 = 0x1234;
/// Device ID.
pub const DEVICE: u16 = 0x11e8;
/// Revision ID.
pub const REVISION: u8 = 0x10;
/// Bytes of BAR 0.
pub const BAR_BYTES: u64 = 1 << 20;

/// Identification (read only): 0xRRrr00ed, major and minor version.
pub const IDENTIFICATION: u64 = 0x00;
/// Value of [`IDENTIFICATION`]: version 1.0.
pub const IDENTIFICATION_VALUE: u32 = 0x0100_00ed;
/// Liveness check: reads as the inversion of what was written.
pub const LIVENESS: u64 = 0x04;
/// Factorial: write n, read n! when no longer computing.
pub const FACTORIAL: u64 = 0x08;
/// Status, an or of the `STATUS_` bits.
pub const STATUS: u64 = 0x20;
/// Status: the factorial is being computed (read only).
pub const STATUS_COMPUTING: u32 = 0x01;
/// Status: raise [`IRQ_FACTORIAL`] when the factorial is done.
pub const STATUS_INTERRUPT: u32 = 0x80;
/// Interrupt status (read only): the values raised and not acknowledged.
pub const IRQ_STATUS: u64 = 0x24;
/// Interrupt raise (write only): or into the status.
pub const IRQ_RAISE: u64 = 0x60;
/// Interrupt acknowledge (write only): clear from the status.
pub const IRQ_ACKNOWLEDGE: u64 = 0x64;
/// Interrupt status bit of the factorial.
pub const IRQ_FACTORIAL: u32 = 0x0000_0001;
/// Interrupt status bit of the DMA engine.
pub const IRQ_DMA: u32 = 0x0000_0100;
/// First register that may also be accessed with 8 bytes.
pub const WIDE_FROM: u64 = 0x80;
/// DMA source address.
pub const DMA_SOURCE: u64 = 0x80;
/// DMA destination address.
pub const DMA_DESTINATION: u64 = 0x88;
/// DMA transfer count in bytes.
pub const DMA_COUNT: u64 = 0x90;
/// DMA command, an or of the `DMA_` bits.
pub const DMA_COMMAND: u64 = 0x98;
/// DMA command: start; reads as one until the transfer is over.
pub const DMA_RUN: u64 = 0x01;
/// DMA command: direction, 0 = RAM to device, 1 = device to RAM.
pub const DMA_TO_RAM: u64 = 0x02;
/// DMA command: raise [`IRQ_DMA`] at the end.
pub const DMA_INTERRUPT: u64 = 0x04;
/// Address of the buffer as the DMA engine sees it.
pub const BUFFER_ADDRESS: u64 = 0x40000;
/// Bytes of the buffer.
pub const BUFFER_BYTES: usize = 4096;
/// Address bits that the DMA engine drives by default in QEMU: 28.
pub const DMA_MASK: u64 = (1 << 28) - 1;
