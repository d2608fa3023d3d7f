//! USB: requests and descriptors (USB 2.0, chapter 9; USB 3.2, chapter 9), hubs (USB 2.0, chapter 11), and the classes of the devices that are
//! modelled: mass storage (Bulk-Only Transport 1.0), HID 1.11, CDC 1.2 with PSTN 1.2.

/// Bytes of a setup packet (9.3).
pub const SETUP_BYTES: usize = 8;

/// bmRequestType: the data stage goes to the host (9.3.1).
pub const REQUEST_IN: u8 = 0x80;
/// bmRequestType: type.
pub const REQUEST_TYPE: u8 = 0x60;
/// Type: standard.
pub const TYPE_STANDARD: u8 = 0x00;
/// Type: class.
pub const TYPE_CLASS: u8 = 0x20;
/// bmRequestType: recipient.
pub const REQUEST_RECIPIENT: u8 = 0x1f;
/// Recipient: the device.
pub const TO_DEVICE: u8 = 0;
/// Recipient: an interface.
pub const TO_INTERFACE: u8 = 1;
/// Recipient: an endpoint.
pub const TO_ENDPOINT: u8 = 2;
/// Recipient: other; of a hub, a port.
pub const TO_OTHER: u8 = 3;

/// GET_STATUS (9.4, table 9-4).
pub const GET_STATUS: u8 = 0;
/// CLEAR_FEATURE.
pub const CLEAR_FEATURE: u8 = 1;
/// SET_FEATURE.
pub const SET_FEATURE: u8 = 3;
/// SET_ADDRESS.
pub const SET_ADDRESS: u8 = 5;
/// GET_DESCRIPTOR.
pub const GET_DESCRIPTOR: u8 = 6;
/// GET_CONFIGURATION.
pub const GET_CONFIGURATION: u8 = 8;
/// SET_CONFIGURATION.
pub const SET_CONFIGURATION: u8 = 9;
/// GET_INTERFACE.
pub const GET_INTERFACE: u8 = 10;
/// SET_INTERFACE.
pub const SET_INTERFACE: u8 = 11;
/// SET_SEL (USB 3.2, 9.4.12).
pub const SET_SEL: u8 = 48;
/// SET_ISOCH_DELAY (USB 3.2, 9.4.11).
pub const SET_ISOCH_DELAY: u8 = 49;

/// Feature: halt of an endpoint (9.4, table 9-6).
pub const FEATURE_HALT: u16 = 0;
/// Feature: remote wake-up; of an interface of a SuperSpeed device, function suspend.
pub const FEATURE_REMOTE_WAKEUP: u16 = 1;
/// Feature: U1 enable, of a SuperSpeed device (USB 3.2, table 9-7).
pub const FEATURE_U1: u16 = 48;
/// Feature: U2 enable.
pub const FEATURE_U2: u16 = 49;

/// Descriptor type: device (table 9-5).
pub const DESCRIPTOR_DEVICE: u8 = 1;
/// Descriptor type: configuration.
pub const DESCRIPTOR_CONFIGURATION: u8 = 2;
/// Descriptor type: string.
pub const DESCRIPTOR_STRING: u8 = 3;
/// Descriptor type: interface.
pub const DESCRIPTOR_INTERFACE: u8 = 4;
/// Descriptor type: endpoint.
pub const DESCRIPTOR_ENDPOINT: u8 = 5;
/// Descriptor type: what a device would be at the other speed (9.6.2).
pub const DESCRIPTOR_QUALIFIER: u8 = 6;
/// Descriptor type: binary object store (USB 3.2, 9.6.2).
pub const DESCRIPTOR_BOS: u8 = 15;
/// Descriptor type: device capability, in the store.
pub const DESCRIPTOR_CAPABILITY: u8 = 16;
/// Descriptor type: hub (11.23.2.1).
pub const DESCRIPTOR_HUB: u8 = 0x29;
/// Descriptor type: companion of a SuperSpeed endpoint (USB 3.2, 9.6.7).
pub const DESCRIPTOR_COMPANION: u8 = 0x30;
/// US English, the one language of strings.
pub const LANGUAGE: u16 = 0x0409;

/// Configuration attribute that is always one (9.6.3).
pub const ATTRIBUTE_ONE: u8 = 0x80;
/// Configuration attribute: has power of its own.
pub const ATTRIBUTE_SELF_POWERED: u8 = 0x40;
/// Endpoint attribute (9.6.6): isochronous.
pub const ISOCHRONOUS: u8 = 1;
/// Endpoint attribute: bulk.
pub const BULK: u8 = 2;
/// Endpoint attribute: interrupt.
pub const INTERRUPT: u8 = 3;

/// Vendor ID of the Linux Foundation, under which virtual devices are found.
pub const VENDOR: u16 = 0x1d6b;

/// Class: communications.
pub const CLASS_CDC: u8 = 0x02;
/// Class: human interface.
pub const CLASS_HID: u8 = 0x03;
/// Class: mass storage.
pub const CLASS_STORAGE: u8 = 0x08;
/// Class: hub.
pub const CLASS_HUB: u8 = 0x09;
/// Class: CDC data.
pub const CLASS_CDC_DATA: u8 = 0x0a;

/// Mass storage subclass: transparent SCSI.
pub const STORAGE_SCSI: u8 = 0x06;
/// Mass storage protocol: bulk only.
pub const STORAGE_BULK_ONLY: u8 = 0x50;
/// Bulk-only mass storage reset (BOT 3.1).
pub const STORAGE_RESET: u8 = 0xff;
/// Get max LUN (BOT 3.2).
pub const STORAGE_MAX_LUN: u8 = 0xfe;
/// Signature of a command block wrapper (BOT 5.1).
pub const CBW_SIGNATURE: u32 = 0x4342_5355;
/// Bytes of a command block wrapper.
pub const CBW_BYTES: usize = 31;
/// Signature of a command status wrapper (BOT 5.2).
pub const CSW_SIGNATURE: u32 = 0x5342_5355;
/// Bytes of a command status wrapper.
pub const CSW_BYTES: usize = 13;
/// Status: passed.
pub const CSW_PASSED: u8 = 0;
/// Status: failed.
pub const CSW_FAILED: u8 = 1;
/// Status: phase error.
pub const CSW_PHASE: u8 = 2;

/// HID subclass: boot interface (HID 4.2).
pub const HID_BOOT: u8 = 1;
/// HID protocol: keyboard (HID 4.3).
pub const HID_KEYBOARD: u8 = 1;
/// HID protocol: mouse.
pub const HID_MOUSE: u8 = 2;
/// HID descriptor (HID 7.1).
pub const DESCRIPTOR_HID: u8 = 0x21;
/// HID report descriptor.
pub const DESCRIPTOR_REPORT: u8 = 0x22;
/// GET_REPORT (HID 7.2).
pub const HID_GET_REPORT: u8 = 1;
/// GET_IDLE.
pub const HID_GET_IDLE: u8 = 2;
/// GET_PROTOCOL.
pub const HID_GET_PROTOCOL: u8 = 3;
/// SET_REPORT.
pub const HID_SET_REPORT: u8 = 9;
/// SET_IDLE.
pub const HID_SET_IDLE: u8 = 10;
/// SET_PROTOCOL.
pub const HID_SET_PROTOCOL: u8 = 11;

/// CDC subclass: abstract control model (CDC 4.3).
pub const CDC_ACM: u8 = 2;
/// CDC protocol: AT commands (CDC 4.4).
pub const CDC_AT: u8 = 1;
/// Class-specific interface descriptor (CDC 5.2.3).
pub const DESCRIPTOR_CS_INTERFACE: u8 = 0x24;
/// SET_LINE_CODING (PSTN 6.3.10).
pub const CDC_SET_LINE_CODING: u8 = 0x20;
/// GET_LINE_CODING (PSTN 6.3.11).
pub const CDC_GET_LINE_CODING: u8 = 0x21;
/// SET_CONTROL_LINE_STATE (PSTN 6.3.12).
pub const CDC_SET_CONTROL_LINES: u8 = 0x22;
/// SEND_BREAK (PSTN 6.3.13).
pub const CDC_SEND_BREAK: u8 = 0x23;
/// SERIAL_STATE notification (PSTN 6.5.4).
pub const CDC_SERIAL_STATE: u8 = 0x20;

/// Port status: a device is there (11.24.2.7.1).
pub const PORT_CONNECTION: u32 = 1 << 0;
/// Port status: enabled.
pub const PORT_ENABLE: u32 = 1 << 1;
/// Port status: suspended.
pub const PORT_SUSPEND: u32 = 1 << 2;
/// Port status: too much current.
pub const PORT_OVER_CURRENT: u32 = 1 << 3;
/// Port status: reset is driven.
pub const PORT_RESET: u32 = 1 << 4;
/// Port status: powered.
pub const PORT_POWER: u32 = 1 << 8;
/// Port status: a low-speed device.
pub const PORT_LOW_SPEED: u32 = 1 << 9;
/// Port status: a high-speed device.
pub const PORT_HIGH_SPEED: u32 = 1 << 10;
/// Distance from a status bit to its change bit (11.24.2.7.2).
pub const PORT_CHANGE: u32 = 16;
/// Feature of a port (table 11-17): enable, suspend, over-current, reset and power have the numbers of their bits; the change of bit n is 16 + n.
pub const FEATURE_CHANGE: u16 = 16;
