//! The controller's registers. Whatever is read as all ones is not there any more.

use super::regs;
use crate::family::pci::{BusMaster, PciDevice, Registers};
use crate::family::usb::{PortStatus, Speed};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use alloc::vec::Vec;
use mach::KernelRef;

/// How long the controller may take to halt, to reset, to become ready, machine ns; how often that is looked at.
const PATIENCE_NS: u64 = 1_000_000_000;
const LOOK_NS: u64 = 1_000_000;
/// Looks for halted in the gate, where nobody sleeps.
const HALT_LOOKS: u32 = 1000;
/// Extended capability: what firmware and system hand over (7.1).
const LEGACY: u32 = 1;
/// Extended capability: which root ports belong together (7.2).
const PROTOCOL: u32 = 2;
/// Extended capabilities that are looked at: a list can be a circle.
const CAPABILITIES_MAX: u32 = 64;

/// Where everything is, and how much of it there is.
#[derive(Clone)]
pub struct Hardware {
    kernel: KernelRef,
    master: BusMaster,
    operational: Registers,
    runtime: Registers,
    doorbells: Registers,
    /// Root ports.
    pub ports: u8,
    /// Device slots.
    pub slots: u8,
    /// Bytes of a context.
    pub context: usize,
    /// Addresses have 64 bits.
    pub wide: bool,
    /// Pages that the controller wants for itself.
    pub scratchpads: u32,
    /// First root port and number of those of one protocol.
    protocols: Vec<(u8, u8)>,
}

impl Hardware {
    /// Maps BAR 0 for `me` and finds the parts of it. Unsupported if they are not all there.
    pub fn find(me: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let all = device.map(me, 0)?;
        let first = all.read32(regs::CAPLENGTH);
        if first == u32::MAX {
            return Err(IOReturn::Offline);
        }
        let [one, two, three] =
            [regs::HCSPARAMS1, regs::HCSPARAMS2, regs::HCCPARAMS1].map(|at| all.read32(at));
        let (ports, slots) = ((one >> 24) as u8, one as u8);
        let length = u64::from(first & 0xff);
        let part = |offset: u64, bytes: u64| all.part(offset, bytes).ok_or(IOReturn::Unsupported);
        let operational = part(length, regs::PORTSC + 16 * u64::from(ports))?;
        let runtime = part(u64::from(all.read32(regs::RTSOFF) & !0x1f), 0x40)?;
        let doorbells = part(u64::from(all.read32(regs::DBOFF) & !3), 4 * (u64::from(slots) + 1))?;
        if ports == 0 || slots == 0 {
            return Err(IOReturn::Unsupported);
        }
        let kernel = me.kernel().clone();
        let protocols = extended(&kernel, &all, three >> 16);
        Ok(Self {
            protocols,
            master: device.bus_master(),
            kernel,
            operational,
            runtime,
            doorbells,
            ports,
            slots,
            context: if three & regs::CONTEXT_64 != 0 { 64 } else { 32 },
            wide: three & 1 != 0,
            scratchpads: (two >> 21 & 0x1f) << 5 | two >> 27,
        })
    }

    /// Whether the slot reported the controller as gone.
    pub fn is_gone(&self) -> bool {
        self.operational.is_gone()
    }

    /// The connector that a root port belongs to, from 1: the n-th port of each protocol is the n-th connector's.
    pub fn connector(&self, port: u8) -> u8 {
        connector(&self.protocols, port)
    }

    /// Bytes of a page (5.4.3).
    pub fn page(&self) -> u64 {
        let sizes = self.operational.read32(regs::PAGESIZE) & 0xffff;
        4096 << sizes.trailing_zeros().min(15)
    }

    fn write64(registers: &Registers, at: u64, value: u64) {
        registers.write32(at, value as u32);
        registers.write32(at + 4, (value >> 32) as u32);
    }

    /// Status; all ones if it is gone.
    pub fn status(&self) -> u32 {
        self.operational.read32(regs::USBSTS)
    }

    /// Stops and resets it. Sleeps; Offline if it goes meanwhile, NotResponding if it does not come to rest.
    pub fn reset(&self) -> IOResult {
        self.halt();
        self.wait(|status| status & regs::STS_HALTED != 0)?;
        self.operational.write32(regs::USBCMD, regs::CMD_RESET);
        self.wait(|status| status & regs::STS_NOT_READY == 0)?;
        let deadline = self.kernel.now() + PATIENCE_NS;
        loop {
            match self.operational.read32(regs::USBCMD) {
                u32::MAX => return Err(IOReturn::Offline),
                word if word & regs::CMD_RESET == 0 => return Ok(()),
                _ if self.kernel.now() > deadline => return Err(IOReturn::NotResponding),
                _ => self.kernel.delay(LOOK_NS),
            }
        }
    }

    fn wait(&self, wanted: impl Fn(u32) -> bool) -> IOResult {
        let deadline = self.kernel.now() + PATIENCE_NS;
        loop {
            let status = self.status();
            if status == u32::MAX {
                return Err(IOReturn::Offline);
            }
            if wanted(status) {
                return Ok(());
            }
            if self.kernel.now() > deadline {
                return Err(IOReturn::NotResponding);
            }
            self.kernel.delay(LOOK_NS);
        }
    }

    /// Tells it where everything is (4.2).
    pub fn set_up(&self, contexts: u64, commands: u64, table: u64, events: u64) {
        self.operational.write32(regs::CONFIG, u32::from(self.slots));
        Self::write64(&self.operational, regs::DCBAAP, contexts);
        Self::write64(&self.operational, regs::CRCR, commands | regs::CRCR_CYCLE);
        self.runtime.write32(regs::ERSTSZ, 1);
        Self::write64(&self.runtime, regs::ERDP, events);
        Self::write64(&self.runtime, regs::ERSTBA, table);
        self.runtime.write32(regs::IMOD, 0);
        self.runtime.write32(regs::IMAN, regs::IMAN_PENDING | regs::IMAN_ENABLE);
    }

    /// Lets it run.
    pub fn run(&self) {
        self.operational.write32(regs::USBCMD, regs::CMD_RUN | regs::CMD_INTE);
    }

    /// Stops it; does not wait.
    pub fn halt(&self) {
        self.operational.write32(regs::USBCMD, 0);
    }

    /// Stops it and waits without sleeping (5.4.1.1): afterwards it does not touch memory. One that does not answer now may go on with what it was told when it
    /// answers again: bus mastering, which is taken away too, keeps it from memory that is used by others then.
    pub fn silence(&self) {
        if self.is_gone() {
            return;
        }
        self.halt();
        for _ in 0..HALT_LOOKS {
            if self.status() & regs::STS_HALTED != 0 {
                break;
            }
        }
        self.master.set(false);
    }

    /// At primary interrupt level: whether it has an event to tell of; then that has been seen.
    pub fn acknowledge(&self, message: bool) -> bool {
        let status = self.status();
        if status == u32::MAX || status & regs::STS_EVENT == 0 {
            return false;
        }
        // The status first: what comes in between makes another interrupt (5.4.2).
        self.operational.write32(regs::USBSTS, regs::STS_EVENT);
        if !message {
            self.runtime.write32(regs::IMAN, regs::IMAN_PENDING | regs::IMAN_ENABLE);
        }
        true
    }

    /// The driver is at `pointer` in the event ring, and does not work on it now.
    pub fn events_taken(&self, pointer: u64) {
        Self::write64(&self.runtime, regs::ERDP, pointer | regs::ERDP_BUSY);
    }

    /// Rings the doorbell of a device slot for an endpoint's context; slot 0: of the command ring.
    pub fn ring(&self, slot: u8, context: u8) {
        self.doorbells.write32(4 * u64::from(slot), u32::from(context));
    }

    /// Aborts the command that is being carried out (4.6.1.2).
    pub fn abort_command(&self, commands: u64) {
        Self::write64(&self.operational, regs::CRCR, commands & !0x3f | regs::CRCR_ABORT);
    }

    fn port(port: u8) -> u64 {
        regs::PORTSC + 16 * (u64::from(port) - 1)
    }

    /// What port `port` says, from 1 to [`Hardware::ports`]. Offline if the controller is gone.
    pub fn port_status(&self, port: u8) -> IOResult<PortStatus> {
        match self.operational.read32(Self::port(port)) {
            u32::MAX => Err(IOReturn::Offline),
            word => Ok(decode(word)),
        }
    }

    /// Sets bits of a port and leaves everything else as it is.
    fn change_port(&self, port: u8, bits: impl FnOnce(u32) -> u32) -> IOResult {
        match self.operational.read32(Self::port(port)) {
            u32::MAX => Err(IOReturn::Offline),
            word => {
                self.operational.write32(Self::port(port), word & regs::PORT_KEEP | bits(word));
                Ok(())
            }
        }
    }

    /// Gives a port power.
    pub fn power_port(&self, port: u8) -> IOResult {
        self.change_port(port, |_| regs::PORT_POWER)
    }

    /// Begins to reset a port.
    pub fn reset_port(&self, port: u8) -> IOResult {
        self.change_port(port, |_| regs::PORT_RESET)
    }

    /// Clears the changes that a port tells of now.
    pub fn acknowledge_port(&self, port: u8) -> IOResult {
        self.change_port(port, |word| word & regs::PORT_CHANGES)
    }
}

fn decode(word: u32) -> PortStatus {
    PortStatus {
        connected: word & regs::PORT_CONNECTED != 0,
        enabled: word & regs::PORT_ENABLED != 0,
        resetting: word & regs::PORT_RESET != 0,
        changed: word & regs::PORT_CONNECT_CHANGE != 0,
        speed: Speed::from_id(word >> 10 & 0xf),
    }
}

fn connector(protocols: &[(u8, u8)], port: u8) -> u8 {
    let found = protocols.iter().find_map(|&(first, count)| {
        let place = port.checked_sub(first)?;
        (place < count).then_some(place + 1)
    });
    found.unwrap_or(port)
}

/// Goes through the extended capabilities from the one at `next`, in words: takes the controller over from the firmware, if that has it (4.22.1),
/// and finds the ports of each protocol.
fn extended(kernel: &KernelRef, all: &Registers, next: u32) -> Vec<(u8, u8)> {
    let mut protocols = Vec::new();
    let (mut at, mut step) = (u64::from(next) * 4, next);
    for _ in 0..CAPABILITIES_MAX {
        if step == 0 || at + 12 > all.size() {
            break;
        }
        let word = all.read32(at);
        match word & 0xff {
            LEGACY => take_over(kernel, all, at),
            PROTOCOL => {
                let ports = all.read32(at + 8);
                protocols.push((ports as u8, (ports >> 8) as u8));
            }
            _ => {}
        }
        step = word >> 8 & 0xff;
        at += u64::from(step) * 4;
    }
    protocols
}

fn take_over(kernel: &KernelRef, all: &Registers, at: u64) {
    const FIRMWARE: u32 = 1 << 16;
    const SYSTEM: u32 = 1 << 24;
    all.write32(at, all.read32(at) | SYSTEM);
    let deadline = kernel.now() + PATIENCE_NS;
    loop {
        match all.read32(at) {
            u32::MAX => return,
            word if word & FIRMWARE == 0 || kernel.now() > deadline => return,
            _ => kernel.delay(LOOK_NS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_decoded() {
        let port = decode(regs::PORT_CONNECTED | regs::PORT_ENABLED | regs::PORT_POWER | 3 << 10 | 1 << 17);
        assert!(port.connected && port.enabled && port.changed && !port.resetting);
        assert_eq!(port.speed, Some(Speed::High));
        assert_eq!(decode(0), PortStatus::default());
    }

    #[test]
    fn a_connector_has_a_port_of_each_protocol() {
        let protocols = [(5, 4), (1, 4)];
        assert_eq!([1, 4, 5, 8, 9].map(|port| connector(&protocols, port)), [1, 4, 1, 4, 9]);
        assert_eq!(connector(&[], 3), 3);
    }

    #[test]
    fn what_is_kept_of_a_port_neither_disables_nor_acknowledges() {
        assert_eq!(regs::PORT_KEEP & (regs::PORT_ENABLED | regs::PORT_RESET | regs::PORT_CHANGES), 0);
        assert_ne!(regs::PORT_KEEP & regs::PORT_POWER, 0);
    }
}
