//! The register map (OHCI 1.1, chapters 4 and 5).

use super::interrupt::Kind;
use super::{Ohci, by_host};
use crate::env::Env;
use crate::spec::ieee1394 as bus;
use crate::spec::ohci::{self as spec, event};

/// Registers that only keep what is written, and those that a little follows from.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    pub guid_address: u8,
    pub at_retries: u32,
    pub csr_data: u32,
    pub csr_compare: u32,
    pub csr_select: u32,
    pub rom_header: u32,
    pub bus_options: u32,
    pub rom_map: u32,
    /// What software wrote while the link works: taken over with the next bus reset.
    pub rom_map_next: Option<u32>,
    /// Node ID (63:48) and offset of a posted write that failed.
    pub posted_write: u64,
    pub hc_control: u32,
    pub self_id_buffer: u32,
    pub multi_channel: u64,
    pub initial_bandwidth: u32,
    pub initial_channels_hi: u32,
    pub initial_channels_lo: u32,
    pub fairness: u32,
    pub link_control: u32,
    pub phy_control: u32,
    pub async_filter: u64,
    pub physical_filter: u64,
    pub physical_upper_bound: u32,
}

impl Default for Registers {
    fn default() -> Self {
        Self {
            guid_address: 0,
            at_retries: 0,
            csr_data: 0,
            csr_compare: 0,
            csr_select: spec::CSR_DONE,
            rom_header: 0,
            bus_options: bus::OPTION_IRMC
                | bus::OPTION_CMC
                | bus::OPTION_ISC
                | bus::OPTION_BMC
                | 10 << bus::OPTION_MAX_REC_SHIFT
                | u32::from(bus::S400),
            rom_map: 0,
            rom_map_next: None,
            posted_write: 0,
            hc_control: spec::HC_PROGRAM_PHY,
            self_id_buffer: 0,
            multi_channel: 0,
            initial_bandwidth: bus::BANDWIDTH_INITIAL,
            initial_channels_hi: u32::MAX,
            initial_channels_lo: u32::MAX,
            fairness: 0,
            link_control: 0,
            phy_control: 0,
            async_filter: 0,
            physical_filter: 0,
            physical_upper_bound: 0,
        }
    }
}

/// Bits of BusOptions that software can write: the link's speed is the link's.
const BUS_OPTIONS_WRITABLE: u32 = 0xf8ff_f0f0;
/// The GUID ROM: what a link loads its GUID from, most significant byte first.
const GUID_ROM_BYTES: usize = 8;

/// A pair of registers, set and clear, over `value`: what a write of `bits` to `offset` (0 or 4) makes of it.
fn pair(value: u32, at: u64, bits: u32) -> u32 {
    if at == 0 { value | bits } else { value & !bits }
}

/// The same for a half of 64 bits: the upper half if `upper`.
fn pair_half(value: u64, upper: bool, at: u64, bits: u32) -> u64 {
    let bits = if upper { u64::from(bits) << 32 } else { bits.into() };
    if at == 0 { value | bits } else { value & !bits }
}

impl Ohci {
    pub(super) fn read_register(&mut self, offset: u64, env: &mut dyn Env) -> u32 {
        let now = env.now();
        match offset {
            spec::VERSION => spec::VERSION_VALUE,
            spec::GUID_ROM => self.read_guid_rom(),
            spec::AT_RETRIES => self.registers.at_retries,
            spec::CSR_DATA => self.registers.csr_data,
            spec::CSR_COMPARE => self.registers.csr_compare,
            spec::CSR_CONTROL => self.registers.csr_select,
            spec::CONFIG_ROM_HEADER => self.registers.rom_header,
            spec::BUS_ID => bus::BUS_NAME,
            spec::BUS_OPTIONS => self.registers.bus_options,
            spec::GUID_HI => (self.settings.guid >> 32) as u32,
            spec::GUID_LO => self.settings.guid as u32,
            spec::CONFIG_ROM_MAP => self.registers.rom_map_next.unwrap_or(self.registers.rom_map),
            spec::POSTED_WRITE_LO => self.registers.posted_write as u32,
            spec::POSTED_WRITE_HI => (self.registers.posted_write >> 32) as u32,
            spec::SELF_ID_BUFFER => self.registers.self_id_buffer,
            spec::SELF_ID_COUNT => {
                let error = if self.self_id_error { spec::SELF_ID_ERROR } else { 0 };
                error | self.generation << 16 | self.self_id_bytes
            }
            spec::INITIAL_BANDWIDTH => self.registers.initial_bandwidth,
            spec::INITIAL_CHANNELS_HI => self.registers.initial_channels_hi,
            spec::INITIAL_CHANNELS_LO => self.registers.initial_channels_lo,
            spec::FAIRNESS => self.registers.fairness,
            spec::NODE_ID => self.node_id,
            spec::PHY_CONTROL => self.registers.phy_control,
            spec::CYCLE_TIMER => self.clock.register(now),
            spec::PHYSICAL_UPPER_BOUND => self.registers.physical_upper_bound,
            spec::ASYNC_CONTEXTS..spec::REGISTERS_END => self.read_context(offset),
            _ => self.read_pair(offset, env),
        }
    }

    /// Registers with a set and a clear address. Both read the same, but for events: clear reads those that are not masked.
    fn read_pair(&mut self, offset: u64, env: &mut dyn Env) -> u32 {
        let clear = offset & 4 != 0;
        match offset & !4 {
            spec::HC_CONTROL => self.registers.hc_control,
            spec::MULTI_CHANNEL_HI => (self.registers.multi_channel >> 32) as u32,
            spec::MULTI_CHANNEL_LO => self.registers.multi_channel as u32,
            spec::INT_EVENT => {
                self.note_cycles(env);
                let events = self.interrupts.events();
                if clear { events & self.interrupts.mask() } else { events }
            }
            spec::INT_MASK => self.interrupts.mask(),
            spec::XMIT_EVENT => self.read_iso_event(Kind::Transmit, clear),
            spec::XMIT_MASK => self.interrupts.iso_mask(Kind::Transmit),
            spec::RECV_EVENT => self.read_iso_event(Kind::Receive, clear),
            spec::RECV_MASK => self.interrupts.iso_mask(Kind::Receive),
            spec::LINK_CONTROL => self.registers.link_control,
            spec::ASYNC_FILTER_HI => (self.registers.async_filter >> 32) as u32,
            spec::ASYNC_FILTER_LO => self.registers.async_filter as u32,
            spec::PHYSICAL_FILTER_HI => (self.registers.physical_filter >> 32) as u32,
            spec::PHYSICAL_FILTER_LO => self.registers.physical_filter as u32,
            _ => 0,
        }
    }

    fn read_iso_event(&self, kind: Kind, clear: bool) -> u32 {
        let mask = if clear { self.interrupts.iso_mask(kind) } else { u32::MAX };
        self.interrupts.iso_events(kind) & mask
    }

    fn read_guid_rom(&self) -> u32 {
        let at = usize::from(self.registers.guid_address);
        // Behind the GUID the part is empty. The address is that of the next byte.
        let byte = at.checked_sub(1).filter(|&at| at < GUID_ROM_BYTES);
        byte.map_or(0, |at| u32::from(self.settings.guid.to_be_bytes()[at]) << 16)
    }

    pub(super) fn write_register(&mut self, offset: u64, value: u32, env: &mut dyn Env) {
        let registers = &mut self.registers;
        match offset {
            spec::GUID_ROM => {
                if value & spec::GUID_ROM_RESET != 0 {
                    registers.guid_address = 0;
                } else if value & spec::GUID_ROM_START != 0 {
                    registers.guid_address = registers.guid_address.saturating_add(1);
                }
            }
            spec::AT_RETRIES => registers.at_retries = value & 0xffff_0fff,
            spec::CSR_DATA => registers.csr_data = value,
            spec::CSR_COMPARE => registers.csr_compare = value,
            spec::CSR_CONTROL => {
                let which = value & 3;
                let (compare, data) = (registers.csr_compare, registers.csr_data);
                registers.csr_data = self.resources.swap(which as usize, compare, data);
                registers.csr_select = spec::CSR_DONE | which;
            }
            spec::CONFIG_ROM_HEADER => registers.rom_header = value,
            spec::BUS_OPTIONS => {
                let kept = registers.bus_options & !BUS_OPTIONS_WRITABLE;
                registers.bus_options = kept | value & BUS_OPTIONS_WRITABLE;
            }
            spec::CONFIG_ROM_MAP => self.write_rom_map(value & !0x3ff),
            spec::SELF_ID_BUFFER => registers.self_id_buffer = value & !0x7ff,
            spec::INITIAL_BANDWIDTH => registers.initial_bandwidth = value & 0x1fff,
            spec::INITIAL_CHANNELS_HI => registers.initial_channels_hi = value,
            spec::INITIAL_CHANNELS_LO => registers.initial_channels_lo = value,
            spec::FAIRNESS => registers.fairness = value & 0x3f,
            spec::NODE_ID => self.node_id = self.node_id & !spec::NODE_BUS | value & spec::NODE_BUS,
            spec::PHY_CONTROL => self.write_phy_control(value, env),
            spec::CYCLE_TIMER => {
                self.clock.write(value, env.now());
                self.cycle_seen = self.clock.cycle(env.now());
                self.watch_cycles(env);
            }
            spec::PHYSICAL_UPPER_BOUND => registers.physical_upper_bound = value,
            spec::ASYNC_CONTEXTS..spec::REGISTERS_END => self.write_context(offset, value, env),
            _ => self.write_pair(offset & !4, offset & 4, value, env),
        }
    }

    fn write_rom_map(&mut self, value: u32) {
        if self.link_works() {
            self.registers.rom_map_next = Some(value);
        } else {
            self.registers.rom_map = value;
        }
    }

    fn write_pair(&mut self, register: u64, at: u64, value: u32, env: &mut dyn Env) {
        let registers = &mut self.registers;
        match register {
            spec::HC_CONTROL => self.write_hc_control(at, value, env),
            spec::MULTI_CHANNEL_HI | spec::MULTI_CHANNEL_LO => {
                let upper = register == spec::MULTI_CHANNEL_HI;
                registers.multi_channel = pair_half(registers.multi_channel, upper, at, value);
            }
            spec::INT_EVENT if at == 0 => self.interrupts.set(value, env),
            spec::INT_EVENT => self.clear_events(value, env),
            spec::INT_MASK => {
                if at == 0 {
                    self.interrupts.set_mask(value, env)
                } else {
                    self.interrupts.clear_mask(value, env)
                }
                self.watch_cycles(env);
            }
            spec::XMIT_EVENT | spec::RECV_EVENT => {
                let kind = if register == spec::XMIT_EVENT { Kind::Transmit } else { Kind::Receive };
                if at == 0 {
                    self.interrupts.set_iso(kind, value, env)
                } else {
                    self.interrupts.clear_iso(kind, value, env)
                }
            }
            spec::XMIT_MASK | spec::RECV_MASK => {
                let kind = if register == spec::XMIT_MASK { Kind::Transmit } else { Kind::Receive };
                if at == 0 {
                    self.interrupts.set_iso_mask(kind, value, env);
                } else {
                    self.interrupts.clear_iso_mask(kind, value, env);
                }
            }
            spec::LINK_CONTROL => {
                registers.link_control = pair(registers.link_control, at, value & spec::LINK_BITS);
                let running = registers.link_control & spec::LINK_CYCLE_TIMER != 0;
                self.clock.run(running, env.now());
                self.watch_cycles(env);
            }
            // 5.14: a bus reset clears the filters, and holds them until software has seen it. Only "all nodes" is software's own.
            spec::ASYNC_FILTER_HI | spec::ASYNC_FILTER_LO => {
                let upper = register == spec::ASYNC_FILTER_HI;
                let filter = pair_half(registers.async_filter, upper, at, value);
                let held = self.interrupts.is_set(event::BUS_RESET);
                self.registers.async_filter = if held { filter & spec::FILTER_ALL } else { filter };
            }
            spec::PHYSICAL_FILTER_HI | spec::PHYSICAL_FILTER_LO => {
                let upper = register == spec::PHYSICAL_FILTER_HI;
                let filter = pair_half(registers.physical_filter, upper, at, value);
                self.registers.physical_filter =
                    if self.interrupts.is_set(event::BUS_RESET) { 0 } else { filter };
            }
            _ => {}
        }
    }

    fn clear_events(&mut self, value: u32, env: &mut dyn Env) {
        let seen = value & event::BUS_RESET != 0 && self.interrupts.is_set(event::BUS_RESET);
        self.interrupts.clear(value, env);
        if seen {
            self.resume_transmit(env);
        }
    }

    fn write_hc_control(&mut self, at: u64, value: u32, env: &mut dyn Env) {
        if at != 0 {
            self.registers.hc_control &= !(value & spec::HC_CLEARABLE);
        } else if value & spec::HC_SOFT_RESET != 0 {
            self.soft_reset(env);
            return;
        } else {
            self.registers.hc_control |= value & spec::HC_SETTABLE;
        }
        self.bus.host_phy().powered = self.registers.hc_control & spec::HC_LPS != 0;
        self.watch_cycles(env);
    }

    /// Reads or writes a register of the PHY, which answers at once here.
    fn write_phy_control(&mut self, value: u32, env: &mut dyn Env) {
        let address = (value >> 8 & 0xf) as u8;
        let kept = value & (0xf << 8 | 0xff);
        if self.registers.hc_control & spec::HC_LPS == 0 {
            // Without the PHY's clock nothing comes back (5.7.3).
            self.registers.phy_control = kept;
            self.interrupts.set(event::REGISTER_FAIL, env);
        } else if value & spec::PHY_READ != 0 {
            let data = u32::from(self.bus.host_phy().read(address));
            self.registers.phy_control = kept | spec::PHY_READ_DONE | u32::from(address) << 24 | data << 16;
            self.interrupts.set(event::PHY_REGISTER, env);
        } else if value & spec::PHY_WRITE != 0 {
            self.registers.phy_control = kept;
            if let Some(kind) = self.bus.host_phy().write(address, value as u8) {
                self.bus.reset(kind, by_host(), env.now());
            }
        }
    }
}
