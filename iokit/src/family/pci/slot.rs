//! The hot-plug controller's registers of one port, shared between its interrupt handler and the hot-plug thread.

use super::access::Access;
use super::function::Function;
use super::hub::HotPlug;
use super::regs::express::{self, SlotCapabilities, SlotControl, SlotStatus};
use super::regs::{self};
use crate::service::ServiceRef;
use alloc::sync::{Arc, Weak};
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use mach::KernelRef;

/// Turns of the interrupt handler at the most: a port that always reports another event is broken.
const TURNS: usize = 16;
/// Looks for "command completed" at the most, and machine ns between them: 1 s in all (PCIe 6.7.3.2).
const COMMAND_LOOKS: u32 = 1000;
const COMMAND_LOOK_NS: u64 = 1_000_000;

/// Hears that a nub was stopped: nothing drives it any more.
pub trait NubWatcher: Send + Sync {
    /// `nub` was stopped (phase 3): its clients are detached.
    fn nub_stopped(&self, nub: &ServiceRef);
}

/// The slot of one port.
pub struct SlotRegisters {
    kernel: KernelRef,
    access: Arc<Access>,
    /// The PCI Express capability.
    express: u16,
    capabilities: SlotCapabilities,
    reports_link: bool,
    /// Events that the interrupt handler found, [`SlotStatus`] bits.
    events: AtomicU16,
    /// The hot-plug thread shall look at this port.
    attention: AtomicBool,
    /// A command was written and not yet seen to complete.
    commanded: AtomicBool,
    /// Nubs that were stopped since the last insertion.
    stopped: AtomicU32,
    hub: Weak<HotPlug>,
}

impl SlotRegisters {
    /// The slot behind `port`, a root port or downstream port with a slot, and the port's physical slot number.
    /// `None` if it has no slot that can be hot-plugged.
    pub fn find(access: &Arc<Access>, port: &Function, hub: &Arc<HotPlug>) -> Option<(Arc<Self>, u32)> {
        let express = port.capability(regs::CAP_EXPRESS)?;
        let (flags, raw, link) = access.configure(|c| {
            let flags = c.read16(express + express::FLAGS);
            (
                flags,
                c.read32(express + express::SLOT_CAPABILITIES),
                c.read32(express + express::LINK_CAPABILITIES),
            )
        });
        let capabilities = SlotCapabilities::from_bits_truncate(raw);
        if flags & express::FLAGS_SLOT == 0 || !capabilities.contains(SlotCapabilities::HOT_PLUG) {
            return None;
        }
        let slot = Self {
            kernel: access.kernel().clone(),
            access: access.clone(),
            express,
            capabilities,
            reports_link: link & express::LINK_ACTIVE_REPORTED != 0,
            events: AtomicU16::new(0),
            attention: AtomicBool::new(true),
            commanded: AtomicBool::new(false),
            stopped: AtomicU32::new(0),
            hub: Arc::downgrade(hub),
        };
        Some((Arc::new(slot), raw >> 19))
    }

    fn read(&self, register: u16) -> u16 {
        self.access.configure(|c| c.read16(self.express + register))
    }

    fn write(&self, register: u16, value: u16) {
        self.access.configure(|c| c.write16(self.express + register, value));
    }

    fn status(&self) -> SlotStatus {
        SlotStatus::from_bits_truncate(self.read(express::SLOT_STATUS))
    }

    /// The port's interrupt, at primary level: takes the events and wakes the hot-plug thread. Taking them drops a line, and
    /// lets the next event make a new message (PCIe 6.7.3.4).
    pub fn interrupt(&self) {
        let mut found = SlotStatus::empty();
        for _ in 0..TURNS {
            let raw = self.read(express::SLOT_STATUS);
            let events = SlotStatus::from_bits_truncate(raw) & SlotStatus::EVENTS;
            if events.is_empty() || raw == u16::MAX {
                break;
            }
            // Only what was read is cleared: another event may have come since.
            self.write(express::SLOT_STATUS, events.bits());
            found |= events;
        }
        if !found.is_empty() {
            self.events.fetch_or(found.bits(), Ordering::AcqRel);
            self.call_attention();
        }
    }

    fn call_attention(&self) {
        self.attention.store(true, Ordering::Release);
        if let Some(hub) = self.hub.upgrade() {
            hub.wake();
        }
    }

    /// Whether the thread shall look; asking takes the wish away.
    pub fn take_attention(&self) -> bool {
        self.attention.swap(false, Ordering::AcqRel)
    }

    /// The events since the last call.
    pub fn take_events(&self) -> SlotStatus {
        SlotStatus::from_bits_truncate(self.events.swap(0, Ordering::AcqRel))
    }

    /// Nubs that were stopped since [`SlotRegisters::forget_nubs`].
    pub fn stopped(&self) -> usize {
        self.stopped.load(Ordering::Acquire) as usize
    }

    /// The next card begins with none.
    pub fn forget_nubs(&self) {
        self.stopped.store(0, Ordering::Release);
    }

    /// A card is in the slot, and has a link where the port tells.
    pub fn is_present(&self) -> bool {
        self.status().contains(SlotStatus::PRESENT)
            && (!self.reports_link || self.read(express::LINK_STATUS) & express::LINK_ACTIVE != 0)
    }

    /// A card is in the slot; it may have no power and so no link.
    pub fn is_inserted(&self) -> bool {
        self.status().contains(SlotStatus::PRESENT)
    }

    /// Whether the slot has power, as far as the port can switch it.
    pub fn is_powered(&self) -> bool {
        !self.capabilities.contains(SlotCapabilities::POWER_CONTROLLER)
            || self.read(express::SLOT_CONTROL) & SlotControl::POWER_OFF.bits() == 0
    }

    /// Enables the events and the interrupt.
    pub fn enable_events(&self) {
        let mut enable =
            SlotControl::BUTTON_ENABLE | SlotControl::PRESENCE_ENABLE | SlotControl::INTERRUPT_ENABLE;
        enable.set(SlotControl::LINK_ENABLE, self.reports_link);
        self.command(enable, SlotControl::COMMAND_ENABLE);
    }

    /// Disables the interrupt.
    pub fn disable_events(&self) {
        self.command(SlotControl::empty(), SlotControl::INTERRUPT_ENABLE);
    }

    /// Power on, indicator on.
    pub fn power_on(&self) {
        self.command(SlotControl::INDICATOR_ON, SlotControl::INDICATOR_OFF | SlotControl::POWER_OFF);
    }

    /// Power off where it can be switched, indicator off: the card may be taken out.
    pub fn power_off(&self) {
        let mut set = SlotControl::INDICATOR_OFF;
        set.set(SlotControl::POWER_OFF, self.capabilities.contains(SlotCapabilities::POWER_CONTROLLER));
        self.command(set, SlotControl::empty());
    }

    /// Indicator blinking (a removal is about to begin) or on.
    pub fn blink(&self, blink: bool) {
        let to = if blink { SlotControl::INDICATOR_BLINK } else { SlotControl::INDICATOR_ON };
        self.command(to, SlotControl::INDICATOR_OFF);
    }

    /// Writes slot control: one command. Waits for the one before (PCIe 6.7.3.2).
    fn command(&self, set: SlotControl, clear: SlotControl) {
        self.wait_for_command();
        let old = SlotControl::from_bits_retain(self.read(express::SLOT_CONTROL));
        let new = old.difference(clear).union(set);
        self.write(express::SLOT_CONTROL, new.bits());
        let completes = !self.capabilities.contains(SlotCapabilities::NO_COMMAND_COMPLETED);
        self.commanded.store(completes, Ordering::Relaxed);
    }

    fn wait_for_command(&self) {
        if !self.commanded.swap(false, Ordering::Relaxed) {
            return;
        }
        for _ in 0..COMMAND_LOOKS {
            if self.status().contains(SlotStatus::COMMAND_COMPLETED) {
                self.write(express::SLOT_STATUS, SlotStatus::COMMAND_COMPLETED.bits());
                return;
            }
            self.kernel.sleep_until(self.kernel.now().saturating_add(COMMAND_LOOK_NS));
        }
        self.kernel.log(format_args!("pci: {:?}: a slot command did not complete", self.access.function()));
    }
}

impl NubWatcher for SlotRegisters {
    fn nub_stopped(&self, _nub: &ServiceRef) {
        self.stopped.fetch_add(1, Ordering::AcqRel);
        self.call_attention();
    }
}
