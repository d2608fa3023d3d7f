//! Packets that come from the bus: what the controller serves by itself, and what it hands on (OHCI 1.1, 5.5, 5.14 and chapter 12).

use super::receive::encode;
use super::{Ohci, mapped};
use crate::env::{DmaError, Env, Mishap};
use crate::fault::plane::Site;
use crate::firewire::packet::{Ack, Packet};
use crate::firewire::{Delivery, csr::Resources, station::compare_swap};
use crate::spec::ieee1394::{self as bus, csr};
use crate::spec::ohci::{self as spec, code, event};

/// Nanoseconds until the controller answers by itself.
const RESPONSE_NS: u64 = 2_000;
/// Above it, writes are not acknowledged as complete: the space of registers and of software (1.5).
const UPPER_SPACE: u64 = 0xffff_0000_0000;
/// The end of the physical space if software sets none (5.15).
const PHYSICAL_DEFAULT: u64 = 1 << 32;

impl Ohci {
    /// A packet came.
    pub(super) fn receive_packet(&mut self, delivery: Delivery, env: &mut dyn Env) {
        // From here on the sender can be gone, or not hear the acknowledge.
        match env.pass(delivery.from.saturating_sub(1), Site::FireSend) {
            Mishap::Gone => return,
            Mishap::Error => self.bus.lose_acks(1),
            _ => {}
        }
        let ack = self.judge(&delivery.packet, env);
        self.bus.acknowledge(delivery, ack, env.now());
    }

    fn judge(&mut self, packet: &Packet, env: &mut dyn Env) -> Ack {
        if !self.link_works() {
            return Ack::Missing;
        }
        if packet.is_response() {
            return self.hand_on(1, packet, Ack::Complete, env);
        }
        if !packet.is_request() {
            return Ack::Missing;
        }
        if packet.data.len() > self.max_payload() {
            return Ack::TypeError;
        }
        if let Some(ack) = self.serve_registers(packet, env) {
            return ack;
        }
        let source = 1 << (packet.source & 0x3f);
        let local = packet.source >> 6 == bus::LOCAL_BUS;
        let passes = |filter: u64| filter & spec::FILTER_ALL != 0 || local && filter & source != 0;
        if packet.offset < self.physical_bound() && local && self.registers.physical_filter & source != 0 {
            return self.serve_memory(packet, env);
        }
        if !passes(self.registers.async_filter) {
            return Ack::Missing;
        }
        let write = matches!(packet.tcode, bus::TCODE_WRITE_QUADLET | bus::TCODE_WRITE_BLOCK);
        let ack = if write && packet.offset < UPPER_SPACE { Ack::Complete } else { Ack::Pending };
        self.hand_on(0, packet, ack, env)
    }

    /// Puts the packet into a receive context.
    fn hand_on(&mut self, which: usize, packet: &Packet, ack: Ack, env: &mut dyn Env) -> Ack {
        let mut packet = packet.clone();
        self.swap(&mut packet.data);
        let code = code::ACK | u32::from(ack.code().unwrap_or(0));
        if self.deposit(which, encode(&packet), packet.speed, code, env) { ack } else { Ack::Busy }
    }

    /// Bytes of data that the controller takes in one packet: max_rec of its bus options.
    fn max_payload(&self) -> usize {
        let max_rec = self.registers.bus_options >> bus::OPTION_MAX_REC_SHIFT & 0xf;
        (2usize << max_rec).clamp(512, 4096)
    }

    fn physical_bound(&self) -> u64 {
        match u64::from(self.registers.physical_upper_bound) << 16 {
            0 => PHYSICAL_DEFAULT,
            bound => bound,
        }
    }

    fn answer(&mut self, packet: &Packet, rcode: u8, data: Vec<u8>, now: u64) -> Ack {
        self.bus.respond(packet.response(rcode, data), RESPONSE_NS, now);
        Ack::Pending
    }

    /// The registers of the bus that the controller itself has, and the configuration ROM (5.5).
    fn serve_registers(&mut self, packet: &Packet, env: &mut dyn Env) -> Option<Ack> {
        let at = packet.offset.checked_sub(bus::REGISTERS)?;
        let now = env.now();
        if let Some(register) = Resources::select(at) {
            let (rcode, value) = match (packet.tcode, compare_swap(packet)) {
                (bus::TCODE_READ_QUADLET, _) => (bus::RCODE_COMPLETE, self.resources.value(register)),
                (_, Some((compare, data))) => {
                    (bus::RCODE_COMPLETE, self.resources.swap(register, compare, data))
                }
                _ => (bus::RCODE_TYPE, 0),
            };
            let data = if rcode == bus::RCODE_COMPLETE { value.to_be_bytes().to_vec() } else { Vec::new() };
            return Some(self.answer(packet, rcode, data, now));
        }
        if !(csr::CONFIG_ROM..csr::CONFIG_ROM_END).contains(&at) {
            return None;
        }
        let at = at - csr::CONFIG_ROM;
        let result = match packet.tcode {
            bus::TCODE_READ_QUADLET => self.rom_quadlet(at, env),
            bus::TCODE_READ_BLOCK => self.rom_block(at, packet.wanted(), env),
            _ => Err(bus::RCODE_TYPE),
        };
        let (rcode, data) =
            result.map_or_else(|rcode| (rcode, Vec::new()), |data| (bus::RCODE_COMPLETE, data));
        Some(self.answer(packet, rcode, data, now))
    }

    /// A quadlet of the configuration ROM: the bus information block is in registers.
    fn rom_quadlet(&mut self, at: u64, env: &mut dyn Env) -> Result<Vec<u8>, u8> {
        let registers = &self.registers;
        let value = match at {
            0 => registers.rom_header,
            4 => bus::BUS_NAME,
            8 => registers.bus_options,
            12 => (self.settings.guid >> 32) as u32,
            16 => self.settings.guid as u32,
            _ => return self.rom_block(at, 4, env),
        };
        Ok(value.to_be_bytes().to_vec())
    }

    fn rom_block(&mut self, at: u64, length: usize, env: &mut dyn Env) -> Result<Vec<u8>, u8> {
        if self.registers.hc_control & spec::HC_ROM_VALID == 0 {
            return Err(bus::RCODE_TYPE);
        }
        if at + length as u64 > csr::CONFIG_ROM_END - csr::CONFIG_ROM {
            return Err(bus::RCODE_ADDRESS);
        }
        let mut data = vec![0; length];
        let from = u64::from(self.registers.rom_map) + at;
        env.dma_read(from, &mut data).map_err(|_| bus::RCODE_DATA)?;
        self.swap(&mut data);
        Ok(data)
    }

    /// Reads and writes of memory, without software (chapter 12).
    fn serve_memory(&mut self, packet: &Packet, env: &mut dyn Env) -> Ack {
        let now = env.now();
        match packet.tcode {
            bus::TCODE_READ_QUADLET | bus::TCODE_READ_BLOCK => {
                let mut data = vec![0; packet.wanted().min(self.max_payload())];
                let done =
                    mapped(packet.offset, data.len()).and_then(|()| env.dma_read(packet.offset, &mut data));
                self.swap(&mut data);
                match done {
                    Err(DmaError::Removed) => Ack::Missing,
                    Err(_) => self.answer(packet, bus::RCODE_DATA, Vec::new(), now),
                    Ok(()) => self.answer(packet, bus::RCODE_COMPLETE, data, now),
                }
            }
            bus::TCODE_WRITE_QUADLET | bus::TCODE_WRITE_BLOCK => {
                let mut data = packet.data.clone();
                self.swap(&mut data);
                let done =
                    mapped(packet.offset, data.len()).and_then(|()| env.dma_write(packet.offset, &data));
                let posted = self.registers.hc_control & spec::HC_POSTED_WRITES != 0;
                match done {
                    Err(DmaError::Removed) => Ack::Missing,
                    Ok(()) if posted => Ack::Complete,
                    Ok(()) => self.answer(packet, bus::RCODE_COMPLETE, Vec::new(), now),
                    Err(_) if posted => {
                        self.registers.posted_write = u64::from(packet.source) << 48 | packet.offset;
                        self.interrupts.set(event::POSTED_WRITE, env);
                        Ack::Complete
                    }
                    Err(_) => self.answer(packet, bus::RCODE_DATA, Vec::new(), now),
                }
            }
            // No locks on memory.
            _ => self.answer(packet, bus::RCODE_TYPE, Vec::new(), now),
        }
    }
}
