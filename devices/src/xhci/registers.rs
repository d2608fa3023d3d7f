//! Registers: one way in for reads, one for writes.

use super::agenda::Job;
use super::ring::Cursor;
use super::{Fallen, Xhci};
use crate::env::Env;
use crate::spec::xhci as spec;

/// Registers are read and written in words of this many bytes.
const WORD: u64 = 4;

/// A supported protocol (7.2): revision, first port, ports.
fn protocol(major: u32, minor: u32, first: u32, ports: u32, next: u32) -> [u32; 4] {
    [
        2 | next << 8 | minor << 16 | major << 24,
        // The name: "USB ".
        u32::from_le_bytes(*b"USB "),
        first | ports << 8,
        0,
    ]
}

/// Replaces one half of a 64-bit register.
fn half(register: u64, high: bool, value: u32) -> u64 {
    if high {
        register & u64::from(u32::MAX) | u64::from(value) << 32
    } else {
        register & !u64::from(u32::MAX) | u64::from(value)
    }
}

impl Xhci {
    /// The guest reads. An access that does not lie within a word, or is not two whole words, reads all ones.
    pub(super) fn read_registers(&mut self, offset: u64, into: &mut [u8], now: u64) {
        into.fill(0xff);
        let within = offset % WORD + into.len() as u64 <= WORD;
        let words = into.len() == 8 && offset.is_multiple_of(WORD);
        if !within && !words {
            return;
        }
        let skip = (offset % WORD) as usize;
        for (index, part) in into.chunks_mut(WORD as usize).enumerate() {
            let bytes = self.read_word(offset / WORD * WORD + index as u64 * WORD, now).to_le_bytes();
            part.copy_from_slice(&bytes[skip..skip + part.len()]);
        }
    }

    /// The guest writes. Anything but whole words writes nothing.
    pub(super) fn write_registers(&mut self, offset: u64, from: &[u8], env: &mut dyn Env) {
        if !matches!(from.len(), 4 | 8) || !offset.is_multiple_of(WORD) {
            return;
        }
        for (index, part) in from.chunks_exact(WORD as usize).enumerate() {
            let value = u32::from_le_bytes([part[0], part[1], part[2], part[3]]);
            if self.write_word(offset + index as u64 * WORD, value, env).is_err() {
                return;
            }
        }
    }

    fn read_word(&self, offset: u64, now: u64) -> u32 {
        match offset {
            0..spec::OPERATIONAL => self.capability(offset),
            spec::OPERATIONAL..spec::EXTENDED => self.read_operational(offset - spec::OPERATIONAL),
            spec::EXTENDED..spec::RUNTIME => self.extended(offset - spec::EXTENDED),
            spec::RUNTIME..spec::DOORBELLS => self.read_runtime(offset - spec::RUNTIME, now),
            _ => 0,
        }
    }

    fn write_word(&mut self, offset: u64, value: u32, env: &mut dyn Env) -> Result<(), Fallen> {
        match offset {
            spec::OPERATIONAL..spec::EXTENDED => {
                self.write_operational(offset - spec::OPERATIONAL, value, env)
            }
            spec::RUNTIME..spec::DOORBELLS => self.write_runtime(offset - spec::RUNTIME, value, env),
            spec::DOORBELLS.. => {
                self.ring((offset - spec::DOORBELLS) / WORD, value, env);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Capability registers (5.3).
    fn capability(&self, offset: u64) -> u32 {
        let ports = self.ports.len() as u32;
        let scratchpads = u32::from(self.settings.scratchpads);
        let wide = if self.settings.wide_contexts { spec::HCC_CSZ } else { 0 };
        match offset {
            0x00 => spec::OPERATIONAL as u32 | spec::VERSION << 16,
            0x04 => u32::from(spec::SLOTS) | u32::from(self.settings.interrupters) << 8 | ports << 24,
            // The isochronous scheduling threshold is 1 microframe; scratchpads below 32 have their number in bits 27:31.
            0x08 => 1 | spec::SEGMENTS_LOG << 4 | (scratchpads & 0x1f) << 27 | (scratchpads >> 5) << 21,
            0x10 => spec::HCC_AC64 | spec::HCC_PPC | wide | (spec::EXTENDED as u32 / 4) << 16,
            0x14 => spec::DOORBELLS as u32,
            0x18 => spec::RUNTIME as u32,
            _ => 0,
        }
    }

    /// Extended capabilities (7): the protocols.
    fn extended(&self, offset: u64) -> u32 {
        let ports = u32::from(self.settings.ports);
        let words = [protocol(2, 0, 1, ports, 4), protocol(3, 0, ports + 1, ports, 0)].concat();
        words.get((offset / WORD) as usize).copied().unwrap_or(0)
    }

    fn read_operational(&self, offset: u64) -> u32 {
        match offset {
            spec::USBCMD => self.command,
            spec::USBSTS => self.status,
            // Pages of 4 KiB.
            spec::PAGESIZE => 1,
            spec::DNCTRL => self.notifications,
            // The pointer reads as zero (5.4.5).
            spec::CRCR if self.commands.running => spec::CRCR_RUNNING,
            spec::DCBAAP => self.contexts as u32,
            0x34 => (self.contexts >> 32) as u32,
            spec::CONFIG => self.config,
            offset => self.read_port(offset),
        }
    }

    fn read_port(&self, offset: u64) -> u32 {
        let Some((index, register)) = port_register(offset) else { return 0 };
        let Some(port) = self.ports.get(index) else { return 0 };
        match register {
            0 => port.read(),
            4 => port.power_management,
            _ => 0,
        }
    }

    fn write_operational(&mut self, offset: u64, value: u32, env: &mut dyn Env) -> Result<(), Fallen> {
        match offset {
            spec::USBCMD => return self.write_command(value, env),
            spec::USBSTS => {
                self.status &= !(value & (spec::STS_HSE | spec::STS_EINT | spec::STS_PCD));
            }
            spec::DNCTRL => self.notifications = value & 0xffff,
            spec::CRCR => return self.write_ring(value, env),
            0x1c if !self.commands.running => {
                let cursor = &mut self.commands.cursor;
                cursor.address = half(cursor.address, true, value);
            }
            spec::DCBAAP => self.contexts = half(self.contexts, false, value & !0x3f),
            0x34 => self.contexts = half(self.contexts, true, value),
            // MaxSlotsEn counts while the controller is halted (5.4.7).
            spec::CONFIG if !self.is_running() => self.config = value & 0x3ff,
            offset => {
                let Some((index, register)) = port_register(offset) else { return Ok(()) };
                match register {
                    0 => return self.write_port(index, value, env),
                    4 => {
                        if let Some(port) = self.ports.get_mut(index) {
                            port.power_management = value & 0x1_ffff;
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn write_command(&mut self, value: u32, env: &mut dyn Env) -> Result<(), Fallen> {
        if value & spec::CMD_RESET != 0 {
            self.power_on();
            env.lower();
            return Ok(());
        }
        let runs = self.is_running();
        let kept = spec::CMD_INTE | spec::CMD_HSEE;
        self.command = self.command & !kept | value & kept;
        for index in 0..self.interrupters.len() as u16 {
            self.signal(index, env);
        }
        self.settle_line(env);
        match (value & spec::CMD_RUN != 0, runs) {
            // After a host system error only a reset helps (4.24.1).
            (true, false) if self.status & spec::STS_HSE == 0 => self.start(env),
            (false, true) => {
                self.halt();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// CRCR: a new ring, or an end of the one that runs (5.4.5, 4.6.1).
    fn write_ring(&mut self, value: u32, env: &mut dyn Env) -> Result<(), Fallen> {
        if !self.commands.running {
            let cursor = Cursor::parse(u64::from(value & !0x3e));
            let high = self.commands.cursor.address & !u64::from(u32::MAX);
            self.commands.cursor = Cursor { address: high | cursor.address, cycle: cursor.cycle };
        } else if value & (spec::CRCR_STOP | spec::CRCR_ABORT) != 0 {
            return self.stop_commands(env);
        }
        Ok(())
    }

    fn read_runtime(&self, offset: u64, now: u64) -> u32 {
        if offset == spec::MFINDEX {
            let frames = now.saturating_sub(self.frames_from) / spec::MICROFRAME_NS;
            return if self.is_running() { frames as u32 & 0x3fff } else { 0 };
        }
        let Some((index, register)) = interrupter_register(offset) else { return 0 };
        let Some(it) = self.interrupters.get(index) else { return 0 };
        let busy = if it.busy { spec::ERDP_EHB } else { 0 };
        match register {
            spec::IMAN => it.iman,
            spec::IMOD => it.imod,
            spec::ERSTSZ => it.table_entries,
            spec::ERSTBA => it.table as u32,
            0x14 => (it.table >> 32) as u32,
            spec::ERDP => (it.dequeue | busy) as u32,
            0x1c => (it.dequeue >> 32) as u32,
            _ => 0,
        }
    }

    fn write_runtime(&mut self, offset: u64, value: u32, env: &mut dyn Env) -> Result<(), Fallen> {
        let Some((index, register)) = interrupter_register(offset) else { return Ok(()) };
        let Some(it) = self.interrupters.get_mut(index) else { return Ok(()) };
        match register {
            spec::IMAN => {
                it.iman &= !(value & spec::IMAN_IP);
                it.iman = it.iman & !spec::IMAN_IE | value & spec::IMAN_IE;
                self.signal(index as u16, env);
                self.settle_line(env);
            }
            spec::IMOD => it.imod = value,
            spec::ERSTSZ => it.table_entries = (value & 0xffff).min(1 << spec::SEGMENTS_LOG),
            spec::ERSTBA => it.table = half(it.table, false, value & !0x3f),
            0x14 => {
                it.table = half(it.table, true, value);
                it.restart();
            }
            spec::ERDP => {
                if u64::from(value) & spec::ERDP_EHB != 0 {
                    it.busy = false;
                }
                it.dequeue = half(it.dequeue, false, value & !(spec::ERDP_EHB as u32));
                return self.dequeued(index as u16, env);
            }
            0x1c => {
                it.dequeue = half(it.dequeue, true, value);
                return self.dequeued(index as u16, env);
            }
            _ => {}
        }
        Ok(())
    }

    /// A doorbell (5.6): 0 is that of the command ring.
    fn ring(&mut self, index: u64, value: u32, env: &mut dyn Env) {
        if !self.is_running() {
            return;
        }
        let target = value as u8;
        match u8::try_from(index) {
            Ok(0) if target == 0 => {
                self.commands.running = true;
                self.agenda.plan(Job::Command, env.now().saturating_add(super::COMMAND_NS));
            }
            Ok(slot) if slot != 0 => self.ring_endpoint(slot, target, env),
            _ => {}
        }
    }
}

/// Index of the port, and offset in its registers.
fn port_register(offset: u64) -> Option<(usize, u64)> {
    let at = offset.checked_sub(spec::PORTS)?;
    Some(((at / spec::PORT_BYTES) as usize, at % spec::PORT_BYTES))
}

/// Index of the interrupter, and offset in its registers.
fn interrupter_register(offset: u64) -> Option<(usize, u64)> {
    let at = offset.checked_sub(spec::INTERRUPTERS)?;
    Some(((at / spec::INTERRUPTER_BYTES) as usize, at % spec::INTERRUPTER_BYTES))
}
