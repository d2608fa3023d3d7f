//! Root ports: bridges with one slot behind them.

use super::access::Access;
use super::bridge;
use super::card::PortFacts;
use super::function::{Function, change_command};
use super::hub::HotPlug;
use super::interrupts::PciInterrupts;
use super::regs::Command;
use super::slot::SlotRegisters;
use super::window::Windows;
use crate::class::{Class, IO_SERVICE};
use crate::interrupts::InterruptProvider;
use crate::service::{Driver, ServiceBuilder, ServiceRef};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

/// The class of root ports.
pub static IO_PCI_ROOT_PORT: Class = Class::new("IOPCIRootPort", &IO_SERVICE);

/// Bytes of the window that a port gets where firmware opened none.
const WINDOW_BYTES: u64 = 2 << 20;

/// Drives a root port: its hot-plug interrupt.
pub struct RootPort {
    access: Arc<Access>,
    interrupts: PciInterrupts,
    registers: Option<Arc<SlotRegisters>>,
}

impl RootPort {
    /// Makes the service of `port`, attached to `host` and started, and tells what the hot-plug thread must know.
    /// `index` counts the ports, for what firmware left undone. `None` if `host` goes.
    pub fn publish(host: &ServiceRef, port: Function, index: u32, hub: &Arc<HotPlug>) -> Option<PortFacts> {
        let kernel = host.kernel();
        let access = Access::new(kernel, &port, 0);
        let windows = Self::prepare(host, &access, index);
        let bus = access.configure(bridge::secondary_bus);
        let found = SlotRegisters::find(&access, &port, hub);
        let (registers, number) = match found {
            Some((registers, number)) => (Some(registers), number),
            None => (None, 0),
        };
        let interrupts = PciInterrupts::new(kernel, &access, &port, None);
        let driver = Self { access, interrupts, registers: registers.clone() };
        let service = ServiceBuilder::under(host, Box::new(driver)).named(&format!("port{number}")).build();
        if !service.attach(host) || !host.start_client(&service) {
            return None;
        }
        let line = port.line.filter(|&line| line != 0);
        Some(PortFacts { port: Arc::downgrade(&service), registers, number, bus, line, windows })
    }

    /// Bus number and windows, where firmware left them out; then requests pass in both directions.
    fn prepare(host: &ServiceRef, access: &Access, index: u32) -> Windows {
        let aperture = host.kit().args().aperture;
        access.configure(|config| {
            if bridge::secondary_bus(config) == 0 {
                bridge::set_bus(config, index as u8 + 1);
            }
            let (mut plain, prefetch) = bridge::windows(config);
            if let (None, Some((base, bytes))) = (plain, aperture) {
                let start = base.next_multiple_of(WINDOW_BYTES) + u64::from(index) * WINDOW_BYTES;
                if start + WINDOW_BYTES <= base.saturating_add(bytes) {
                    plain = bridge::open_window(config, start, WINDOW_BYTES);
                }
            }
            change_command(config, Command::MEMORY | Command::MASTER, Command::empty());
            Windows::new(plain, prefetch)
        })
    }
}

impl Driver for RootPort {
    fn class(&self) -> &'static Class {
        &IO_PCI_ROOT_PORT
    }

    fn start(&self, me: &ServiceRef, _provider: &ServiceRef) -> bool {
        let Some(registers) = &self.registers else { return true };
        let slot = registers.clone();
        let handler = Arc::new(move |_: &mach::KernelRef| slot.interrupt());
        if self.interrupts.register(0, handler).and_then(|()| self.interrupts.enable(0)).is_err() {
            me.kernel().log(format_args!("pci: {:?}: no interrupt for hot plug", self.access.function()));
            return true;
        }
        registers.enable_events();
        true
    }

    fn stop(&self, _me: &ServiceRef, _provider: &ServiceRef) {
        if let Some(registers) = &self.registers {
            registers.disable_events();
            // A port that got no interrupt has none to give back.
            let _ = self.interrupts.unregister(0);
        }
    }
}
