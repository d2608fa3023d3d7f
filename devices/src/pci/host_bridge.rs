//! The host bridge, 00:00.0: identity and nothing else.

use super::ConfigSpace;

/// Vendor ID that the bridges of this bench use (Red Hat's, as QEMU's generic PCIe bridges).
pub const VENDOR: u16 = 0x1b36;
/// Device ID of the host bridge (QEMU's generic PCIe host).
pub const DEVICE: u16 = 0x0008;

/// Its configuration space.
pub fn config() -> ConfigSpace {
    let mut config = ConfigSpace::new();
    config.identify(VENDOR, DEVICE, [0x06, 0x00, 0x00], 0);
    config
}
