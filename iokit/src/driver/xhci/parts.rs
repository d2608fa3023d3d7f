//! What the driver has between `start` and `stop`: work loop, event sources, registers, the engine.
//!
//! ```text
//! submit (any thread, gate) ─► ring, doorbell ··· controller ··· event ring, interrupt
//!   ─► filter ─► work loop: gate, events to the engine ─► each transfer's `done`, once; sleepers wake
//! ```

use super::channel::Channel;
use super::context;
use super::engine::{Engine, Memory};
use super::hardware::Hardware;
use super::regs::{self, kind};
use super::trb::Trb;
use super::{XHCI_DRIVER, XhciDriver};
use crate::IoKit;
use crate::class::Class;
use crate::driver::common::{self, Controller, Frame};
use crate::family::pci::{BELOW_4G, DmaSpace, PciDevice};
use crate::family::usb::{
    Bus, Chain, Endpoint, EndpointKind, Handle, HostController, HubFacts, Place, PortStatus,
};
use crate::interrupts::InterruptType;
use crate::io::{Direction, MemoryDescriptor};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::{Gated, WorkLoop};
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use mach::{KernelRef, SpinLock, WaitMode};

/// From one look of the watchdog to the next, machine ns: what a lost interrupt costs.
const WATCH_NS: u64 = 50_000_000;
/// Interrupts in a row for events that are not there, behind which the event ring is not believed any more. After each the controller has another one, at once: without
/// an end nobody else would come to the gate.
const HOLLOW_MOST: u32 = 100;
/// Bytes of the event ring and of the command ring: a page, so that neither crosses 64 KiB.
const RING_BYTES: u64 = 4096;
/// Bytes of an endpoint's ring.
const CHANNEL_BYTES: u64 = 1024;
/// Scratchpad buffers at the most: what a controller says is not believed beyond.
const SCRATCHPADS_MAX: u32 = 64;

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    kit: IoKit,
    device: Arc<str>,
    memory: DmaSpace,
    frame: Frame,
    hardware: Hardware,
    engine: Gated<Engine>,
    /// Interrupts in a row for events that are not there.
    hollow: Gated<u32>,
    bus: SpinLock<Weak<Bus>>,
}

impl Controller for Parts {
    type Bus = Bus;

    fn class() -> &'static Class {
        &XHCI_DRIVER
    }

    /// 4.2; the controller does not run yet.
    fn new(me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let hardware = Hardware::find(me, device)?;
        hardware.reset()?;
        let memory = device.dma(me.kernel(), if hardware.wide { u64::MAX } else { BELOW_4G });
        let own = own_memory(&memory, &hardware)?;
        let lines = provider.interrupts().ok_or(IOReturn::NoResources)?;
        let message = lines.interrupt_type(0)? == InterruptType::Edge;
        let status = hardware.clone();
        let is_mine = move |_: &ServiceRef| status.acknowledge(message);
        let interrupt = XhciDriver::interrupt(me, provider, 0, Self::interrupted, is_mine)?;
        let frame = Frame::new(me, vec![interrupt], WATCH_NS, XhciDriver::action(Self::watch));
        let engine = frame.gated(Engine::new(me.kit(), &hardware, own));
        let (kernel, kit, device) = (me.kernel().clone(), me.kit().clone(), me.device().clone());
        let (hollow, bus) = (frame.gated(0), SpinLock::new(Weak::new()));
        Ok(Self { kernel, kit, device, memory, frame, hardware, engine, hollow, bus })
    }

    fn make_bus(self: &Arc<Self>, me: &ServiceRef) -> Arc<Bus> {
        let bus = Bus::new(me, self.clone());
        *self.bus.lock(&self.kernel) = Arc::downgrade(&bus);
        bus
    }
}

impl Parts {
    /// The interrupt's action.
    fn interrupted(&self) {
        self.look(true);
    }

    /// Looks what the controller has to say. `told`: it says that it has something.
    fn look(&self, told: bool) {
        if self.frame.alive().is_err() {
            return;
        }
        let status = self.hardware.status();
        if status == u32::MAX {
            // The slot will tell the nub. Until then nothing is begun any more.
            return self.lose(IOReturn::Offline);
        }
        let taken = self.engine.with(Engine::take_events);
        if told && self.is_hollow(taken) {
            self.kernel.log(format_args!("xhci {}: events that are not there", self.device));
            self.give_up();
        } else if status & (regs::STS_HOST_ERROR | regs::STS_ERROR) != 0 {
            self.kernel.log(format_args!("xhci {}: status {status:#x}", self.device));
            self.give_up();
        }
        self.settle();
    }

    /// Whether that was one interrupt too many for nothing.
    fn is_hollow(&self, taken: bool) -> bool {
        self.hollow.with(|hollow| {
            *hollow = if taken { 0 } else { *hollow + 1 };
            *hollow >= HOLLOW_MOST
        })
    }

    /// Tells everybody what the engine has for them. Gated, and never from within the engine.
    fn settle(&self) {
        loop {
            let (work, dead) = self.engine.with(|engine| (engine.take_work(), engine.dead()));
            let gives_up = dead.is_some() && self.frame.alive().is_ok();
            if gives_up {
                self.give_up();
            }
            if work.is_empty() && !gives_up {
                return;
            }
            self.frame.wake(work.woken);
            for finished in work.finished {
                (finished.done)(finished.result);
            }
            let bus = if work.ports.is_empty() { None } else { self.bus.lock(&self.kernel).upgrade() };
            if let Some(bus) = bus {
                work.ports.into_iter().for_each(|port| self.port_changed(&bus, port));
            }
        }
    }

    fn port_changed(&self, bus: &Arc<Bus>, port: u8) {
        if let Ok(status) = self.port_status(port) {
            bus.root_port_changed(port, &status);
        }
    }

    /// The controller is gone, or does not answer: everything comes back as `why`.
    fn lose(&self, why: IOReturn) {
        self.frame.close(why);
        self.hardware.silence();
        self.engine.with(|engine| engine.fail_all(why));
        self.settle();
    }

    /// The controller cannot be trusted any more: it is stopped. Follow with [`Parts::settle`].
    fn give_up(&self) {
        self.kernel.log(format_args!("xhci {}: the controller is stopped", self.device));
        self.frame.close(IOReturn::NotResponding);
        self.hardware.silence();
        self.engine.with(|engine| engine.fail_all(IOReturn::NotResponding));
    }

    /// The watchdog's action: an interrupt may have been lost; a device, or the controller, may hang.
    fn watch(&self) {
        self.frame.watchdog_fired();
        self.look(false);
        if self.frame.alive().is_err() {
            return;
        }
        let now = self.kernel.now();
        let busy = self.engine.with(|engine| {
            engine.expire(now);
            engine.is_busy()
        });
        self.settle();
        if busy && self.frame.alive().is_ok() {
            self.frame.arm_watchdog();
        }
    }

    /// Carries out a command and waits for it; the device slot that it names. Gated; sleeps.
    fn ask(&self, command: Trb) -> IOResult<u8> {
        self.frame.alive()?;
        let (ticket, event) = self.engine.with(|engine| engine.ask(command))?;
        self.frame.arm_watchdog();
        loop {
            if let Some(answer) = self.engine.with(|engine| engine.answer(ticket)) {
                return answer;
            }
            self.frame.gate().command_sleep(event, WaitMode::Uninterruptible, None);
        }
    }

    fn channel(&self, control: bool, packet: u16) -> IOResult<Channel> {
        Ok(Channel::new(self.memory.buffer(CHANNEL_BYTES, CHANNEL_BYTES)?, control, packet))
    }

    /// Gives a device that has a slot its address (4.3.4).
    fn address(&self, place: &Place, number: u8) -> IOResult<Handle> {
        let each = self.hardware.context;
        let input = self.memory.buffer(context::input_bytes(each), 4096)?;
        let output = self.memory.buffer(context::device_bytes(each), 4096)?;
        let packet = place.speed.first_packet();
        let control = self.channel(true, packet)?;
        let ring = control.pointer();
        let handle = self.engine.with(|e| e.install(number, *place, (input, output), control))?;
        let input = self.engine.with(|engine| {
            engine.write_input(handle, |input, place, _| {
                input.slot(place, 1, None);
                input.control(packet, ring);
            })
        })?;
        match self.ask(Trb::command(kind::ADDRESS_DEVICE, input, number, 0)) {
            Ok(_) => Ok(handle),
            Err(why) => {
                self.disconnect(handle);
                Err(why)
            }
        }
    }
}

impl HostController for Parts {
    fn work_loop(&self) -> &Arc<WorkLoop> {
        self.frame.work_loop()
    }

    fn ports(&self) -> u8 {
        self.hardware.ports
    }

    fn connector(&self, port: u8) -> u8 {
        self.hardware.connector(port)
    }

    fn port_status(&self, port: u8) -> IOResult<PortStatus> {
        self.frame.alive()?;
        self.port(port)?;
        self.hardware.port_status(port)
    }

    fn reset_port(&self, port: u8) -> IOResult {
        self.frame.alive()?;
        self.port(port)?;
        self.hardware.reset_port(port)
    }

    fn acknowledge_port(&self, port: u8) -> IOResult {
        self.frame.alive()?;
        self.port(port)?;
        self.hardware.acknowledge_port(port)
    }

    fn connect(&self, place: &Place) -> IOResult<Handle> {
        let number = self.ask(Trb::command(kind::ENABLE_SLOT, 0, 0, 0))?;
        self.address(place, number)
    }

    fn set_packet(&self, device: Handle, bytes: u16) -> IOResult {
        self.frame.alive()?;
        let input = self.engine.with(|engine| {
            engine.write_input(device, |input, _, channels| {
                let ring = channels.get(&1).map_or(0, Channel::pointer);
                input.control(bytes, ring);
            })
        })?;
        self.ask(Trb::command(kind::EVALUATE_CONTEXT, input, device.slot, 0)).map(drop)
    }

    fn configure(&self, device: Handle, endpoints: &[Endpoint], hub: Option<HubFacts>) -> IOResult {
        self.frame.alive()?;
        let wanted = |e: &&Endpoint| matches!(e.kind, EndpointKind::Bulk | EndpointKind::Interrupt);
        let mut rings = Vec::new();
        for endpoint in endpoints.iter().filter(wanted) {
            let channel = self.channel(false, endpoint.packet)?;
            rings.push((*endpoint, channel.pointer()));
            let context = context::index_of(endpoint.address);
            self.engine.with(|engine| engine.add_channel(device, context, channel))?;
        }
        let input = self.engine.with(|engine| {
            engine.write_input(device, |input, place, channels| {
                let last = channels.keys().next_back().copied().unwrap_or(1);
                input.slot(place, last, hub);
                rings.iter().for_each(|(endpoint, ring)| input.endpoint(endpoint, place.speed, *ring));
            })
        })?;
        self.ask(Trb::command(kind::CONFIGURE_ENDPOINT, input, device.slot, 0)).map(drop)
    }

    fn disconnect(&self, device: Handle) {
        if self.frame.alive().is_ok() {
            self.engine.with(|engine| engine.disconnect(device));
            self.frame.arm_watchdog();
        }
    }

    fn submit(&self, device: Handle, chains: Vec<Chain>) -> IOResult {
        self.frame.alive()?;
        self.engine.with(|engine| engine.submit(device, chains))?;
        self.frame.arm_watchdog();
        Ok(())
    }

    fn abort(&self, device: Handle, endpoint: u8) {
        if self.frame.alive().is_ok() {
            self.engine.with(|engine| engine.abort(device, endpoint));
            self.frame.arm_watchdog();
        }
    }

    fn buffer(&self, bytes: u64) -> IOResult<Arc<MemoryDescriptor>> {
        let buffer = self.memory.buffer(bytes, 64)?;
        MemoryDescriptor::of_buffer(&self.kit, Direction::IN | Direction::OUT, buffer)
    }
}

impl Parts {
    fn port(&self, port: u8) -> IOResult {
        if (1..=self.hardware.ports).contains(&port) { Ok(()) } else { Err(IOReturn::BadArgument) }
    }
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn begin(&self) -> IOResult {
        self.frame.begin()?;
        self.hardware.run();
        (1..=self.hardware.ports).try_for_each(|port| self.hardware.power_port(port))
    }

    /// A controller that is still there is stopped first: it must not reach memory that is used again.
    fn go_offline(&self) {
        self.frame.go_offline(|| {
            self.hardware.silence();
            self.engine.with(|engine| engine.fail_all(IOReturn::Offline));
            self.settle();
        });
    }
}

/// What the controller works with, zeroed where that matters by whoever fills it.
fn own_memory(space: &DmaSpace, hardware: &Hardware) -> IOResult<Memory> {
    let get = |bytes: u64, align: u64| space.buffer(bytes, align);
    let count = hardware.scratchpads;
    if count > SCRATCHPADS_MAX {
        return Err(IOReturn::Unsupported);
    }
    let mut scratchpads = Vec::new();
    if count != 0 {
        let page = hardware.page();
        scratchpads.push(get(8 * u64::from(count), 4096)?);
        for _ in 0..count {
            let pad = get(page, page)?;
            for at in (0..page).step_by(64) {
                pad.write(at, &[0; 64]);
            }
            scratchpads.push(pad);
        }
    }
    Ok(Memory {
        contexts: get(8 * (u64::from(hardware.slots) + 1), 4096)?,
        table: get(16, 64)?,
        events: get(RING_BYTES, 4096)?,
        commands: get(RING_BYTES, 4096)?,
        scratchpads,
    })
}
