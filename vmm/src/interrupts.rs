//! Interrupts into the guest: messages and lines, all by irqfd.

use crate::VmmError;
use devices::platform::layout::{FIRST_GSI, LINES};
use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_irqchip,
    kvm_irq_routing_msi, kvm_msi,
};
use kvm_ioctls::VmFd;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

/// Pins of the IO-APIC; message routes have the numbers behind them.
const IO_APIC_PINS: u32 = 24;
/// Messages that get a route of their own. A guest that programs more gets the rest by the slower direct call.
const MAX_ROUTES: usize = 512;
/// Messages to the local APICs are writes to this megabyte (Intel SDM 3A, 11.11.1).
const MESSAGE_BASE: u64 = 0xfee0_0000;

#[derive(Default)]
struct Routes {
    messages: HashMap<(u64, u32), EventFd>,
    entries: Vec<kvm_irq_routing_entry>,
}

/// A level-triggered line: asserted by an event, dropped by KVM at the guest's end of interrupt, which is told by another event.
struct Line {
    trigger: EventFd,
    resample: EventFd,
    level: AtomicBool,
}

/// Everything that interrupts the guest.
pub struct Interrupts {
    routes: Mutex<Routes>,
    lines: Vec<Line>,
    serial: EventFd,
}

fn event() -> Result<EventFd, VmmError> {
    EventFd::new(EFD_NONBLOCK).map_err(|error| VmmError::System { what: "cannot make an eventfd", error })
}

fn pin(gsi: u32, chip: u32, pin: u32) -> kvm_irq_routing_entry {
    let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_IRQCHIP, ..Default::default() };
    entry.u.irqchip = kvm_irq_routing_irqchip { irqchip: chip, pin };
    entry
}

/// The pins of the interrupt controllers as KVM routes them by itself: setting message routes replaces the whole table.
fn pins() -> Vec<kvm_irq_routing_entry> {
    let mut entries = Vec::new();
    for gsi in 0..IO_APIC_PINS {
        match gsi {
            0..8 => entries.push(pin(gsi, KVM_IRQCHIP_PIC_MASTER, gsi)),
            8..16 => entries.push(pin(gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8)),
            _ => {}
        }
        entries.push(pin(gsi, KVM_IRQCHIP_IOAPIC, gsi));
    }
    entries
}

impl Interrupts {
    /// Lines and serial interrupt, registered with `vm`, which has its interrupt controllers.
    ///
    /// # Errors
    /// The system refuses an event or its registration.
    pub fn new(vm: &VmFd) -> Result<Self, VmmError> {
        let mut lines = Vec::new();
        for gsi in FIRST_GSI..FIRST_GSI + LINES {
            let line = Line { trigger: event()?, resample: event()?, level: AtomicBool::new(false) };
            vm.register_irqfd_with_resample(&line.trigger, &line.resample, gsi)
                .map_err(VmmError::system("cannot register an interrupt line"))?;
            lines.push(line);
        }
        let serial = event()?;
        vm.register_irqfd(&serial, 4).map_err(VmmError::system("cannot register the serial interrupt"))?;
        let routes = Routes { messages: HashMap::new(), entries: pins() };
        Ok(Self { routes: Mutex::new(routes), lines, serial })
    }

    /// The serial port's interrupt.
    pub fn serial(&self) -> &EventFd {
        &self.serial
    }

    /// The events by which KVM tells that the guest ended an interrupt of line 0, 1, ….
    pub fn resamples(&self) -> impl Iterator<Item = &EventFd> {
        self.lines.iter().map(|line| &line.resample)
    }

    /// Forgets what devices asserted and the guest ended: both belong to devices that are gone.
    pub fn silence(&self) {
        for line in &self.lines {
            line.level.store(false, Ordering::Release);
            let _ = line.resample.read();
        }
    }

    /// Sets the level of a line.
    pub fn set_line(&self, gsi: u32, asserted: bool) {
        if let Some(line) = gsi.checked_sub(FIRST_GSI).and_then(|n| self.lines.get(n as usize)) {
            line.level.store(asserted, Ordering::Release);
            if asserted {
                let _ = line.trigger.write(1);
            }
        }
    }

    /// The guest ended an interrupt of line number `number`: if the devices still assert it, it comes again.
    pub fn resample(&self, number: usize) {
        if let Some(line) = self.lines.get(number) {
            let _ = line.resample.read();
            if line.level.load(Ordering::Acquire) {
                let _ = line.trigger.write(1);
            }
        }
    }

    /// A device wrote a message. False: it is no interrupt, but an ordinary write of four bytes to memory.
    pub fn message(&self, vm: &VmFd, address: u64, data: u32) -> bool {
        if address & !0xf_ffff != MESSAGE_BASE {
            return false;
        }
        let mut routes = self.routes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(event) = routes.messages.get(&(address, data)) {
            let _ = event.write(1);
            return true;
        }
        match routes.add(vm, address, data) {
            Ok(()) => {
                if let Some(event) = routes.messages.get(&(address, data)) {
                    let _ = event.write(1);
                }
            }
            Err(_) => direct(vm, address, data),
        }
        true
    }
}

/// The way without a route: the same effect by a system call.
fn direct(vm: &VmFd, address: u64, data: u32) {
    let (low, high) = (address as u32, (address >> 32) as u32);
    // A message that no local APIC takes is dropped, as on the bus.
    let _ = vm.signal_msi(kvm_msi { address_lo: low, address_hi: high, data, ..Default::default() });
}

impl Routes {
    fn add(&mut self, vm: &VmFd, address: u64, data: u32) -> Result<(), VmmError> {
        if self.messages.len() >= MAX_ROUTES {
            return Err(VmmError::Missing("more interrupt routes"));
        }
        let gsi = IO_APIC_PINS + self.messages.len() as u32;
        let mut entry = kvm_irq_routing_entry { gsi, type_: KVM_IRQ_ROUTING_MSI, ..Default::default() };
        entry.u.msi = kvm_irq_routing_msi {
            address_lo: address as u32,
            address_hi: (address >> 32) as u32,
            data,
            ..Default::default()
        };
        let mut entries = self.entries.clone();
        entries.push(entry);
        let table =
            KvmIrqRouting::from_entries(&entries).map_err(|_| VmmError::Missing("interrupt routes"))?;
        vm.set_gsi_routing(&table).map_err(VmmError::system("cannot route an interrupt"))?;
        let event = event()?;
        vm.register_irqfd(&event, gsi).map_err(VmmError::system("cannot register an interrupt"))?;
        self.entries = entries;
        self.messages.insert((address, data), event);
        Ok(())
    }
}
