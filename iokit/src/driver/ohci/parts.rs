//! What the driver has between `start` and `stop`: work loop, event sources, registers, the engine.
//!
//! ```text
//! send (any thread, gate) ─► ring ··· controller, bus ··· status, response in memory, interrupt
//!   ─► filter: takes the events ─► work loop: gate, what the rings have to the bus ─► each request's `done`, once
//! ```

use super::driver::OhciDriver;
use super::engine::Engine;
use super::hardware::Hardware;
use super::regs::event;
use crate::driver::common::{self, Frame};
use crate::family::firewire::{Bus, Link, Packet, Sent, Tag};
use crate::family::pci::PciDevice;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::{Gated, InterruptSource, WorkLoop};
use alloc::sync::{Arc, Weak};
use alloc::vec;
use mach::{DmaBuffer, KernelRef, SpinLock};

/// From one look of the watchdog to the next, machine ns: what a lost interrupt costs.
const WATCH_NS: u64 = 20_000_000;
/// Looks of the watchdog at a bus that gets no IDs, before it is reset.
const UNSETTLED_LOOKS: u32 = 3;
/// Resets of such a bus in a row; then it is left alone until somebody else resets it.
const RESETS_MAX: u32 = 3;

/// How long the bus has had no IDs.
#[derive(Default)]
struct Unsettled {
    looks: u32,
    resets: u32,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    device: Arc<str>,
    /// The controller's slot: whose the memory is.
    slot: u32,
    frame: Frame,
    hardware: Hardware,
    guid: u64,
    engine: Gated<Engine>,
    unsettled: Gated<Unsettled>,
    bus: SpinLock<Weak<Bus>>,
}

fn parts_of(owner: &ServiceRef) -> Option<Arc<Parts>> {
    owner.driver_as::<OhciDriver>()?.parts().ok()
}

impl Parts {
    /// Resets the controller and sets it up (A.2); the link does not run yet. Sleeps.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let hardware = Hardware::find(me, device)?;
        hardware.reset()?;
        let (kernel, slot) = (me.kernel().clone(), me.slot());
        let engine = Engine::new(&hardware, |bytes, align| allocate(&kernel, slot, bytes, align))?;
        let interrupt = interrupt(me, provider, &hardware)?;
        let frame = Frame::new(me, vec![interrupt], WATCH_NS, |owner| {
            if let Some(parts) = parts_of(owner) {
                parts.watch_fired();
            }
        });
        Ok(Self {
            engine: frame.gated(engine),
            unsettled: frame.gated(Unsettled::default()),
            guid: hardware.guid(),
            device: me.device().clone(),
            bus: SpinLock::new(Weak::new()),
            kernel,
            slot,
            frame,
            hardware,
        })
    }

    /// Who hears of the bus from now on.
    pub fn set_bus(&self, bus: &Arc<Bus>) {
        *self.bus.lock(&self.kernel) = Arc::downgrade(bus);
    }

    /// Lets the link begin. Offline: the controller goes already.
    pub fn enable(&self) -> IOResult {
        self.frame.work_loop().run_action(|| {
            self.alive()?;
            self.engine.with(|engine| engine.enable());
            self.frame.arm_watchdog();
            Ok(())
        })
    }

    fn alive(&self) -> IOResult {
        self.frame.closed().map_or(Ok(()), Err)
    }

    fn bus(&self) -> Option<Arc<Bus>> {
        self.bus.lock(&self.kernel).upgrade()
    }

    /// The interrupt's action.
    fn interrupted(&self) {
        if self.alive().is_err() {
            return;
        }
        // What came since the filter, or without it; what is gone tells by the slot, too, but nothing is begun until then.
        if self.hardware.take_events().is_err() {
            return self.lose(IOReturn::Offline);
        }
        let events = self.hardware.events();
        let Some(bus) = self.bus() else { return };
        self.empty_rings(&bus);
        if events & event::UNRECOVERABLE != 0 {
            self.kernel.log(format_args!("ohci {}: a context died", self.device));
            return self.give_up();
        }
        if events & event::BUS_RESET != 0 {
            self.reset_began(&bus);
        }
        if events & event::SELF_ID_COMPLETE != 0 {
            self.identify(&bus);
        }
    }

    /// What came is of the generation before a bus reset that is handled next.
    fn empty_rings(&self, bus: &Bus) {
        for (tag, sent) in self.engine.with(Engine::sent) {
            bus.sent(tag, sent);
        }
        for response in self.engine.with(Engine::responses) {
            bus.response(response);
        }
        for request in self.engine.with(Engine::requests) {
            bus.request(&request);
        }
    }

    fn reset_began(&self, bus: &Bus) {
        self.unsettled.with(|unsettled| unsettled.looks = 0);
        match self.engine.with(Engine::reset_began) {
            Ok(tags) => {
                tags.into_iter().for_each(|tag| bus.sent(tag, Sent::Failed(IOReturn::BusReset)));
                bus.reset_began();
                self.frame.arm_watchdog();
            }
            Err(_) => self.give_up(),
        }
    }

    /// The bus has IDs, as soon as the packets that tell of them are in memory.
    fn identify(&self, bus: &Bus) {
        if self.engine.with(|engine| engine.is_settled()) {
            // The bus reset before it was not told of: it counts all the same.
            self.reset_began(bus);
        }
        match self.engine.with(Engine::identify) {
            Ok(found) => {
                self.unsettled.with(|unsettled| *unsettled = Unsettled::default());
                bus.identified(found.local, &found.packets);
            }
            Err(IOReturn::Offline) => self.lose(IOReturn::Offline),
            // A further reset has begun, or they are late: the event, or the watchdog, comes back to them.
            Err(_) => self.frame.arm_watchdog(),
        }
    }

    /// The controller is gone, or does not touch memory any more: everything comes back as `why`.
    fn lose(&self, why: IOReturn) {
        self.frame.close(why);
        if let Some(bus) = self.bus() {
            bus.fail_all(why);
        }
    }

    /// The controller cannot be trusted any more: it is stopped.
    fn give_up(&self) {
        self.kernel.log(format_args!("ohci {}: the controller is stopped", self.device));
        self.hardware.halt_now();
        self.lose(IOReturn::NotResponding);
    }

    /// The watchdog's action: an interrupt may have been lost; an answer may not come; the bus may get no IDs.
    fn watch_fired(&self) {
        self.frame.watchdog_fired();
        self.interrupted();
        let Some(bus) = self.bus().filter(|_| self.alive().is_ok()) else { return };
        if !self.engine.with(|engine| engine.is_settled()) {
            self.identify(&bus);
            self.hurry();
        }
        if bus.expire(self.kernel.now()) && self.alive().is_ok() {
            self.frame.arm_watchdog();
        }
    }

    /// A bus that still has no IDs is looked at again, and reset now and then.
    fn hurry(&self) {
        if self.alive().is_err() || self.engine.with(|engine| engine.is_settled()) {
            return;
        }
        let (again, reset) = self.unsettled.with(|unsettled| {
            unsettled.looks += 1;
            let reset = unsettled.looks >= UNSETTLED_LOOKS && unsettled.resets < RESETS_MAX;
            if reset {
                *unsettled = Unsettled { looks: 0, resets: unsettled.resets + 1 };
            }
            (unsettled.looks < UNSETTLED_LOOKS, reset)
        });
        if reset {
            self.hardware.reset_bus();
        }
        if again {
            self.frame.arm_watchdog();
        }
    }
}

impl Link for Parts {
    fn work_loop(&self) -> &Arc<WorkLoop> {
        self.frame.work_loop()
    }

    fn guid(&self) -> u64 {
        self.guid
    }

    fn send(&self, tag: Tag, request: &Packet) -> IOResult {
        self.alive()?;
        self.engine.with(|engine| engine.send(tag, request))
    }

    fn respond(&self, response: &Packet) -> IOResult {
        self.alive()?;
        self.engine.with(|engine| engine.respond(response))
    }

    fn reset_bus(&self) -> IOResult {
        self.alive()?;
        self.hardware.reset_bus();
        self.frame.arm_watchdog();
        Ok(())
    }

    fn set_physical(&self, node: u8, allowed: bool) -> IOResult {
        self.alive()?;
        self.hardware.set_physical(node, allowed);
        Ok(())
    }

    fn buffer(&self, bytes: u64, align: u64) -> IOResult<DmaBuffer> {
        allocate(&self.kernel, self.slot, bytes, align)
    }

    fn watch(&self) {
        self.frame.arm_watchdog();
    }
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    /// A controller that is still there is stopped first: it must not reach memory that is used again.
    fn go_offline(&self) {
        self.frame.go_offline(|| {
            if !self.hardware.is_gone() {
                self.hardware.halt_now();
            }
            if let Some(bus) = self.bus() {
                bus.fail_all(IOReturn::Offline);
            }
        });
    }
}

/// The interrupt source.
fn interrupt(me: &ServiceRef, provider: &ServiceRef, hardware: &Hardware) -> IOResult<Arc<InterruptSource>> {
    let hardware = hardware.clone();
    InterruptSource::with_filter(
        me,
        provider,
        0,
        |owner, _| {
            if let Some(parts) = parts_of(owner) {
                parts.interrupted();
            }
        },
        // All ones are nobody's interrupt.
        move |_, _| hardware.take_events().unwrap_or(false),
    )
}

/// Memory that a controller of 32-bit addresses reaches.
fn allocate(kernel: &KernelRef, slot: u32, bytes: u64, align: u64) -> IOResult<DmaBuffer> {
    let buffer = kernel.dma_alloc_for(slot, bytes, align)?;
    let end = buffer.address().checked_add(bytes).ok_or(IOReturn::NoMemory)?;
    if end <= 1 << 32 { Ok(buffer) } else { Err(IOReturn::NoMemory) }
}
