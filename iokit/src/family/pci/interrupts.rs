//! The interrupts of a PCI function: MSI-X, MSI or the line, whichever is there and allowed.

use super::access::Access;
use super::config::Config;
use super::function::{Function, change_command};
use super::message::{self, MsixTable};
use super::regs::{self, Command};
use crate::bootargs::IrqKind;
use crate::interrupts::{InterruptHandler, InterruptProvider, InterruptType};
use crate::ioreturn::{IOResult, IOReturn};
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::{KernelRef, SpinLock};

/// Vectors that one function gets at the most.
const VECTORS_MAX: usize = 4;

/// How the function signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// Capability offset.
    Msi(u16),
    /// Capability offset and table.
    Msix(u16, MsixTable),
    /// Global system interrupt.
    Line(u32),
}

/// The interrupts of one function, numbered from 0.
///
/// Each is taken from the kernel when a handler registers and given back when it unregisters, so that a plugged card
/// that nobody drives takes none.
pub struct PciInterrupts {
    kernel: KernelRef,
    access: Arc<Access>,
    means: Option<Means>,
    slots: SpinLock<Vec<Option<Registered>>>,
}

/// A handler in its place.
#[derive(Clone, Copy)]
enum Registered {
    /// A vector of its own.
    Vector(u8),
    /// A share of a line.
    Line(mach::LineId),
}

impl PciInterrupts {
    /// The best means that `function` has; `wanted` (from the command line) narrows it.
    pub fn new(
        kernel: &KernelRef,
        access: &Arc<Access>,
        function: &Function,
        wanted: Option<IrqKind>,
    ) -> Self {
        let means = access.configure(|config| Self::choose(config, function, wanted));
        let count = match means {
            None => 0,
            Some(Means::Msix(_, table)) => usize::from(table.entries).min(VECTORS_MAX),
            Some(_) => 1,
        };
        Self {
            kernel: kernel.clone(),
            access: access.clone(),
            means,
            slots: SpinLock::new(alloc::vec![None; count]),
        }
    }

    fn choose(config: &Config<'_>, function: &Function, wanted: Option<IrqKind>) -> Option<Means> {
        let allowed = |kind| wanted.is_none_or(|w| w == kind);
        let msix = || {
            let offset = function.capability(regs::CAP_MSIX).filter(|_| allowed(IrqKind::MsiX))?;
            let table = MsixTable::read(config, offset);
            let bar = function.bar(table.bar)?;
            let end = u64::from(table.offset) + 16 * u64::from(table.entries);
            (end <= bar.size).then_some(Means::Msix(offset, table))
        };
        let msi = || function.capability(regs::CAP_MSI).filter(|_| allowed(IrqKind::Msi)).map(Means::Msi);
        let line = || function.line.map(Means::Line);
        msix().or_else(msi).or_else(line)
    }

    /// Whether the interrupts are messages, each with a vector of its own.
    pub fn is_message(&self) -> bool {
        matches!(self.means, Some(Means::Msi(_) | Means::Msix(..)))
    }

    fn register_vector(&self, index: usize, handler: InterruptHandler) -> IOResult<Registered> {
        let vector =
            self.kernel.interrupts().allocate_vector(&self.kernel).map_err(|_| IOReturn::NoResources)?;
        self.kernel.interrupts().register(&self.kernel, vector, handler);
        let machine = self.kernel.machine();
        let cpu = usize::from(self.access.function().bus) % machine.cpu_count();
        let to = machine.message(cpu, vector);
        match self.means {
            Some(Means::Msi(offset)) => self.access.configure(|c| {
                change_command(c, Command::NO_INTX, Command::empty());
                message::enable_msi(c, offset, to);
            }),
            Some(Means::Msix(offset, table)) => {
                for (at, value) in table.entry(index as u16, to) {
                    self.access.write_bar(table.bar, at, value);
                }
                self.access.configure(|c| {
                    change_command(c, Command::NO_INTX, Command::empty());
                    message::enable_msix(c, offset);
                });
            }
            _ => {}
        }
        Ok(Registered::Vector(vector))
    }

    /// Tells the device to stop; a device that is gone needs no telling.
    fn silence(&self, index: usize) {
        if self.access.is_gone() {
            return;
        }
        match self.means {
            Some(Means::Msi(offset)) => self.access.configure(|c| message::disable_msi(c, offset)),
            Some(Means::Msix(_, table)) => {
                let (at, value) = table.mask(index as u16);
                self.access.write_bar(table.bar, at, value);
            }
            // A line that nobody answers would be asserted for ever, and the sharers' handlers called for ever.
            Some(Means::Line(_)) => self.allow_line(false),
            None => {}
        }
    }

    /// Lets the device drive its line, or not.
    fn allow_line(&self, allow: bool) {
        let bit = Command::NO_INTX;
        let (set, clear) = if allow { (Command::empty(), bit) } else { (bit, Command::empty()) };
        self.access.configure(|c| change_command(c, set, clear));
    }

    fn registered(&self, index: usize) -> IOResult<Registered> {
        self.slots.lock(&self.kernel).get(index).copied().flatten().ok_or(IOReturn::NoResources)
    }
}

impl InterruptProvider for PciInterrupts {
    fn count(&self) -> usize {
        self.slots.lock(&self.kernel).len()
    }

    fn interrupt_type(&self, index: usize) -> IOResult<InterruptType> {
        match self.means {
            Some(Means::Line(_)) if index == 0 => Ok(InterruptType::Level),
            Some(Means::Msi(_) | Means::Msix(..)) if index < self.count() => Ok(InterruptType::Edge),
            _ => Err(IOReturn::NoResources),
        }
    }

    fn register(&self, index: usize, handler: InterruptHandler) -> IOResult {
        match self.slots.lock(&self.kernel).get(index) {
            Some(None) => {}
            _ => return Err(IOReturn::NoResources),
        }
        let registered = match self.means {
            Some(Means::Line(gsi)) => {
                let interrupts = self.kernel.interrupts();
                let line = interrupts.register_line(&self.kernel, gsi, handler);
                let line = line.map_err(|_| IOReturn::NoResources)?;
                self.allow_line(true);
                Registered::Line(line)
            }
            _ => self.register_vector(index, handler)?,
        };
        if let Some(slot) = self.slots.lock(&self.kernel).get_mut(index) {
            *slot = Some(registered);
        }
        Ok(())
    }

    fn unregister(&self, index: usize) -> IOResult {
        let registered =
            self.registered(index).inspect_err(|_| self.access.violation("unregistered-twice"))?;
        self.silence(index);
        match registered {
            Registered::Vector(vector) => self.kernel.interrupts().free_vector(&self.kernel, vector),
            Registered::Line(line) => self.kernel.interrupts().unregister_line(&self.kernel, line),
        }
        if let Some(slot) = self.slots.lock(&self.kernel).get_mut(index) {
            *slot = None;
        }
        Ok(())
    }

    fn enable(&self, index: usize) -> IOResult {
        match self.registered(index)? {
            Registered::Vector(vector) => self.kernel.interrupts().enable(&self.kernel, vector),
            Registered::Line(line) => self.kernel.interrupts().enable_line(&self.kernel, line),
        }
        Ok(())
    }

    fn disable(&self, index: usize) -> IOResult {
        match self.registered(index)? {
            Registered::Vector(vector) => self.kernel.interrupts().disable(&self.kernel, vector),
            Registered::Line(line) => self.kernel.interrupts().disable_line(&self.kernel, line),
        }
        Ok(())
    }
}
