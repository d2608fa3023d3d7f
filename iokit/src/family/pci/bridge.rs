//! What a PCI-to-PCI bridge passes down: bus numbers and memory windows.

use super::config::Config;
use super::regs;
use super::window::Window;

/// Granularity of bridge windows: 1 MiB (bridge 3.2.5.8).
const GRANULE: u64 = 1 << 20;

/// The secondary bus number; 0 = not assigned.
pub fn secondary_bus(config: &Config<'_>) -> u8 {
    (config.read32(regs::BUS_NUMBERS) >> 8) as u8
}

/// Gives the bridge, which is on bus 0, `bus` as its secondary and only bus.
pub fn set_bus(config: &Config<'_>, bus: u8) {
    let bus = u32::from(bus);
    config.write32(regs::BUS_NUMBERS, bus << 16 | bus << 8);
}

/// The memory window and the prefetchable window, if they are open.
pub fn windows(config: &Config<'_>) -> (Option<Window>, Option<Window>) {
    let plain = config.read32(regs::MEMORY_WINDOW);
    let prefetch = config.read32(regs::PREFETCH_WINDOW);
    let wide = prefetch & 0xf == 1;
    let upper = |offset| if wide { u64::from(config.read32(offset)) << 32 } else { 0 };
    let (base_high, limit_high) = (upper(regs::PREFETCH_BASE_HIGH), upper(regs::PREFETCH_LIMIT_HIGH));
    (
        Window::open(low_base(plain), low_limit(plain)),
        Window::open(base_high | low_base(prefetch), limit_high | low_limit(prefetch)),
    )
}

/// Opens the memory window from `base` for `bytes`, both multiples of 1 MiB below 4 GiB.
pub fn open_window(config: &Config<'_>, base: u64, bytes: u64) -> Option<Window> {
    let limit = base + bytes - 1;
    config.write32(regs::MEMORY_WINDOW, ((limit >> 16) as u32 & 0xfff0) << 16 | (base >> 16) as u32 & 0xfff0);
    Window::open(base, limit)
}

fn low_base(register: u32) -> u64 {
    u64::from(register & 0xfff0) << 16
}

fn low_limit(register: u32) -> u64 {
    u64::from(register >> 16 & 0xfff0) << 16 | (GRANULE - 1)
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeBus;
    use super::*;
    use mach::seam::Bdf;

    #[test]
    fn windows_are_read_as_firmware_wrote_them() {
        let bus = FakeBus::new();
        let at = Bdf { bus: 0, device: 1, function: 0 };
        bus.function(at);
        let config = Config::new(&bus, at);
        config.write32(regs::MEMORY_WINDOW, 0xc1f0_c100);
        config.write32(regs::PREFETCH_WINDOW, 0x7ff1_0001);
        config.write32(regs::PREFETCH_BASE_HIGH, 0x81);
        config.write32(regs::PREFETCH_LIMIT_HIGH, 0x82);
        let (plain, prefetch) = windows(&config);
        assert_eq!(plain, Window::open(0xc100_0000, 0xc1ff_ffff));
        assert_eq!(prefetch, Window::open(0x81_0000_0000, 0x82_7fff_ffff));
        assert_eq!(open_window(&config, 0xd000_0000, 2 << 20), windows(&config).0);
    }

    #[test]
    fn closed_windows_are_none() {
        let bus = FakeBus::new();
        let at = Bdf { bus: 0, device: 1, function: 0 };
        bus.function(at);
        let config = Config::new(&bus, at);
        assert_eq!(windows(&config), (None, None));
        config.write32(regs::MEMORY_WINDOW, 0x0000_fff0);
        assert_eq!(windows(&config).0, None);
    }
}
