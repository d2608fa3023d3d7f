//! Registers and structures of virtio over PCI and of the block device (virtio 1.2).

/// PCI vendor ID (4.1.2).
pub const VENDOR: u64 = 0x1af4;
/// PCI device ID of a modern block device: 0x1040 + device type 2 (4.1.2).
pub const DEVICE: u64 = 0x1042;

/// Capability, offset of cfg_type (4.1.4).
pub const CAP_TYPE: u16 = 3;
/// Capability, offset of the BAR number.
pub const CAP_BAR: u16 = 4;
/// Capability, offset of the offset in the BAR.
pub const CAP_OFFSET: u16 = 8;
/// Capability, offset of the length.
pub const CAP_LENGTH: u16 = 12;
/// Notification capability, offset of the multiplier (4.1.4.4).
pub const CAP_MULTIPLIER: u16 = 16;
/// cfg_type: common configuration.
pub const TYPE_COMMON: u8 = 1;
/// cfg_type: notifications.
pub const TYPE_NOTIFY: u8 = 2;
/// cfg_type: ISR status.
pub const TYPE_ISR: u8 = 3;
/// cfg_type: device-specific configuration.
pub const TYPE_DEVICE: u8 = 4;

/// Common configuration (4.1.4.3): which 32 device features are seen.
pub const DEVICE_FEATURE_SELECT: u64 = 0;
/// Device features.
pub const DEVICE_FEATURE: u64 = 4;
/// Which 32 driver features are seen.
pub const DRIVER_FEATURE_SELECT: u64 = 8;
/// Driver features.
pub const DRIVER_FEATURE: u64 = 12;
/// MSI-X vector of configuration changes.
pub const CONFIG_VECTOR: u64 = 16;
/// Device status.
pub const STATUS: u64 = 20;
/// Which queue is seen.
pub const QUEUE_SELECT: u64 = 22;
/// Entries of the queue.
pub const QUEUE_SIZE: u64 = 24;
/// MSI-X vector of the queue.
pub const QUEUE_VECTOR: u64 = 26;
/// Queue enabled.
pub const QUEUE_ENABLE: u64 = 28;
/// Queue's notification offset, in multiples.
pub const QUEUE_NOTIFY_OFF: u64 = 30;
/// Descriptor area, 64 bits in two halves.
pub const QUEUE_DESC: u64 = 32;
/// Driver area.
pub const QUEUE_DRIVER: u64 = 40;
/// Device area.
pub const QUEUE_DEVICE: u64 = 48;
/// Bytes of the structure.
pub const COMMON_BYTES: u64 = 56;

/// No MSI-X vector.
pub const NO_VECTOR: u16 = 0xffff;

/// Status bits (2.1).
pub const ACKNOWLEDGE: u8 = 1;
/// A driver is there.
pub const DRIVER: u8 = 2;
/// The driver is ready.
pub const DRIVER_OK: u8 = 4;
/// Features are agreed.
pub const FEATURES_OK: u8 = 8;
/// The driver gave up.
pub const FAILED: u8 = 128;

/// Feature: virtio 1 (6).
pub const F_VERSION_1: u64 = 1 << 32;
/// Feature: read-only disk (5.2.3).
pub const F_RO: u64 = 1 << 5;
/// Feature: flush (5.2.3).
pub const F_FLUSH: u64 = 1 << 9;

/// ISR status bit 0: the queue (4.1.4.5). Reading clears.
pub const ISR_QUEUE: u8 = 1;

/// Device configuration: capacity in blocks of 512 bytes (5.2.4).
pub const CAPACITY: u64 = 0;
/// Bytes of a block: requests count in these whatever the disk prefers (5.2.6).
pub const BLOCK_BYTES: u32 = 512;

/// Request type: read (5.2.6).
pub const T_IN: u32 = 0;
/// Request type: write.
pub const T_OUT: u32 = 1;
/// Request type: flush.
pub const T_FLUSH: u32 = 4;
/// Request status: done.
pub const S_OK: u8 = 0;
/// Request status: not supported.
pub const S_UNSUPPORTED: u8 = 2;
/// Bytes of a request's header.
pub const HEADER_BYTES: u32 = 16;

/// Descriptor flag: the chain goes on (2.7.5).
pub const DESC_NEXT: u16 = 1;
/// Descriptor flag: the device writes.
pub const DESC_WRITE: u16 = 2;
