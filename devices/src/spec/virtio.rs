//! Virtio 1.2: the PCI transport (4.1) and the block device (5.2).

/// PCI vendor ID (4.1.2).
pub const VENDOR: u16 = 0x1af4;
/// PCI device ID of device type 0 (4.1.2).
pub const DEVICE_BASE: u16 = 0x1040;
/// Device type: block (5).
pub const TYPE_BLOCK: u16 = 2;

/// Capability type: common configuration (4.1.4.3).
pub const CFG_COMMON: u8 = 1;
/// Capability type: notifications (4.1.4.4).
pub const CFG_NOTIFY: u8 = 2;
/// Capability type: ISR status (4.1.4.5).
pub const CFG_ISR: u8 = 3;
/// Capability type: device-specific configuration (4.1.4.6).
pub const CFG_DEVICE: u8 = 4;
/// Capability type: PCI configuration access (4.1.4.9).
pub const CFG_PCI: u8 = 5;

/// Selects the half of the device's features (4.1.4.3).
pub const DEVICE_FEATURE_SELECT: u64 = 0x00;
/// The selected half of the device's features.
pub const DEVICE_FEATURE: u64 = 0x04;
/// Selects the half of the driver's features.
pub const DRIVER_FEATURE_SELECT: u64 = 0x08;
/// The selected half of the driver's features.
pub const DRIVER_FEATURE: u64 = 0x0c;
/// MSI-X vector of configuration changes.
pub const CONFIG_VECTOR: u64 = 0x10;
/// Number of queues.
pub const NUM_QUEUES: u64 = 0x12;
/// Device status (2.1); writing 0 resets.
pub const DEVICE_STATUS: u64 = 0x14;
/// Configuration generation (4.1.4.3.1).
pub const CONFIG_GENERATION: u64 = 0x15;
/// Selects a queue.
pub const QUEUE_SELECT: u64 = 0x16;
/// Size of the selected queue.
pub const QUEUE_SIZE: u64 = 0x18;
/// MSI-X vector of the selected queue.
pub const QUEUE_VECTOR: u64 = 0x1a;
/// Enables the selected queue.
pub const QUEUE_ENABLE: u64 = 0x1c;
/// Notification offset of the selected queue.
pub const QUEUE_NOTIFY_OFF: u64 = 0x1e;
/// Address of the descriptor table, low half; the high half follows.
pub const QUEUE_DESC: u64 = 0x20;
/// Address of the available ring.
pub const QUEUE_DRIVER: u64 = 0x28;
/// Address of the used ring.
pub const QUEUE_DEVICE: u64 = 0x30;
/// No MSI-X vector (4.1.5.1.2).
pub const NO_VECTOR: u16 = 0xffff;

/// Status: the driver is ready (2.1).
pub const STATUS_DRIVER_OK: u8 = 4;
/// Status: features are negotiated.
pub const STATUS_FEATURES_OK: u8 = 8;
/// Status: the device has met an error that only a reset cures.
pub const STATUS_NEEDS_RESET: u8 = 64;
/// Status bits that a driver may set: acknowledge, driver, driver ok, features ok, failed.
pub const STATUS_DRIVER_BITS: u8 = 0x8f;

/// Feature: indirect descriptors (2.7.5.3).
pub const F_INDIRECT: u64 = 1 << 28;
/// Feature: used and available event fields (2.7.7).
pub const F_EVENT_IDX: u64 = 1 << 29;
/// Feature: version 1 (6).
pub const F_VERSION_1: u64 = 1 << 32;

/// ISR: queue interrupt (4.1.4.5).
pub const ISR_QUEUE: u8 = 1;
/// ISR: configuration interrupt.
pub const ISR_CONFIG: u8 = 2;

/// Available ring flag: the driver wants no interrupt (2.7.6).
pub const AVAIL_NO_INTERRUPT: u16 = 1;

/// Bytes of a sector (5.2.6).
pub const SECTOR_BYTES: u64 = 512;
/// Block feature: largest segment is in the configuration (5.2.3).
pub const BLK_F_SIZE_MAX: u64 = 1 << 1;
/// Block feature: most segments of a request are in the configuration.
pub const BLK_F_SEG_MAX: u64 = 1 << 2;
/// Block feature: block size is in the configuration.
pub const BLK_F_BLK_SIZE: u64 = 1 << 6;
/// Block feature: flush requests.
pub const BLK_F_FLUSH: u64 = 1 << 9;
/// Bytes of a request's header: type, reserved, sector (5.2.6).
pub const BLK_HEADER_BYTES: usize = 16;
/// Request: read.
pub const BLK_T_IN: u32 = 0;
/// Request: write.
pub const BLK_T_OUT: u32 = 1;
/// Request: flush.
pub const BLK_T_FLUSH: u32 = 4;
/// Request: identification string.
pub const BLK_T_GET_ID: u32 = 8;
/// Bytes of the identification string.
pub const BLK_ID_BYTES: usize = 20;
/// Request status: done.
pub const BLK_S_OK: u8 = 0;
/// Request status: failed.
pub const BLK_S_IOERR: u8 = 1;
/// Request status: no such request.
pub const BLK_S_UNSUPP: u8 = 2;
