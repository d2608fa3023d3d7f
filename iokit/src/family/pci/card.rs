//! What is in one slot: finds the card, publishes its nubs, and takes them down. Only the hot-plug thread works here.

use super::config::Config;
use super::device::PciDevice;
use super::function::{Function, change_command};
use super::hot_plug::{Seen, Slot, SlotState, Step};
use super::regs::express::SlotStatus;
use super::regs::{self, Command};
use super::slot::{NubWatcher, SlotRegisters};
use super::window::Windows;
use crate::service::{Options, Service, ServiceRef};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use mach::KernelRef;
use mach::seam::{Bdf, Machine};

/// Steps that one look can take: a slot goes at most once round its cycle.
const STEPS: usize = 16;

/// The slot behind one port, and the card in it.
pub struct Card {
    kernel: KernelRef,
    port: Weak<Service>,
    registers: Option<Arc<SlotRegisters>>,
    /// Physical slot number; 0 = none.
    number: u32,
    bus: u8,
    /// The port's own interrupt line: a card's INTA# comes out there.
    line: Option<u32>,
    windows: Windows,
    slot: Slot,
    powered: bool,
    nubs: Vec<ServiceRef>,
}

/// What a port tells about itself.
pub struct PortFacts {
    /// The port.
    pub port: Weak<Service>,
    /// Its slot, if that can be hot-plugged.
    pub registers: Option<Arc<SlotRegisters>>,
    /// Physical slot number; 0 = none.
    pub number: u32,
    /// Secondary bus.
    pub bus: u8,
    /// Interrupt line.
    pub line: Option<u32>,
    /// Address windows.
    pub windows: Windows,
}

impl Card {
    /// What is behind the port of these facts, not looked at yet.
    pub fn new(kernel: &KernelRef, facts: PortFacts) -> Self {
        Self {
            kernel: kernel.clone(),
            powered: facts.registers.as_ref().is_none_or(|r| r.is_powered()),
            port: facts.port,
            registers: facts.registers,
            number: facts.number,
            bus: facts.bus,
            line: facts.line,
            windows: facts.windows,
            slot: Slot::new(),
            nubs: Vec::new(),
        }
    }

    /// Machine time (ns) at which this slot wants to be looked at.
    pub fn deadline(&self) -> Option<u64> {
        self.slot.deadline()
    }

    /// Looks at the slot and does what is to be done.
    pub fn look(&mut self) {
        let wanted = match &self.registers {
            Some(registers) => registers.take_attention(),
            None => self.slot.state() == SlotState::Empty,
        };
        if !wanted && self.deadline().is_none_or(|at| self.kernel.now() < at) {
            return;
        }
        if self.port.upgrade().is_none_or(|p| p.is_inactive()) {
            return self.forget_stopped();
        }
        for _ in 0..STEPS {
            let seen = self.see();
            let step = self.slot.step(&seen);
            if step == Step::Rest {
                return;
            }
            self.act(step);
        }
    }

    /// The port itself goes: the nubs go with it, nothing comes any more.
    fn forget_stopped(&mut self) {
        if self.registers.as_ref().is_none_or(|r| r.stopped() >= self.nubs.len()) {
            self.nubs.clear();
        }
        self.slot.abandon();
    }

    fn config<R>(&self, function: u8, ask: impl FnOnce(&Config<'_>) -> R) -> R {
        let machine: &dyn Machine = self.kernel.machine();
        ask(&Config::new(&machine, Bdf { bus: self.bus, device: 0, function }))
    }

    fn see(&self) -> Seen {
        let now = self.kernel.now();
        let Some(registers) = &self.registers else {
            let present = !self.nubs.is_empty() || self.config(0, |c| c.identify().is_some());
            return Seen { events: SlotStatus::empty(), present, same_card: true, nubs_gone: false, now };
        };
        let events = registers.take_events();
        let present = if self.powered { registers.is_present() } else { registers.is_inserted() };
        // A card that was taken out and put back, however fast, came up with memory decoding off (PCI 6.2.2).
        let decodes = |c: &Config<'_>| {
            let command = c.read16(regs::COMMAND);
            command != u16::MAX && command & Command::MEMORY.bits() != 0
        };
        let same_card = present && !self.nubs.is_empty() && self.config(0, decodes);
        let nubs_gone = !self.nubs.is_empty() && registers.stopped() >= self.nubs.len();
        Seen { events, present, same_card, nubs_gone, now }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Rest => {}
            Step::PowerOnAndFind => {
                self.power_on();
                self.find();
            }
            Step::Find => self.find(),
            Step::Blink => self.indicate(true),
            Step::Unblink => self.indicate(false),
            Step::Lost => {
                self.mark_gone();
                self.terminate(Options::REQUIRED);
            }
            Step::LostInLeaving => self.mark_gone(),
            Step::Terminate => self.terminate(Options::empty()),
            Step::FreeAndPowerOff => {
                self.free();
                self.power_off();
            }
            Step::Free => self.free(),
        }
    }

    fn power_on(&mut self) {
        if let Some(registers) = self.registers.as_ref().filter(|_| !self.powered) {
            registers.power_on();
        }
        self.powered = true;
    }

    fn power_off(&mut self) {
        if let Some(registers) = &self.registers {
            registers.power_off();
        }
        self.powered = false;
    }

    fn indicate(&self, blink: bool) {
        if let Some(registers) = &self.registers {
            registers.blink(blink);
        }
    }

    fn mark_gone(&self) {
        for nub in &self.nubs {
            if let Some(device) = PciDevice::of(nub) {
                device.mark_gone(nub);
            }
        }
    }

    fn terminate(&self, options: Options) {
        for nub in &self.nubs {
            nub.terminate(options);
        }
    }

    /// The nubs are stopped: their addresses are free again.
    fn free(&mut self) {
        for nub in core::mem::take(&mut self.nubs) {
            if let Some(device) = PciDevice::of(&nub) {
                device.function().bars.iter().for_each(|bar| self.windows.free(bar.base));
            }
        }
        if let Some(registers) = &self.registers {
            registers.forget_nubs();
        }
    }

    /// Looks for the card and publishes what it has.
    fn find(&mut self) {
        let found = self.config(0, Function::find);
        if let (Some(first), Some(port)) = (found, self.port.upgrade()) {
            let others = if first.is_multifunction { 1..8 } else { 1..1 };
            self.publish(&port, first);
            for number in others {
                if let Some(function) = self.config(number, Function::find) {
                    self.publish(&port, function);
                }
            }
            self.nubs.iter().for_each(|nub| nub.register_service(Options::empty()));
        }
        let now = self.kernel.now();
        self.slot.found(!self.nubs.is_empty(), now);
    }

    /// Gives a function its addresses and makes its nub.
    fn publish(&mut self, port: &ServiceRef, mut function: Function) {
        if function.is_bridge {
            self.kernel.log(format_args!("pci: {:?}: a bridge behind a port is left alone", function.at));
            return;
        }
        function.line = function.line.filter(|&line| line != 0).or(self.line);
        self.assign(&mut function);
        let watcher = self.registers.clone().map(|r| r as Arc<dyn NubWatcher>);
        let bars = function.bars.clone();
        match PciDevice::publish(port, function, self.number, watcher) {
            Some(nub) => self.nubs.push(nub),
            None => bars.iter().for_each(|bar| self.windows.free(bar.base)),
        }
    }

    /// Keeps what firmware assigned, assigns the rest; then the function may answer.
    fn assign(&mut self, function: &mut Function) {
        let at = function.at;
        // Largest first, so that the small ones fill the holes.
        let mut order: Vec<usize> = (0..function.bars.len()).collect();
        order.sort_by_key(|&i| core::cmp::Reverse(function.bars[i].size));
        for i in order {
            let bar = &mut function.bars[i];
            if bar.base != 0 && self.windows.reserve(bar) {
                continue;
            }
            let base = self.windows.allocate(bar);
            if base.is_none() {
                self.kernel.log(format_args!("pci: {at:?}: no room for BAR {}", bar.index));
            }
            let machine: &dyn Machine = self.kernel.machine();
            bar.assign(&Config::new(&machine, at), base.unwrap_or(0));
        }
        // The line stays off until a handler is there to answer it.
        let on = Command::MEMORY | Command::NO_INTX;
        self.config(at.function, |c| change_command(c, on, Command::IO));
    }
}
