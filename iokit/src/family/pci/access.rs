//! The one way to a function's registers, which knows whether the function is still there and who may come.

use super::bars::Bar;
use super::config::Config;
use super::function::Function;
use crate::service::{Service, ServiceRef, State};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use mach::seam::{Bdf, Machine, Width};
use mach::{KernelRef, SpinLock};
use trace::{Event, Kind};

/// Access to one function. Every register access of its drivers goes through here.
pub struct Access {
    kernel: KernelRef,
    function: Bdf,
    slot: u32,
    bars: Vec<Bar>,
    /// The nub; set once, before it is attached.
    nub: SpinLock<Option<Weak<Service>>>,
    /// Registry id of the client that holds the nub open; 0 = none.
    opened_by: AtomicU32,
    /// The function is gone from the bus.
    gone: AtomicBool,
    /// It was gone before its drivers heard `willTerminate`: after that they know.
    told: AtomicBool,
}

impl Access {
    /// Access to `function`, in `slot`.
    pub fn new(kernel: &KernelRef, function: &Function, slot: u32) -> Arc<Self> {
        Arc::new(Self {
            kernel: kernel.clone(),
            function: function.at,
            slot,
            bars: function.bars.clone(),
            nub: SpinLock::new(None),
            opened_by: AtomicU32::new(0),
            gone: AtomicBool::new(false),
            told: AtomicBool::new(false),
        })
    }

    /// The function's address.
    pub fn function(&self) -> Bdf {
        self.function
    }

    /// The slot that it is in; 0 = none.
    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    pub(super) fn kernel(&self) -> &KernelRef {
        &self.kernel
    }

    pub(super) fn set_nub(&self, nub: &ServiceRef) {
        *self.nub.lock(&self.kernel) = Some(Arc::downgrade(nub));
    }

    pub(super) fn set_owner(&self, client: u32) {
        self.opened_by.store(client, Ordering::Release);
    }

    /// Whether the slot reported the function as gone. A driver may ask at any time.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// The function is gone. `told`: its drivers will hear of it, because the termination only begins.
    pub(super) fn mark_gone(&self, told: bool) {
        self.told.store(told, Ordering::Release);
        self.gone.store(true, Ordering::Release);
    }

    /// Calls `change` with the configuration space: what the family itself does there, on no driver's account.
    pub(super) fn configure<R>(&self, change: impl FnOnce(&Config<'_>) -> R) -> R {
        let machine: &dyn Machine = self.kernel.machine();
        change(&Config::new(&machine, self.function))
    }

    /// Writes a register of a BAR on the family's account (MSI-X tables).
    pub(super) fn write_bar(&self, bar: u8, offset: u64, value: u32) {
        if let Some(bar) = self.bars.iter().find(|b| b.index == bar && offset < b.size) {
            self.kernel.machine().reg_write(bar.base + offset, Width::B4, u64::from(value));
        }
    }

    /// The BAR with this number, if it was given a place.
    pub(super) fn bar(&self, index: u8) -> Option<&Bar> {
        self.bars.iter().find(|b| b.index == index && b.base != 0)
    }

    /// The choke point: `client` is about to touch register `register` (BAR number in bits 63:32, offset below).
    pub(super) fn check(&self, client: u32, register: u64) {
        if self.opened_by.load(Ordering::Acquire) != client {
            self.report(Event::new(Kind::Violation).text("close-before-return"), client, register);
        }
        if self.gone.load(Ordering::Relaxed) && self.drivers_know() {
            self.report(Event::new(Kind::TouchAfterRemoval), client, register);
        }
    }

    /// Every driver has heard `willTerminate` of a removal: phase 3 of the nub's termination begins when all wills are done.
    fn drivers_know(&self) -> bool {
        let nub = self.nub.lock(&self.kernel).as_ref().and_then(Weak::upgrade);
        self.told.load(Ordering::Acquire) && nub.is_none_or(|n| n.state().contains(State::TERM_PHASE_3))
    }

    /// Reports the violation of `rule` by the client that holds the nub open, or held it.
    pub(super) fn violation(&self, rule: &str) {
        let client = self.opened_by.load(Ordering::Acquire);
        self.report(Event::new(Kind::Violation).text(rule), client, 0);
    }

    fn report(&self, event: Event, client: u32, register: u64) {
        self.kernel.trace(event.object(client).slot(self.slot).arg(register));
    }
}
