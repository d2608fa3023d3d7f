//! The guest's accesses: memory, I/O ports, configuration space.

use super::core::Core;
use super::decode::Target;
use super::host::Host;
use super::{Platform, layout};
use crate::fault::plane::Site;
use crate::spec::pci as spec;

/// Bytes of a function's configuration space (PCIe Base, 7.2).
const CONFIG_BYTES: usize = 4096;

impl Platform {
    /// The guest reads memory that is not RAM. All ones where nothing answers; true if something did.
    pub fn mmio_read(&mut self, address: u64, into: &mut [u8], host: &mut dyn Host) -> bool {
        into.fill(0xff);
        if !matches!(into.len(), 1 | 2 | 4 | 8) {
            return false;
        }
        if let Some((bus, device, function, offset)) = ecam(address, into.len()) {
            self.config_read(bus, device, function, offset, into, host);
            return true;
        }
        self.core.decode();
        let Some(target) = self.core.decoder.find(address, into.len()) else { return false };
        self.core.read_bar(target, into, host);
        true
    }

    /// The guest writes memory that is not RAM. Vanishes where nothing answers; true if something did.
    pub fn mmio_write(&mut self, address: u64, from: &[u8], host: &mut dyn Host) -> bool {
        if !matches!(from.len(), 1 | 2 | 4 | 8) {
            return false;
        }
        if let Some((bus, device, function, offset)) = ecam(address, from.len()) {
            self.config_write(bus, device, function, offset, from, host);
            return true;
        }
        self.core.decode();
        let Some(target) = self.core.decoder.find(address, from.len()) else { return false };
        self.core.write_bar(target, from, host);
        true
    }

    /// The guest reads a port of the configuration mechanism, 0xCF8–0xCFF (PCI 3.0, 3.2.2.3.2); true if `port` is one.
    pub fn pio_read(&mut self, port: u16, into: &mut [u8], host: &mut dyn Host) -> bool {
        into.fill(0xff);
        if let Some(at) = within(port, spec::CONFIG_ADDRESS, into.len()) {
            into.copy_from_slice(&self.config_address.to_le_bytes()[at..at + into.len()]);
            return true;
        }
        let Some(at) = within(port, spec::CONFIG_DATA, into.len()) else { return false };
        if let Some((bus, device, function, offset)) = self.addressed() {
            self.config_read(bus, device, function, offset + at, into, host);
        }
        true
    }

    /// The guest writes such a port; true if `port` is one. The address register takes whole words only.
    pub fn pio_write(&mut self, port: u16, from: &[u8], host: &mut dyn Host) -> bool {
        if within(port, spec::CONFIG_ADDRESS, from.len()).is_some() {
            if let Ok(word) = <[u8; 4]>::try_from(from) {
                // Bits 30:24 and 1:0 are reserved and read as zero.
                self.config_address = u32::from_le_bytes(word) & 0x80ff_fffc;
            }
            return true;
        }
        let Some(at) = within(port, spec::CONFIG_DATA, from.len()) else { return false };
        if let Some((bus, device, function, offset)) = self.addressed() {
            self.config_write(bus, device, function, offset + at, from, host);
        }
        true
    }

    /// What the address register names, if it is enabled.
    fn addressed(&self) -> Option<(u8, u8, u8, usize)> {
        let word = self.config_address;
        (word & spec::CONFIG_ENABLE != 0).then_some((
            (word >> 16) as u8,
            (word >> 11) as u8 & 0x1f,
            (word >> 8) as u8 & 7,
            word as usize & 0xfc,
        ))
    }

    /// The guest reads configuration space. All ones where nothing answers.
    pub fn config_read(
        &mut self,
        bus: u8,
        device: u8,
        function: u8,
        offset: usize,
        into: &mut [u8],
        host: &mut dyn Host,
    ) {
        into.fill(0xff);
        if function != 0 || offset >= CONFIG_BYTES {
            return;
        }
        match (bus, device) {
            (0, 0) => self.core.bridge.read(offset, into),
            (0, number) => {
                if let Some(slot) = self.core.by_number(number.into()) {
                    self.core.slots[slot].port.config().read(offset, into);
                }
            }
            (bus, 0) => {
                if let Some(slot) = self.core.by_bus(bus) {
                    self.core.read_card(slot, offset, into, host);
                }
            }
            _ => {}
        }
    }

    /// The guest writes configuration space. Vanishes where nothing answers.
    pub fn config_write(
        &mut self,
        bus: u8,
        device: u8,
        function: u8,
        offset: usize,
        from: &[u8],
        host: &mut dyn Host,
    ) {
        if function != 0 || offset >= CONFIG_BYTES {
            return;
        }
        match (bus, device) {
            (0, 0) => self.core.bridge.write(offset, from),
            (0, number) => {
                if let Some(slot) = self.core.by_number(number.into()) {
                    self.core.write_port(slot, offset, from, host);
                }
            }
            (bus, 0) => {
                if let Some(slot) = self.core.by_bus(bus) {
                    self.core.site(slot, Site::ConfigWrite, host);
                    if self.core.slots[slot].live {
                        self.core.write_card(slot, offset, from, host);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Core {
    /// Reads a register of a card; `into` is all ones.
    fn read_bar(&mut self, target: Target, into: &mut [u8], host: &mut dyn Host) {
        let epoch = self.slots[target.slot].epoch;
        self.site(target.slot, Site::MmioRead, host);
        if !self.alive(target.slot, epoch) || self.slots[target.slot].faults.is_frozen() {
            return;
        }
        if target.msix {
            if let Some(msix) = self.slots[target.slot].function.msix() {
                msix.read(target.offset, into);
            }
            return;
        }
        self.with_model(target.slot, host, |model, env| {
            model.read(target.bar, target.offset, into, env);
        });
        // The answer of a card that went while it was answering is lost on the way.
        if !self.alive(target.slot, epoch) {
            into.fill(0xff);
        }
    }

    fn write_bar(&mut self, target: Target, from: &[u8], host: &mut dyn Host) {
        let epoch = self.slots[target.slot].epoch;
        self.site(target.slot, Site::MmioWrite, host);
        let rings = self.rings(target, from.len());
        if rings {
            self.site(target.slot, Site::Doorbell, host);
        }
        if !self.alive(target.slot, epoch) {
            return;
        }
        if self.slots[target.slot].faults.is_frozen() {
            self.hold_write(target, from, rings);
        } else {
            self.apply_write(target, from, host);
        }
    }

    /// A write reaches the card, which is there.
    pub(super) fn apply_write(&mut self, target: Target, from: &[u8], host: &mut dyn Host) {
        if target.msix {
            if let Some(msix) = self.slots[target.slot].function.msix() {
                msix.write(target.offset, from);
            }
            self.send_unmasked(target.slot, host);
            return;
        }
        self.with_model(target.slot, host, |model, env| {
            model.write(target.bar, target.offset, from, env);
        });
    }

    fn rings(&self, target: Target, width: usize) -> bool {
        self.slots[target.slot].doorbells.iter().any(|bell| {
            bell.bar == target.bar && bell.offset == target.offset && usize::from(bell.width) == width
        })
    }

    /// Reads configuration space of a card; `into` is all ones.
    fn read_card(&mut self, slot: usize, offset: usize, into: &mut [u8], host: &mut dyn Host) {
        self.site(slot, Site::ConfigRead, host);
        if !self.slots[slot].live {
            return;
        }
        self.slots[slot].function.config().read(offset, into);
        let Some((index, at)) = self.slots[slot].function.vendor_body(offset, into.len()) else {
            return;
        };
        let epoch = self.slots[slot].epoch;
        self.with_model(slot, host, |model, env| {
            // The stored bytes are in `into` already if the model has nothing to say.
            model.config_read(index, at, into, env);
        });
        if !self.alive(slot, epoch) {
            into.fill(0xff);
        }
    }
}

/// The offset of `port` in the four ports from `base`, if the access lies within.
fn within(port: u16, base: u16, length: usize) -> Option<usize> {
    let at = usize::from(port.checked_sub(base)?);
    (matches!(length, 1 | 2 | 4) && at + length <= 4).then_some(at)
}

/// Bus, device, function and offset of an ECAM address (PCIe Base, 7.2.2), for accesses that stay within a dword.
fn ecam(address: u64, length: usize) -> Option<(u8, u8, u8, usize)> {
    let at = address.checked_sub(layout::ECAM_BASE)?;
    if at >= layout::ECAM_BYTES || at % 4096 + length as u64 > 4096 {
        return None;
    }
    Some(((at >> 20) as u8, (at >> 15) as u8 & 0x1f, (at >> 12) as u8 & 7, at as usize & 0xfff))
}
