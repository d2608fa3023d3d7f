//! A machine for tests: records what the platform tells it.

use super::{Host, Platform, layout};
use crate::fault::plan::{Action, Plan, Plug, Rule, Span, Trigger};
use crate::spec::{pci as spec, pcie};
use std::collections::BTreeMap;
use vm_memory::{GuestAddress, GuestMemoryMmap};

/// Bytes of memory.
pub const MEMORY: usize = 1 << 20;

/// The machine.
pub struct Machine {
    pub now: u64,
    pub memory: GuestMemoryMmap,
    pub messages: Vec<(u64, u32)>,
    pub lines: Vec<(u32, bool)>,
    pub faults: Vec<(u32, &'static str)>,
}

impl Machine {
    pub fn new() -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)]).unwrap();
        Self { now: 0, memory, messages: vec![], lines: vec![], faults: vec![] }
    }
}

impl Host for Machine {
    fn now(&self) -> u64 {
        self.now
    }
    fn memory(&self) -> &GuestMemoryMmap {
        &self.memory
    }
    fn message(&mut self, address: u64, data: u32) {
        self.messages.push((address, data));
    }
    fn line(&mut self, gsi: u32, asserted: bool) {
        self.lines.push((gsi, asserted));
    }
    fn fault(&mut self, slot: u32, word: &'static str) {
        self.faults.push((slot, word));
    }
}

/// A `plug` statement; options as `key=value` words.
pub fn plug(name: &str, model: &str, slot: u32, options: &[(&str, &str)]) -> Plug {
    let options: BTreeMap<_, _> =
        options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Plug {
        name: name.into(),
        model: model.into(),
        slot,
        options,
        span: Span::default(),
        marks: Default::default(),
    }
}

/// `on edu0.SITE #COUNT ACTION`.
pub fn on(device: &str, site: &str, count: u64, action: Action) -> Rule {
    let trigger = Trigger::Nth { device: device.into(), site: site.into(), count };
    Rule { trigger, action, span: Span::default(), marks: Default::default() }
}

/// `at TIME ACTION`.
pub fn at(time: u64, action: Action) -> Rule {
    Rule { trigger: Trigger::At(time), action, span: Span::default(), marks: Default::default() }
}

/// A plan that runs for 100 ms.
pub fn plan(plugs: Vec<Plug>, rules: Vec<Rule>) -> Plan {
    Plan { plugs, rules, run_for: 100_000_000, cpus: 1, memory: 64 << 20, ..Plan::default() }
}

/// A platform after firmware, and its machine.
pub struct Bench {
    pub platform: Platform,
    pub machine: Machine,
}

impl Bench {
    pub fn new(plan: &Plan) -> Self {
        let mut platform = Platform::new(plan).unwrap();
        platform.firmware();
        Self { platform, machine: Machine::new() }
    }

    /// Reads `N` bytes of device memory.
    pub fn read<const N: usize>(&mut self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.platform.mmio_read(address, &mut bytes, &mut self.machine);
        bytes
    }

    pub fn read32(&mut self, address: u64) -> u32 {
        u32::from_le_bytes(self.read(address))
    }

    pub fn write32(&mut self, address: u64, value: u32) {
        self.platform.mmio_write(address, &value.to_le_bytes(), &mut self.machine);
    }

    pub fn config16(&mut self, bus: u8, device: u8, offset: usize) -> u16 {
        let mut bytes = [0; 2];
        self.platform.config_read(bus, device, 0, offset, &mut bytes, &mut self.machine);
        u16::from_le_bytes(bytes)
    }

    pub fn set_config16(&mut self, bus: u8, device: u8, offset: usize, value: u16) {
        let bytes = value.to_le_bytes();
        self.platform.config_write(bus, device, 0, offset, &bytes, &mut self.machine);
    }

    pub fn config32(&mut self, bus: u8, device: u8, offset: usize) -> u32 {
        let low = self.config16(bus, device, offset);
        let high = self.config16(bus, device, offset + 2);
        u32::from(high) << 16 | u32::from(low)
    }

    pub fn set_config32(&mut self, bus: u8, device: u8, offset: usize, value: u32) {
        let bytes = value.to_le_bytes();
        self.platform.config_write(bus, device, 0, offset, &bytes, &mut self.machine);
    }

    /// The offset of a capability of a function.
    pub fn capability(&mut self, bus: u8, device: u8, id: u8) -> Option<usize> {
        let mut at = usize::from(self.config16(bus, device, spec::CAPABILITIES) & 0xfc);
        for _ in 0..48 {
            if at == 0 {
                return None;
            }
            let header = self.config16(bus, device, at);
            if header as u8 == id {
                return Some(at);
            }
            at = usize::from(header >> 8);
        }
        None
    }

    /// Turns bus mastering on for the card of `slot`.
    pub fn master(&mut self, slot: u8) {
        let command = spec::COMMAND_MEMORY | spec::COMMAND_MASTER;
        self.set_config16(slot, 0, spec::COMMAND, command);
    }

    /// Programs and enables MSI of a function.
    pub fn enable_msi(&mut self, bus: u8, device: u8, data: u16) {
        let at = self.capability(bus, device, spec::CAP_MSI).unwrap();
        self.set_config32(bus, device, at + spec::MSI_ADDRESS, 0xfee0_0000);
        self.set_config16(bus, device, at + spec::MSI_DATA, data);
        self.set_config16(bus, device, at + spec::MSI_CONTROL, spec::MSI_ENABLE);
    }

    /// Enables all hot-plug events and their interrupt; keeps the power as it is.
    pub fn enable_hot_plug(&mut self, slot: u8) -> usize {
        let at = self.capability(0, slot, spec::CAP_PCIE).unwrap();
        let control = self.config16(0, slot, at + pcie::SLOT_CONTROL);
        let events = pcie::SLOT_STATUS_ATTENTION | pcie::SLOT_STATUS_PRESENCE_CHANGED;
        let enable = pcie::SLOT_CONTROL_INTERRUPT | pcie::SLOT_CONTROL_LINK_CHANGED | events;
        self.set_config16(0, slot, at + pcie::SLOT_CONTROL, control | enable);
        self.clear_slot_status(slot, at);
        at
    }

    /// Reads the slot's status and clears its events.
    pub fn clear_slot_status(&mut self, slot: u8, at: usize) -> u16 {
        let status = self.config16(0, slot, at + pcie::SLOT_STATUS);
        self.set_config16(0, slot, at + pcie::SLOT_STATUS, status);
        status
    }

    /// Lets machine time pass to `until`, deadline by deadline.
    pub fn run_until(&mut self, until: u64) {
        let mut rounds = 0;
        while let Some(next) = self.platform.next_deadline().filter(|&next| next <= until) {
            self.machine.now = self.machine.now.max(next);
            self.platform.advance(&mut self.machine);
            rounds += 1;
            assert!(rounds < 1_000_000, "time does not pass");
        }
        self.machine.now = until;
    }

    /// BAR 0 of the card in `slot`, as firmware left it.
    pub fn bar0(slot: u32) -> u64 {
        layout::APERTURE_BASE + u64::from(slot) * layout::SLOT_APERTURE_BYTES
    }
}
