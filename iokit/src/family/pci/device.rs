//! `IOPCIDevice`: the nub of a PCI function.

use super::access::Access;
use super::function::{Function, change_command};
use super::interrupts::PciInterrupts;
use super::registers::Registers;
use super::regs::Command;
use super::slot::NubWatcher;
use crate::bootargs::IrqKind;
use crate::class::{Class, IO_SERVICE};
use crate::interrupts::InterruptProvider;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, Service, ServiceBuilder, ServiceRef};
use crate::user_client::UserClient;
use crate::value::Properties;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use mach::{DmaBuffer, KernelRef};
use trace::Kind;

/// The class of PCI nubs.
pub static IO_PCI_DEVICE: Class = Class::new("IOPCIDevice", &IO_SERVICE);

/// Property: vendor ID.
pub const VENDOR_ID: &str = "vendor-id";
/// Property: device ID.
pub const DEVICE_ID: &str = "device-id";
/// Property: class code, 24 bits.
pub const CLASS_CODE: &str = "class-code";

/// The limit of a device with addresses of 32 bits.
pub const BELOW_4G: u64 = 1 << 32;

/// Where a device's DMA memory comes from.
#[derive(Clone)]
pub struct DmaSpace {
    kernel: KernelRef,
    /// Whose the memory is.
    slot: u32,
    limit: u64,
}

impl DmaSpace {
    /// `bytes` aligned to `align`. NoMemory if there is none; freed when dropped.
    pub fn buffer(&self, bytes: u64, align: u64) -> IOResult<DmaBuffer> {
        let buffer = self.kernel.dma_alloc_for(self.slot, bytes, align)?;
        let end = buffer.address().checked_add(bytes).ok_or(IOReturn::NoMemory)?;
        if end > self.limit { Err(IOReturn::NoMemory) } else { Ok(buffer) }
    }
}

/// A device's leave to be a bus master, for whoever does not hold the nub: it can be taken away in configuration space, which the bus interface serves,
/// even where the device behind that does not answer.
#[derive(Clone)]
pub struct BusMaster(Arc<Access>);

impl BusMaster {
    /// As [`PciDevice::set_bus_master`].
    pub fn set(&self, on: bool) {
        change(&self.0, Command::MASTER, on);
    }
}

/// The driver half of a PCI nub.
pub struct PciDevice {
    function: Function,
    access: Arc<Access>,
    interrupts: Arc<PciInterrupts>,
    watcher: Option<Arc<dyn NubWatcher>>,
}

impl PciDevice {
    /// Makes the nub of `function` below `parent`, attached and not yet registered. `slot` 0: on no hot-plug port.
    /// `watcher` hears when the nub is stopped. `None` if `parent` is inactive.
    pub fn publish(
        parent: &ServiceRef,
        function: Function,
        slot: u32,
        watcher: Option<Arc<dyn NubWatcher>>,
    ) -> Option<ServiceRef> {
        let kernel = parent.kernel().clone();
        let args = parent.kit().args().slot(slot);
        let name = Self::name(args.map(|a| a.name.as_str()), &function);
        let irq: Option<IrqKind> = args.and_then(|a| a.irq);
        let properties = Properties::new()
            .with(VENDOR_ID, u64::from(function.identity.vendor))
            .with(DEVICE_ID, u64::from(function.identity.device))
            .with(CLASS_CODE, u64::from(function.identity.class));
        let access = Access::new(&kernel, &function, slot);
        let interrupts = Arc::new(PciInterrupts::new(&kernel, &access, &function, irq));
        let driver = Self { function, access: access.clone(), interrupts, watcher };
        let nub =
            ServiceBuilder::under(parent, Box::new(driver)).nub(slot, &name).properties(properties).build();
        access.set_nub(&nub);
        nub.attach(parent).then_some(nub)
    }

    fn name(planned: Option<&str>, function: &Function) -> String {
        match (planned, function.at.function) {
            (Some(name), 0) => name.into(),
            (Some(name), n) => format!("{name}.{n}"),
            (None, _) => format!("pci{:?}", function.at),
        }
    }

    /// The PCI nub that `service` is.
    pub fn of(service: &Service) -> Option<&Self> {
        service.driver_as()
    }

    /// What the enumeration found.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// Whether the slot reported the device as gone.
    pub fn is_gone(&self) -> bool {
        self.access.is_gone()
    }

    /// The kernel learned that the device of this nub, `me`, is gone.
    pub(super) fn mark_gone(&self, me: &ServiceRef) {
        self.access.mark_gone(!me.is_inactive());
        me.trace(Kind::Gone, None, 0);
    }

    /// Maps BAR `bar` for `client`, which must hold the nub open. NotFound if there is no such BAR or it has no place.
    pub fn map(&self, client: &Service, bar: u8) -> IOResult<Registers> {
        let found = self.access.bar(bar).ok_or(IOReturn::NotFound)?;
        Ok(Registers::new(&self.access, client.id(), bar, found.base, found.size))
    }

    /// Reads 32 bits of configuration space for `client`; `offset` is a multiple of four.
    pub fn config_read32(&self, client: &Service, offset: u16) -> u32 {
        self.access.check(client.id(), u64::from(u32::MAX) << 32 | u64::from(offset));
        self.access.configure(|c| c.read32(offset & 0xffc))
    }

    /// Lets the device answer in memory space.
    pub fn set_memory_enable(&self, on: bool) {
        change(&self.access, Command::MEMORY, on);
    }

    /// Lets the device be a bus master: DMA and messages. Without it, DMA of the device fails: how a driver makes sure that
    /// memory which it is about to free is no longer written.
    pub fn set_bus_master(&self, on: bool) {
        change(&self.access, Command::MASTER, on);
    }

    /// The device's leave to be a bus master.
    pub fn bus_master(&self) -> BusMaster {
        BusMaster(self.access.clone())
    }

    /// Where the device's DMA memory comes from: all of it below `limit`.
    pub fn dma(&self, kernel: &KernelRef, limit: u64) -> DmaSpace {
        DmaSpace { kernel: kernel.clone(), slot: self.access.slot(), limit }
    }

    /// DMA memory for the device: `bytes` aligned to `align`, all of it below `limit`; as [`DmaSpace::buffer`].
    pub fn dma_buffer(&self, kernel: &KernelRef, bytes: u64, align: u64, limit: u64) -> IOResult<DmaBuffer> {
        self.dma(kernel, limit).buffer(bytes, align)
    }
}

/// Sets a bit of the command register, or clears it, unless the slot reported the device as gone.
fn change(access: &Access, bit: Command, on: bool) {
    if !access.is_gone() {
        let (set, clear) = if on { (bit, Command::empty()) } else { (Command::empty(), bit) };
        access.configure(|c| change_command(c, set, clear));
    }
}

impl Driver for PciDevice {
    fn class(&self) -> &'static Class {
        &IO_PCI_DEVICE
    }

    fn handle_open(&self, me: &ServiceRef, client: &ServiceRef, options: Options) -> bool {
        let opened = me.default_handle_open(client, options);
        if opened {
            self.access.set_owner(client.id());
        }
        opened
    }

    fn handle_close(&self, me: &ServiceRef, client: &ServiceRef, _options: Options) {
        self.access.set_owner(0);
        me.default_handle_close(client);
    }

    fn stop(&self, me: &ServiceRef, _provider: &ServiceRef) {
        self.set_bus_master(false);
        if let Some(watcher) = &self.watcher {
            watcher.nub_stopped(me);
        }
    }

    fn interrupts(&self) -> Option<Arc<dyn InterruptProvider>> {
        Some(self.interrupts.clone())
    }

    fn as_user_client(&self) -> Option<&dyn UserClient> {
        None
    }
}
