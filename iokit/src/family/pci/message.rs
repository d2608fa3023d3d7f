//! Message-signalled interrupts: the MSI and MSI-X capabilities (PCI 6.8).

use super::config::Config;

/// Message control, from the start of either capability.
const CONTROL: u16 = 0x02;

/// MSI control bit 0: enabled.
const MSI_ENABLE: u16 = 1 << 0;
/// MSI control bit 7: 64-bit address.
const MSI_WIDE: u16 = 1 << 7;
/// MSI control bits 6:4: messages that software granted.
const MSI_MULTIPLE: u16 = 7 << 4;
/// MSI message address.
const MSI_ADDRESS: u16 = 0x04;

/// MSI-X control bits 10:0: entries − 1.
const MSIX_SIZE: u16 = 0x7ff;
/// MSI-X control bit 14: all vectors masked.
const MSIX_MASK_ALL: u16 = 1 << 14;
/// MSI-X control bit 15: enabled.
const MSIX_ENABLE: u16 = 1 << 15;
/// MSI-X table offset and BAR number.
const MSIX_TABLE: u16 = 0x04;
/// Bytes of a table entry.
const MSIX_ENTRY: u64 = 16;

/// Where a message goes: address and data.
pub type Message = (u64, u32);

/// Programs the one MSI message of the capability at `offset` and enables it.
pub fn enable_msi(config: &Config<'_>, offset: u16, (address, data): Message) {
    let control = config.read16(offset + CONTROL);
    config.write32(offset + MSI_ADDRESS, address as u32);
    let data_at = if control & MSI_WIDE != 0 {
        config.write32(offset + MSI_ADDRESS + 4, (address >> 32) as u32);
        offset + MSI_ADDRESS + 8
    } else {
        offset + MSI_ADDRESS + 4
    };
    config.write16(data_at, data as u16);
    config.write16(offset + CONTROL, control & !MSI_MULTIPLE | MSI_ENABLE);
}

/// Disables MSI.
pub fn disable_msi(config: &Config<'_>, offset: u16) {
    let control = config.read16(offset + CONTROL);
    config.write16(offset + CONTROL, control & !MSI_ENABLE);
}

/// An MSI-X capability: where its table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixTable {
    /// BAR that holds the table.
    pub bar: u8,
    /// Offset in it, in bytes.
    pub offset: u32,
    /// Number of vectors, 1–2048.
    pub entries: u16,
}

impl MsixTable {
    /// Reads the capability at `offset`.
    pub fn read(config: &Config<'_>, offset: u16) -> Self {
        let table = config.read32(offset + MSIX_TABLE);
        let entries = (config.read16(offset + CONTROL) & MSIX_SIZE) + 1;
        Self { bar: (table & 7) as u8, offset: table & !7, entries }
    }

    /// The registers of entry `index` as (offset in the BAR, value): address, data, vector control with the mask bit clear.
    pub fn entry(&self, index: u16, (address, data): Message) -> [(u64, u32); 4] {
        let at = u64::from(self.offset) + MSIX_ENTRY * u64::from(index);
        [(at, address as u32), (at + 4, (address >> 32) as u32), (at + 8, data), (at + 12, 0)]
    }

    /// The register that masks entry `index`, as (offset in the BAR, value).
    pub fn mask(&self, index: u16) -> (u64, u32) {
        (u64::from(self.offset) + MSIX_ENTRY * u64::from(index) + 12, 1)
    }
}

/// Enables MSI-X of the capability at `offset`; vectors are masked one by one.
pub fn enable_msix(config: &Config<'_>, offset: u16) {
    let control = config.read16(offset + CONTROL);
    config.write16(offset + CONTROL, control & !MSIX_MASK_ALL | MSIX_ENABLE);
}

/// Disables MSI-X.
pub fn disable_msix(config: &Config<'_>, offset: u16) {
    let control = config.read16(offset + CONTROL);
    config.write16(offset + CONTROL, control & !MSIX_ENABLE);
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeBus;
    use super::*;
    use mach::seam::Bdf;

    const AT: Bdf = Bdf { bus: 1, device: 0, function: 0 };

    #[test]
    fn data_stands_behind_the_address_of_either_width() {
        for (wide, data_at) in [(0u8, 0x48u16), (0x80, 0x4c)] {
            let bus = FakeBus::new();
            bus.function(AT);
            bus.poke(AT, 0x42, &[wide | 0x10]);
            let config = Config::new(&bus, AT);
            enable_msi(&config, 0x40, (0xfee0_1000, 0x31));
            assert_eq!(config.read32(0x44), 0xfee0_1000);
            assert_eq!(config.read16(data_at), 0x31);
            assert_eq!(config.read16(0x42), u16::from(wide) | 1);
            disable_msi(&config, 0x40);
            assert_eq!(config.read16(0x42), u16::from(wide));
        }
    }

    #[test]
    fn the_msix_table_is_found() {
        let bus = FakeBus::new();
        bus.function(AT);
        bus.poke(AT, 0x42, &[0x02, 0x40, 0x01, 0x08]);
        let config = Config::new(&bus, AT);
        let table = MsixTable::read(&config, 0x40);
        assert_eq!(table, MsixTable { bar: 1, offset: 0x800, entries: 3 });
        assert_eq!(table.entry(1, (0xfee0_0000, 0x40))[2], (0x818, 0x40));
        enable_msix(&config, 0x40);
        assert_eq!(config.read16(0x42), 0x8002);
    }
}
