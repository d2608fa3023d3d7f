//! The PCI Express capability (PCIe Base, 7.5.3).

use super::ConfigSpace;
use crate::spec::{pci, pcie};

/// Adds the capability of an endpoint; the offset, or `None` if there is no room.
pub fn add_endpoint(config: &mut ConfigSpace) -> Option<usize> {
    let at = add(config, pcie::FLAGS_VERSION)?;
    set_device(config, at, pcie::DEVICE_CAP_RBER | pcie::DEVICE_CAP_FLR);
    config.set(at + pcie::LINK_CAP, &pcie::LINK_CAP_X1.to_le_bytes());
    config.set(at + pcie::LINK_STATUS, &pcie::LINK_STATUS_X1.to_le_bytes());
    Some(at)
}

/// Adds the capability of a root port with a hot-plug slot of physical number `slot`.
pub fn add_root_port(config: &mut ConfigSpace, slot: u32) -> Option<usize> {
    let flags = pcie::FLAGS_VERSION | pcie::FLAGS_ROOT_PORT | pcie::FLAGS_SLOT;
    let at = add(config, flags)?;
    set_device(config, at, pcie::DEVICE_CAP_RBER);
    let link = pcie::LINK_CAP_X1 | pcie::LINK_CAP_ACTIVE_REPORTING | (slot & 0xff) << 24;
    config.set(at + pcie::LINK_CAP, &link.to_le_bytes());
    config.allow(at + pcie::LINK_CONTROL, &pcie::LINK_CONTROL_WRITABLE.to_le_bytes());
    let capabilities = pcie::SLOT_CAP_HOT_PLUG | slot << pcie::SLOT_CAP_NUMBER_SHIFT;
    config.set(at + pcie::SLOT_CAP, &capabilities.to_le_bytes());
    let control = pcie::SLOT_CONTROL_ATTENTION_OFF
        | pcie::SLOT_CONTROL_POWER_INDICATOR_OFF
        | pcie::SLOT_CONTROL_POWER_OFF;
    config.set(at + pcie::SLOT_CONTROL, &control.to_le_bytes());
    config.allow(at + pcie::SLOT_CONTROL, &pcie::SLOT_CONTROL_WRITABLE.to_le_bytes());
    config.allow_clear(at + pcie::SLOT_STATUS, &pcie::SLOT_STATUS_W1C.to_le_bytes());
    config.allow(at + pcie::ROOT_CONTROL, &pcie::ROOT_CONTROL_WRITABLE.to_le_bytes());
    Some(at)
}

fn add(config: &mut ConfigSpace, flags: u16) -> Option<usize> {
    let at = config.add_capability(pci::CAP_PCIE, &[0; pcie::BODY_BYTES])?;
    config.set(at + pcie::FLAGS, &flags.to_le_bytes());
    config.set(at + pcie::LINK_CAP_2, &pcie::LINK_CAP_2_GEN1.to_le_bytes());
    config.set(at + pcie::LINK_CONTROL_2, &[1]);
    config.allow(at + pcie::DEVICE_CONTROL_2, &pcie::DEVICE_CONTROL_2_WRITABLE.to_le_bytes());
    Some(at)
}

fn set_device(config: &mut ConfigSpace, at: usize, capabilities: u32) {
    config.set(at + pcie::DEVICE_CAP, &capabilities.to_le_bytes());
    config.allow(at + pcie::DEVICE_CONTROL, &pcie::DEVICE_CONTROL_WRITABLE.to_le_bytes());
    config.allow_clear(at + pcie::DEVICE_STATUS, &[0x0f]);
}
