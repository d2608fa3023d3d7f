//! PCI Local Bus 3.0, PCI-to-PCI Bridge 1.2 and the MSI/MSI-X capabilities.

/// Vendor ID (PCI 3.0, 6.2.1).
pub const VENDOR_ID: usize = 0x00;
/// Device ID (6.2.1).
pub const DEVICE_ID: usize = 0x02;
/// Command register (6.2.2).
pub const COMMAND: usize = 0x04;
/// Status register (6.2.3).
pub const STATUS: usize = 0x06;
/// Revision ID (6.2.1).
pub const REVISION: usize = 0x08;
/// Class code, three bytes: interface, subclass, base class (6.2.1).
pub const CLASS: usize = 0x09;
/// Cache line size (6.2.4).
pub const CACHE_LINE: usize = 0x0c;
/// Header type (6.2.1).
pub const HEADER_TYPE: usize = 0x0e;
/// First base address register (6.2.5).
pub const BAR0: usize = 0x10;
/// Subsystem vendor ID of a type 0 header (6.2.4).
pub const SUBSYSTEM_VENDOR: usize = 0x2c;
/// Subsystem ID of a type 0 header (6.2.4).
pub const SUBSYSTEM: usize = 0x2e;
/// Capabilities pointer (6.7).
pub const CAPABILITIES: usize = 0x34;
/// Interrupt line (6.2.4).
pub const INTERRUPT_LINE: usize = 0x3c;
/// Interrupt pin (6.2.4).
pub const INTERRUPT_PIN: usize = 0x3d;

/// End of the standard header (6.1).
pub const HEADER_END: usize = 0x40;

/// Command: I/O space enable (6.2.2, bit 0).
pub const COMMAND_IO: u16 = 1 << 0;
/// Command: memory space enable (bit 1).
pub const COMMAND_MEMORY: u16 = 1 << 1;
/// Command: bus master enable (bit 2).
pub const COMMAND_MASTER: u16 = 1 << 2;
/// Command: parity error response (bit 6).
pub const COMMAND_PARITY: u16 = 1 << 6;
/// Command: SERR# enable (bit 8).
pub const COMMAND_SERR: u16 = 1 << 8;
/// Command: interrupt disable (bit 10).
pub const COMMAND_INTX_DISABLE: u16 = 1 << 10;
/// Status: an INTx interrupt is pending (6.2.3, bit 3).
pub const STATUS_INTERRUPT: u16 = 1 << 3;
/// Status: capability list present (bit 4).
pub const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Status bits that software clears by writing one (bits 8 and 11–15).
pub const STATUS_W1C: u16 = 0xf900;

/// BAR bits 2:1: 64-bit address (6.2.5.1).
pub const BAR_WIDE: u32 = 0b100;
/// BAR bit 3: prefetchable (6.2.5.1).
pub const BAR_PREFETCHABLE: u32 = 0b1000;

/// Primary bus number (Bridge 1.2, 3.2.5.2).
pub const PRIMARY_BUS: usize = 0x18;
/// Secondary bus number (3.2.5.3).
pub const SECONDARY_BUS: usize = 0x19;
/// Subordinate bus number (3.2.5.4).
pub const SUBORDINATE_BUS: usize = 0x1a;
/// Secondary status (3.2.5.7).
pub const SECONDARY_STATUS: usize = 0x1e;
/// Memory base, bits 31:20 in bits 15:4 (3.2.5.8).
pub const MEMORY_BASE: usize = 0x20;
/// Memory limit (3.2.5.8).
pub const MEMORY_LIMIT: usize = 0x22;
/// Prefetchable memory base (3.2.5.9).
pub const PREFETCH_BASE: usize = 0x24;
/// Prefetchable memory limit (3.2.5.9).
pub const PREFETCH_LIMIT: usize = 0x26;
/// Prefetchable base, upper 32 bits (3.2.5.10).
pub const PREFETCH_BASE_UPPER: usize = 0x28;
/// Prefetchable limit, upper 32 bits (3.2.5.10).
pub const PREFETCH_LIMIT_UPPER: usize = 0x2c;
/// Bridge control (3.2.5.18).
pub const BRIDGE_CONTROL: usize = 0x3e;
/// Bridge control: secondary bus reset (bit 6).
pub const BRIDGE_CONTROL_RESET: u16 = 1 << 6;
/// Bridge control bits that hold what is written: parity, SERR, ISA, VGA, reset.
pub const BRIDGE_CONTROL_WRITABLE: u16 = 0x005f;

/// Capability ID: message-signalled interrupts (6.8.1).
pub const CAP_MSI: u8 = 0x05;
/// Capability ID: vendor-specific.
pub const CAP_VENDOR: u8 = 0x09;
/// Capability ID: PCI Express.
pub const CAP_PCIE: u8 = 0x10;
/// Capability ID: MSI-X (6.8.2).
pub const CAP_MSIX: u8 = 0x11;

/// MSI message control (6.8.1.3), offset in the capability.
pub const MSI_CONTROL: usize = 2;
/// MSI message address, low half (6.8.1.4).
pub const MSI_ADDRESS: usize = 4;
/// MSI message address, high half (6.8.1.5).
pub const MSI_ADDRESS_UPPER: usize = 8;
/// MSI message data of the 64-bit form (6.8.1.6).
pub const MSI_DATA: usize = 12;
/// MSI control: enable (bit 0).
pub const MSI_ENABLE: u16 = 1 << 0;
/// MSI control: 64-bit address capable (bit 7).
pub const MSI_WIDE: u16 = 1 << 7;

/// MSI-X message control (6.8.2.3), offset in the capability.
pub const MSIX_CONTROL: usize = 2;
/// MSI-X control: enable (bit 15).
pub const MSIX_ENABLE: u16 = 1 << 15;
/// MSI-X control: function mask (bit 14).
pub const MSIX_FUNCTION_MASK: u16 = 1 << 14;
/// Bytes of an MSI-X table entry (6.8.2.6): address low, address high, data, vector control.
pub const MSIX_ENTRY_BYTES: usize = 16;
/// Vector control: masked (6.8.2.9, bit 0).
pub const MSIX_VECTOR_MASKED: u32 = 1;
/// Most vectors of a function (6.8.2.3).
pub const MSIX_MAX_VECTORS: u16 = 2048;

/// I/O port of the configuration address (3.2.2.3.2).
pub const CONFIG_ADDRESS: u16 = 0xcf8;
/// I/O port of the configuration data (3.2.2.3.2).
pub const CONFIG_DATA: u16 = 0xcfc;
/// Configuration address: enable (bit 31).
pub const CONFIG_ENABLE: u32 = 1 << 31;
