//! The root port: a PCI-to-PCI bridge with a native hot-plug slot (PCIe Base, 6.7; Bridge 1.2, 3.2).

use super::config::{ConfigSpace, touches};
use super::express;
use super::host_bridge::VENDOR;
use super::msi::Msi;
use crate::spec::{pci as spec, pcie};

/// Device ID of the root port (QEMU's generic one, so that every guest knows the shape).
const DEVICE: u16 = 0x000c;

/// Memory addresses that a bridge passes down, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First address.
    pub base: u64,
    /// Last address.
    pub limit: u64,
}

impl Window {
    /// True if the whole range lies inside.
    pub fn contains(&self, start: u64, size: u64) -> bool {
        start >= self.base && start.checked_add(size - 1).is_some_and(|last| last <= self.limit)
    }
}

/// What a write to the port's configuration space asks the platform to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortWrite {
    /// The power controller was switched off.
    pub power_went_off: bool,
}

/// A root port with one slot.
pub struct RootPort {
    config: ConfigSpace,
    express: usize,
    msi: Option<Msi>,
    pending: bool,
    signalled: bool,
}

impl RootPort {
    /// An empty slot with physical number `slot` (1–31), power off.
    pub fn new(slot: u32) -> Self {
        let mut config = ConfigSpace::new();
        config.identify(VENDOR, DEVICE, [0x06, 0x04, 0x00], 0);
        config.set(spec::HEADER_TYPE, &[1]);
        config.set(spec::INTERRUPT_PIN, &[1]);
        config.allow(spec::PRIMARY_BUS, &[0xff; 3]);
        config.allow_clear(spec::SECONDARY_STATUS, &spec::STATUS_W1C.to_le_bytes());
        config.allow(spec::MEMORY_BASE, &[0xf0, 0xff, 0xf0, 0xff]);
        config.allow(spec::PREFETCH_BASE, &[0xf0, 0xff, 0xf0, 0xff]);
        config.set(spec::PREFETCH_BASE, &[1, 0, 1, 0]);
        config.allow(spec::PREFETCH_BASE_UPPER, &[0xff; 8]);
        config.allow(spec::BRIDGE_CONTROL, &spec::BRIDGE_CONTROL_WRITABLE.to_le_bytes());
        // The list starts empty and 60 bytes fit: the capability is always there.
        let express = express::add_root_port(&mut config, slot).unwrap_or(0x40);
        let msi = Msi::add(&mut config);
        Self { config, express, msi, pending: false, signalled: false }
    }

    /// Configuration space.
    pub fn config(&self) -> &ConfigSpace {
        &self.config
    }

    /// Firmware sets bytes.
    pub fn set_config(&mut self, offset: usize, value: &[u8]) {
        self.config.set(offset, value);
    }

    /// Software writes.
    pub fn write_config(&mut self, offset: usize, from: &[u8]) -> PortWrite {
        let powered = self.powered();
        self.config.write(offset, from);
        if touches(offset, from.len(), self.express + pcie::SLOT_CONTROL, 2) {
            // Every write of the register is a command (6.7.3.2); this controller is done at once.
            self.slot_event(pcie::SLOT_STATUS_COMPLETED);
        }
        PortWrite { power_went_off: powered && !self.powered() }
    }

    /// Secondary bus number; 0 = not assigned.
    pub fn secondary_bus(&self) -> u8 {
        self.config.u8(spec::SECONDARY_BUS)
    }

    /// The memory windows that are open: none while the memory command bit is off.
    pub fn windows(&self) -> [Option<Window>; 2] {
        if !self.config.commanded(spec::COMMAND_MEMORY) {
            return [None; 2];
        }
        let base = |at: usize| u64::from(self.config.u16(at) & 0xfff0) << 16;
        let upper = |at: usize| u64::from(self.config.u32(at)) << 32;
        let plain = (base(spec::MEMORY_BASE), base(spec::MEMORY_LIMIT) | 0xf_ffff);
        let prefetch = (
            base(spec::PREFETCH_BASE) | upper(spec::PREFETCH_BASE_UPPER),
            base(spec::PREFETCH_LIMIT) | upper(spec::PREFETCH_LIMIT_UPPER) | 0xf_ffff,
        );
        [plain, prefetch].map(|(base, limit)| (base <= limit).then_some(Window { base, limit }))
    }

    /// Programs the windows as firmware would.
    pub fn set_windows(&mut self, plain: Window, prefetch: Window) {
        let register = |address: u64, low: u16| ((address >> 16) as u16 & 0xfff0 | low).to_le_bytes();
        let upper = |address: u64| ((address >> 32) as u32).to_le_bytes();
        self.config.set(spec::MEMORY_BASE, &register(plain.base, 0));
        self.config.set(spec::MEMORY_LIMIT, &register(plain.limit, 0));
        self.config.set(spec::PREFETCH_BASE, &register(prefetch.base, 1));
        self.config.set(spec::PREFETCH_LIMIT, &register(prefetch.limit, 1));
        self.config.set(spec::PREFETCH_BASE_UPPER, &upper(prefetch.base));
        self.config.set(spec::PREFETCH_LIMIT_UPPER, &upper(prefetch.limit));
    }

    /// True if the slot's power controller is on (slot control bit 10 clear).
    pub fn powered(&self) -> bool {
        self.config.u16(self.express + pcie::SLOT_CONTROL) & pcie::SLOT_CONTROL_POWER_OFF == 0
    }

    /// Firmware switches the slot on: power and its indicator.
    pub fn power_on(&mut self) {
        let off = pcie::SLOT_CONTROL_POWER_OFF | pcie::SLOT_CONTROL_POWER_INDICATOR_OFF;
        let at = self.express + pcie::SLOT_CONTROL;
        self.config.change(at, off, pcie::SLOT_CONTROL_POWER_INDICATOR_ON);
    }

    /// True if a card in the slot has a link: power on, link not disabled, secondary bus not in reset.
    pub fn reachable(&self) -> bool {
        let disabled = self.config.u16(self.express + pcie::LINK_CONTROL) & pcie::LINK_CONTROL_DISABLE;
        let reset = self.config.u16(spec::BRIDGE_CONTROL) & spec::BRIDGE_CONTROL_RESET;
        self.powered() && disabled == 0 && reset == 0
    }

    /// A card was put in or taken out. `announce` = false for what is there at power-on.
    pub fn set_present(&mut self, present: bool, announce: bool) {
        self.set_state(pcie::SLOT_STATUS, pcie::SLOT_STATUS_PRESENT, present);
        if announce {
            self.slot_event(pcie::SLOT_STATUS_PRESENCE_CHANGED);
        }
    }

    /// The link came up or went down.
    pub fn set_link(&mut self, active: bool, announce: bool) {
        self.set_state(pcie::LINK_STATUS, pcie::LINK_STATUS_ACTIVE | pcie::LINK_STATUS_X1, active);
        if announce {
            self.slot_event(pcie::SLOT_STATUS_LINK_CHANGED);
        }
    }

    /// Somebody pressed the attention button.
    pub fn press_button(&mut self) {
        self.slot_event(pcie::SLOT_STATUS_ATTENTION);
    }

    fn set_state(&mut self, register: usize, bits: u16, on: bool) {
        let (clear, set) = if on { (0, bits) } else { (bits, 0) };
        self.config.change(self.express + register, clear, set);
    }

    fn slot_event(&mut self, bits: u16) {
        self.config.change(self.express + pcie::SLOT_STATUS, 0, bits);
    }

    /// Any event that is set and enabled, with the hot-plug interrupt enabled (6.7.3.4).
    fn condition(&self) -> bool {
        let control = self.config.u16(self.express + pcie::SLOT_CONTROL);
        let status = self.config.u16(self.express + pcie::SLOT_STATUS);
        let link =
            control & pcie::SLOT_CONTROL_LINK_CHANGED != 0 && status & pcie::SLOT_STATUS_LINK_CHANGED != 0;
        control & pcie::SLOT_CONTROL_INTERRUPT != 0
            && (control & status & pcie::SLOT_CONTROL_EVENTS != 0 || link)
    }

    /// Evaluates the interrupt again after any change: a message at the moment at which the condition, which includes that messages
    /// are enabled, becomes true.
    pub fn take_message(&mut self) -> Option<(u64, u32)> {
        self.pending = self.condition();
        let (clear, set) =
            if self.pending { (0, spec::STATUS_INTERRUPT) } else { (spec::STATUS_INTERRUPT, 0) };
        self.config.change(spec::STATUS, clear, set);
        let msi = self.msi.filter(|msi| msi.enabled(&self.config));
        let signals = self.pending && msi.is_some() && self.config.commanded(spec::COMMAND_MASTER);
        let rises = signals && !self.signalled;
        self.signalled = signals;
        msi.filter(|_| rises).map(|msi| msi.message(&self.config))
    }

    /// The level that the port drives on INTA#.
    pub fn line(&self) -> bool {
        self.pending
            && !self.config.commanded(spec::COMMAND_INTX_DISABLE)
            && !self.msi.is_some_and(|msi| msi.enabled(&self.config))
    }
}
