//! PCI Express Base Specification: the PCI Express capability structure (7.5.3) and native hot plug (6.7).
//!
//! Register offsets are relative to the capability.

/// PCI Express capabilities register (7.5.3.2).
pub const FLAGS: usize = 0x02;
/// Flags: capability version 2.
pub const FLAGS_VERSION: u16 = 2;
/// Flags, bits 7:4: root port of a root complex.
pub const FLAGS_ROOT_PORT: u16 = 4 << 4;
/// Flags, bit 8: slot implemented.
pub const FLAGS_SLOT: u16 = 1 << 8;
/// Bytes of the version 2 structure behind its two header bytes.
pub const BODY_BYTES: usize = 0x3c - 2;

/// Device capabilities (7.5.3.3).
pub const DEVICE_CAP: usize = 0x04;
/// Device capabilities: role-based error reporting (bit 15).
pub const DEVICE_CAP_RBER: u32 = 1 << 15;
/// Device capabilities: function level reset (bit 28).
pub const DEVICE_CAP_FLR: u32 = 1 << 28;
/// Device control (7.5.3.4).
pub const DEVICE_CONTROL: usize = 0x08;
/// Device control: initiate function level reset (bit 15), reads as zero.
pub const DEVICE_CONTROL_FLR: u16 = 1 << 15;
/// Device control bits that hold what is written (bits 14:0).
pub const DEVICE_CONTROL_WRITABLE: u16 = 0x7fff;
/// Device status (7.5.3.5); bits 3:0 are cleared by writing one.
pub const DEVICE_STATUS: usize = 0x0a;

/// Link capabilities (7.5.3.6).
pub const LINK_CAP: usize = 0x0c;
/// Link capabilities: 2.5 GT/s, x1.
pub const LINK_CAP_X1: u32 = 0x0000_0011;
/// Link capabilities: data link layer link active reporting capable (bit 20).
pub const LINK_CAP_ACTIVE_REPORTING: u32 = 1 << 20;
/// Link control (7.5.3.7).
pub const LINK_CONTROL: usize = 0x10;
/// Link control: link disable (bit 4).
pub const LINK_CONTROL_DISABLE: u16 = 1 << 4;
/// Link control bits that hold what is written (retrain, bit 5, reads as zero).
pub const LINK_CONTROL_WRITABLE: u16 = 0x0fdb;
/// Link status (7.5.3.8).
pub const LINK_STATUS: usize = 0x12;
/// Link status: 2.5 GT/s, x1 negotiated.
pub const LINK_STATUS_X1: u16 = 0x0011;
/// Link status: data link layer link active (bit 13).
pub const LINK_STATUS_ACTIVE: u16 = 1 << 13;

/// Slot capabilities (7.5.3.9).
pub const SLOT_CAP: usize = 0x14;
/// Slot capabilities: attention button (bit 0), power controller (1), attention indicator (3), power indicator (4), hot-plug
/// surprise (5), hot-plug capable (6).
pub const SLOT_CAP_HOT_PLUG: u32 = 0b0111_1011;
/// Lowest bit of the physical slot number (bits 31:19).
pub const SLOT_CAP_NUMBER_SHIFT: u32 = 19;
/// Slot control (7.5.3.10).
pub const SLOT_CONTROL: usize = 0x18;
/// Slot control: enables of the events in bits 4:0 of the status register.
pub const SLOT_CONTROL_EVENTS: u16 = 0x001f;
/// Slot control: hot-plug interrupt enable (bit 5).
pub const SLOT_CONTROL_INTERRUPT: u16 = 1 << 5;
/// Slot control, bits 7:6: attention indicator off.
pub const SLOT_CONTROL_ATTENTION_OFF: u16 = 3 << 6;
/// Slot control, bits 9:8: power indicator on.
pub const SLOT_CONTROL_POWER_INDICATOR_ON: u16 = 1 << 8;
/// Slot control, bits 9:8: power indicator off.
pub const SLOT_CONTROL_POWER_INDICATOR_OFF: u16 = 3 << 8;
/// Slot control: power controller control (bit 10); set = power off.
pub const SLOT_CONTROL_POWER_OFF: u16 = 1 << 10;
/// Slot control: data link layer state changed enable (bit 12).
pub const SLOT_CONTROL_LINK_CHANGED: u16 = 1 << 12;
/// Slot control bits that hold what is written (the interlock, bit 11, is not there).
pub const SLOT_CONTROL_WRITABLE: u16 = 0x17ff;
/// Slot status (7.5.3.11).
pub const SLOT_STATUS: usize = 0x1a;
/// Slot status: attention button pressed (bit 0).
pub const SLOT_STATUS_ATTENTION: u16 = 1 << 0;
/// Slot status: presence detect changed (bit 3).
pub const SLOT_STATUS_PRESENCE_CHANGED: u16 = 1 << 3;
/// Slot status: command completed (bit 4).
pub const SLOT_STATUS_COMPLETED: u16 = 1 << 4;
/// Slot status: presence detect state (bit 6).
pub const SLOT_STATUS_PRESENT: u16 = 1 << 6;
/// Slot status: data link layer state changed (bit 8).
pub const SLOT_STATUS_LINK_CHANGED: u16 = 1 << 8;
/// Slot status bits that software clears by writing one.
pub const SLOT_STATUS_W1C: u16 = 0x011f;

/// Root control (7.5.3.12).
pub const ROOT_CONTROL: usize = 0x1c;
/// Root control bits that hold what is written.
pub const ROOT_CONTROL_WRITABLE: u16 = 0x001f;
/// Device control 2 (7.5.3.16).
pub const DEVICE_CONTROL_2: usize = 0x28;
/// Device control 2 bits that hold what is written: completion timeout value and disable.
pub const DEVICE_CONTROL_2_WRITABLE: u16 = 0x001f;
/// Link capabilities 2 (7.5.3.18).
pub const LINK_CAP_2: usize = 0x2c;
/// Link capabilities 2: supported speeds: 2.5 GT/s.
pub const LINK_CAP_2_GEN1: u32 = 1 << 1;
/// Link control 2 (7.5.3.19); target speed 2.5 GT/s.
pub const LINK_CONTROL_2: usize = 0x30;
