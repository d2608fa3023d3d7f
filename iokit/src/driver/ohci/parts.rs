//! What the driver has between `start` and `stop`: work loop, event sources, registers, the engine.
//!
//! ```text
//! send (any thread, gate) ─► ring ··· controller, bus ··· status, response in memory, interrupt
//!   ─► filter: takes the events ─► work loop: gate, what the rings have to the bus ─► each request's `done`, once
//! ```

use super::engine::Engine;
use super::hardware::Hardware;
use super::regs::event;
use super::stream;
use super::{OHCI_DRIVER, OhciDriver};
use crate::class::Class;
use crate::driver::common::{self, Controller, Frame};
use crate::family::firewire::{Bus, Link, Packet, Register, Sent, Sink, StreamId, Tag};
use crate::family::pci::{BELOW_4G, DmaSpace, PciDevice};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::{Gated, WorkLoop};
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
    memory: DmaSpace,
    frame: Frame,
    hardware: Hardware,
    guid: u64,
    engine: Gated<Engine>,
    unsettled: Gated<Unsettled>,
    bus: SpinLock<Weak<Bus>>,
}

impl Controller for Parts {
    type Bus = Bus;

    fn class() -> &'static Class {
        &OHCI_DRIVER
    }

    /// A.2; the link does not run yet.
    fn new(me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let hardware = Hardware::find(me, device)?;
        hardware.reset()?;
        let memory = device.dma(me.kernel(), BELOW_4G);
        let engine = Engine::new(&hardware, |bytes, align| memory.buffer(bytes, align))?;
        let lines = hardware.clone();
        // All ones are nobody's interrupt.
        let is_mine = move |_: &ServiceRef| lines.take_events().unwrap_or(false);
        let interrupt = OhciDriver::interrupt(me, provider, 0, Self::interrupted, is_mine)?;
        let frame = Frame::new(me, vec![interrupt], WATCH_NS, OhciDriver::action(Self::watch_fired));
        Ok(Self {
            kernel: me.kernel().clone(),
            device: me.device().clone(),
            memory,
            engine: frame.gated(engine),
            unsettled: frame.gated(Unsettled::default()),
            guid: hardware.guid(),
            bus: SpinLock::new(Weak::new()),
            frame,
            hardware,
        })
    }

    fn make_bus(self: &Arc<Self>, me: &ServiceRef) -> Arc<Bus> {
        let bus = Bus::new(me, self.clone());
        *self.bus.lock(&self.kernel) = Arc::downgrade(&bus);
        bus
    }

    /// Lets the link begin.
    fn enable(&self) -> IOResult {
        self.frame.work_loop().run_action(|| {
            self.frame.alive()?;
            self.engine.with(|engine| engine.enable());
            self.frame.arm_watchdog();
            Ok(())
        })
    }
}

impl Parts {
    fn bus(&self) -> Option<Arc<Bus>> {
        self.bus.lock(&self.kernel).upgrade()
    }

    /// The interrupt's action.
    fn interrupted(&self) {
        if self.frame.alive().is_err() {
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
        for (sink, packets) in self.engine.with(Engine::streams) {
            packets.into_iter().for_each(|packet| sink(packet));
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

    /// The controller is gone, does not answer, or cannot be trusted any more: everything comes back as `why`.
    fn lose(&self, why: IOReturn) {
        self.frame.close(why);
        self.hardware.silence();
        if let Some(bus) = self.bus() {
            bus.fail_all(why);
        }
    }

    /// The controller cannot be trusted any more: it is stopped.
    fn give_up(&self) {
        self.kernel.log(format_args!("ohci {}: the controller is stopped", self.device));
        self.lose(IOReturn::NotResponding);
    }

    /// The watchdog's action: an interrupt may have been lost; an answer may not come; the bus may get no IDs.
    fn watch_fired(&self) {
        self.frame.watchdog_fired();
        self.interrupted();
        let Some(bus) = self.bus().filter(|_| self.frame.alive().is_ok()) else { return };
        if !self.engine.with(|engine| engine.is_settled()) {
            self.identify(&bus);
            self.hurry();
        }
        let waits = bus.expire(self.kernel.now()) | self.engine.with(|engine| engine.has_streams());
        if waits && self.frame.alive().is_ok() {
            self.frame.arm_watchdog();
        }
    }

    /// A bus that still has no IDs is looked at again, and reset now and then.
    fn hurry(&self) {
        if self.frame.alive().is_err() || self.engine.with(|engine| engine.is_settled()) {
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

    fn is_gone(&self) -> bool {
        self.hardware.is_gone()
    }

    fn guid(&self) -> u64 {
        self.guid
    }

    fn send(&self, tag: Tag, request: &Packet) -> IOResult {
        self.frame.alive()?;
        self.engine.with(|engine| engine.send(tag, request))
    }

    fn respond(&self, response: &Packet) -> IOResult {
        self.frame.alive()?;
        self.engine.with(|engine| engine.respond(response))
    }

    fn reset_bus(&self) -> IOResult {
        self.frame.alive()?;
        self.hardware.reset_bus();
        self.frame.arm_watchdog();
        Ok(())
    }

    fn set_physical(&self, node: u8, allowed: bool) -> IOResult {
        self.frame.alive()?;
        self.hardware.set_physical(node, allowed);
        Ok(())
    }

    fn buffer(&self, bytes: u64, align: u64) -> IOResult<DmaBuffer> {
        self.memory.buffer(bytes, align)
    }

    fn swap(&self, register: Register, compare: u32, data: u32) -> IOResult<u32> {
        self.frame.alive()?;
        self.hardware.swap(register, compare, data)
    }

    fn open_stream(&self, channel: u8, bytes: u16, sink: Sink) -> IOResult<StreamId> {
        self.frame.alive()?;
        let memory = self.memory.buffer(stream::bytes(bytes), 64)?;
        let stream = self.engine.with(|engine| engine.open(channel, bytes, memory, sink))?;
        self.frame.arm_watchdog();
        Ok(stream)
    }

    /// Of a controller that is stopped, or gone, no context runs any more.
    fn close_stream(&self, stream: StreamId) {
        let Some(stream) = self.engine.with(|engine| engine.close(stream)) else { return };
        if self.frame.alive().is_ok() && !stream.stop(&self.hardware) {
            self.give_up();
        }
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
            self.hardware.silence();
            if let Some(bus) = self.bus() {
                bus.fail_all(IOReturn::Offline);
            }
        });
    }
}
