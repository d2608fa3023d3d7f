//! Access to configuration space, and the walk along a function's capabilities.

use super::regs;
use alloc::vec::Vec;
use mach::seam::{Bdf, Machine, Width};

/// Most capabilities that fit into the 192 bytes behind the header (each at least a doubleword): the bound of the walk
/// along a hostile chain.
const MOST_CAPABILITIES: usize = 48;

/// A way into configuration space. The machine is one; unit tests have another.
pub trait ConfigBus {
    /// Reads `width` bytes at `offset`; all ones where nothing answers.
    fn read(&self, function: Bdf, offset: u16, width: Width) -> u32;
    /// Writes `width` bytes at `offset`.
    fn write(&self, function: Bdf, offset: u16, width: Width, value: u32);
}

impl ConfigBus for &(dyn Machine + '_) {
    fn read(&self, function: Bdf, offset: u16, width: Width) -> u32 {
        self.config_read(function, offset, width)
    }
    fn write(&self, function: Bdf, offset: u16, width: Width, value: u32) {
        self.config_write(function, offset, width, value);
    }
}

/// The configuration space of one function.
#[derive(Clone, Copy)]
pub struct Config<'a> {
    bus: &'a dyn ConfigBus,
    function: Bdf,
}

impl<'a> Config<'a> {
    /// Configuration space of `function`, reached through `bus`.
    pub fn new(bus: &'a dyn ConfigBus, function: Bdf) -> Self {
        Self { bus, function }
    }

    /// The function's address.
    pub fn function(&self) -> Bdf {
        self.function
    }

    /// Reads a byte.
    pub fn read8(&self, offset: u16) -> u8 {
        self.bus.read(self.function, offset, Width::B1) as u8
    }

    /// Reads a word; `offset` is even.
    pub fn read16(&self, offset: u16) -> u16 {
        self.bus.read(self.function, offset, Width::B2) as u16
    }

    /// Reads a doubleword; `offset` is a multiple of four.
    pub fn read32(&self, offset: u16) -> u32 {
        self.bus.read(self.function, offset, Width::B4)
    }

    /// Writes a byte.
    pub fn write8(&self, offset: u16, value: u8) {
        self.bus.write(self.function, offset, Width::B1, u32::from(value));
    }

    /// Writes a word.
    pub fn write16(&self, offset: u16, value: u16) {
        self.bus.write(self.function, offset, Width::B2, u32::from(value));
    }

    /// Writes a doubleword.
    pub fn write32(&self, offset: u16, value: u32) {
        self.bus.write(self.function, offset, Width::B4, value);
    }

    /// What the function is, from two reads; `None` if nothing answers (PCI 6.1: vendor FFFFh).
    pub fn identify(&self) -> Option<Identity> {
        let ids = self.read32(regs::VENDOR);
        if ids as u16 == 0xffff {
            return None;
        }
        let class = self.read32(regs::REVISION_CLASS);
        Some(Identity {
            vendor: ids as u16,
            device: (ids >> 16) as u16,
            class: class >> 8,
            revision: class as u8,
        })
    }

    /// The capabilities in chain order: at most as many as fit, each offset once.
    pub fn capabilities(&self) -> Vec<Capability> {
        let mut found = Vec::new();
        if self.read16(regs::STATUS) & regs::STATUS_CAPABILITIES == 0 {
            return found;
        }
        let mut offset = self.read8(regs::CAPABILITIES) & 0xfc;
        while offset >= 0x40 && found.len() < MOST_CAPABILITIES {
            let header = self.read16(u16::from(offset));
            if header == 0xffff || found.iter().any(|c: &Capability| c.offset == u16::from(offset)) {
                break;
            }
            found.push(Capability { id: header as u8, offset: u16::from(offset) });
            offset = (header >> 8) as u8 & 0xfc;
        }
        found
    }
}

/// What a function says it is (PCI 6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Class code: base class, subclass, programming interface, in 24 bits.
    pub class: u32,
    /// Revision ID.
    pub revision: u8,
}

/// One entry of a function's capability list (PCI 6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Capability ID.
    pub id: u8,
    /// Where it starts in configuration space.
    pub offset: u16,
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeBus;
    use super::*;

    #[test]
    fn nothing_answers_with_all_ones() {
        let bus = FakeBus::new();
        assert_eq!(Config::new(&bus, Bdf { bus: 3, device: 0, function: 0 }).identify(), None);
    }

    #[test]
    fn the_chain_is_walked_once_even_if_it_is_a_loop() {
        let bus = FakeBus::new();
        let at = Bdf { bus: 0, device: 1, function: 0 };
        bus.function(at);
        bus.poke(at, regs::STATUS, &[0x10, 0]);
        bus.poke(at, regs::CAPABILITIES, &[0x43]);
        bus.poke(at, 0x40, &[regs::CAP_MSI, 0x50]);
        bus.poke(at, 0x50, &[regs::CAP_EXPRESS, 0x40]);
        let found = Config::new(&bus, at).capabilities();
        assert_eq!(found, [Capability { id: 5, offset: 0x40 }, Capability { id: 0x10, offset: 0x50 }]);
    }
}
