//! Message-signalled interrupts, one vector, 64-bit address (PCI 3.0, 6.8.1).

use super::ConfigSpace;
use crate::spec::pci as spec;

/// The MSI capability of a function: where it is in configuration space, which holds its registers.
#[derive(Clone, Copy)]
pub struct Msi {
    at: usize,
}

impl Msi {
    /// Adds the capability; `None` if there is no room.
    pub fn add(config: &mut ConfigSpace) -> Option<Self> {
        let at = config.add_capability(spec::CAP_MSI, &[0; 12])?;
        config.set(at + spec::MSI_CONTROL, &spec::MSI_WIDE.to_le_bytes());
        // Multiple message enable (bits 6:4) is writable although one message is all we ask for: it must read back.
        config.allow(at + spec::MSI_CONTROL, &[0x71, 0]);
        config.allow(at + spec::MSI_ADDRESS, &[0xfc, 0xff, 0xff, 0xff]);
        config.allow(at + spec::MSI_ADDRESS_UPPER, &[0xff; 4]);
        config.allow(at + spec::MSI_DATA, &[0xff; 2]);
        Some(Self { at })
    }

    /// True if software enabled MSI.
    pub fn enabled(&self, config: &ConfigSpace) -> bool {
        config.u16(self.at + spec::MSI_CONTROL) & spec::MSI_ENABLE != 0
    }

    /// Address and data of the message.
    pub fn message(&self, config: &ConfigSpace) -> (u64, u32) {
        let low = config.u32(self.at + spec::MSI_ADDRESS);
        let high = config.u32(self.at + spec::MSI_ADDRESS_UPPER);
        (u64::from(high) << 32 | u64::from(low), u32::from(config.u16(self.at + spec::MSI_DATA)))
    }
}
