//! Base address registers: what a function asks for, and where it was put (PCI 6.2.5).

use super::config::Config;
use super::regs::{self, Command};
use alloc::vec::Vec;

/// Base address registers of a type 0 header.
pub const ENDPOINT_BARS: u8 = 6;
/// Base address registers of a bridge.
pub const BRIDGE_BARS: u8 = 2;

/// A memory range that a function answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Number of the register, 0–5.
    pub index: u8,
    /// First address; 0 = not assigned.
    pub base: u64,
    /// Bytes, a power of two.
    pub size: u64,
    /// Takes two registers and may lie above 4 GiB.
    pub wide: bool,
    /// Reads have no side effects.
    pub prefetchable: bool,
}

impl Bar {
    fn offset(&self) -> u16 {
        regs::BAR0 + 4 * u16::from(self.index)
    }

    /// Puts the range at `base` and tells the function.
    pub fn assign(&mut self, config: &Config<'_>, base: u64) {
        self.base = base;
        config.write32(self.offset(), base as u32);
        if self.wide {
            config.write32(self.offset() + 4, (base >> 32) as u32);
        }
    }
}

/// The memory BARs of a function, sized by writing ones. Memory decoding is off meanwhile and afterwards as it was. I/O BARs are left out.
pub fn find_bars(config: &Config<'_>, count: u8) -> Vec<Bar> {
    let command = config.read16(regs::COMMAND);
    let decoding = command & Command::MEMORY.bits() != 0;
    if decoding {
        config.write16(regs::COMMAND, command & !Command::MEMORY.bits());
    }
    let mut bars = Vec::new();
    let mut index = 0;
    while index < count {
        match size_bar(config, index, count) {
            Some(bar) => {
                bars.push(bar);
                index += 1 + u8::from(bar.wide);
            }
            None => index += 1,
        }
    }
    if decoding {
        config.write16(regs::COMMAND, command);
    }
    bars
}

/// Sizes one register, and its upper half if it has one.
fn size_bar(config: &Config<'_>, index: u8, count: u8) -> Option<Bar> {
    let offset = regs::BAR0 + 4 * u16::from(index);
    let (low, ones) = probe(config, offset);
    // Bit 0: I/O space. All ones: the function went away. Zero: there is no such register.
    if ones & 1 != 0 || ones == u32::MAX || ones & !0xf == 0 {
        return None;
    }
    let wide = ones & 0x6 == 0x4 && index + 1 < count;
    let prefetchable = ones & 0x8 != 0;
    let mut base = u64::from(low & !0xf);
    let mut mask = u64::from(ones & !0xf) | 0xffff_ffff_0000_0000;
    if wide {
        let (high, upper_ones) = probe(config, offset + 4);
        base |= u64::from(high) << 32;
        mask = u64::from(ones & !0xf) | u64::from(upper_ones) << 32;
    }
    let size = mask & mask.wrapping_neg();
    Some(Bar { index, base, size, wide, prefetchable })
}

/// What a register holds, and what it holds of all ones; it is restored.
fn probe(config: &Config<'_>, offset: u16) -> (u32, u32) {
    let old = config.read32(offset);
    config.write32(offset, u32::MAX);
    let ones = config.read32(offset);
    if ones != 0 {
        config.write32(offset, old);
    }
    (old, ones)
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeBus;
    use super::*;
    use mach::seam::Bdf;

    const AT: Bdf = Bdf { bus: 1, device: 0, function: 0 };

    fn bus() -> FakeBus {
        let bus = FakeBus::new();
        bus.function(AT);
        bus.writable(AT, regs::BAR0, &[0; 24]);
        // BAR 0: 1 MiB, 32 bits.
        bus.writable(AT, regs::BAR0, &[0, 0, 0xf0, 0xff]);
        // BAR 1: I/O.
        bus.poke(AT, regs::BAR0 + 4, &[1]);
        bus.writable(AT, regs::BAR0 + 4, &[0xe0, 0xff, 0xff, 0xff]);
        // BAR 4: 16 KiB, 64 bits, prefetchable, at 80_0000_0000h.
        bus.poke(AT, regs::BAR0 + 16, &[0xc, 0, 0, 0, 0x80]);
        bus.writable(AT, regs::BAR0 + 16, &[0, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        bus
    }

    #[test]
    fn sizes_and_places_are_found_and_left_as_they_were() {
        let bus = bus();
        let config = Config::new(&bus, AT);
        let bars = find_bars(&config, ENDPOINT_BARS);
        assert_eq!(bars.len(), 2);
        assert_eq!((bars[0].index, bars[0].size, bars[0].base), (0, 1 << 20, 0));
        assert_eq!((bars[1].index, bars[1].size, bars[1].base), (4, 16 << 10, 0x80_0000_0000));
        assert!(bars[1].wide && bars[1].prefetchable && !bars[0].wide);
        assert_eq!(find_bars(&config, ENDPOINT_BARS), bars);
    }

    #[test]
    fn an_assigned_bar_reads_back() {
        let bus = bus();
        let config = Config::new(&bus, AT);
        let mut bars = find_bars(&config, ENDPOINT_BARS);
        bars[1].assign(&config, 0x81_0000_4000);
        assert_eq!(find_bars(&config, ENDPOINT_BARS)[1].base, 0x81_0000_4000);
    }

    #[test]
    fn a_function_that_is_gone_has_none() {
        assert!(find_bars(&Config::new(&FakeBus::new(), AT), ENDPOINT_BARS).is_empty());
    }
}
