//! `IOFireWireDevice`: the nub of a node. It outlives bus resets: by its EUI-64 it is found again under its new ID.

use super::Generation;
use super::bus::Bus;
use super::controller::Packet;
use super::rom::{BusInfo, Rom};
use super::standard::{self, COMPARE_SWAP, tcode};
use super::told::Told;
use super::transactions::Done;
use super::unit::FireWireUnit;
use crate::class::{Class, IO_SERVICE};
use crate::family::bus::Bus as _;
use crate::family::nub::Nub;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Service, ServiceRef};
use crate::value::Properties;
use crate::work_loop::{Gated, WorkLoop};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::{WaitEvent, WaitMode};
use trace::{Event, Kind};

/// The class of device nubs.
pub static IO_FIREWIRE_DEVICE: Class = Class::new("IOFireWireDevice", &IO_SERVICE);

/// Property: EUI-64.
pub const GUID: &str = "GUID";
/// Property: vendor.
pub const VENDOR: &str = "Vendor_ID";
/// Property: the text about the vendor.
pub const VENDOR_NAME: &str = "FireWire Vendor Name";
/// Property: the text about the model.
pub const PRODUCT_NAME: &str = "FireWire Product Name";

/// What is asked of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask<'a> {
    /// So many bytes; four at a multiple of four are a quadlet.
    Read(u16),
    /// These bytes; likewise.
    Write(&'a [u8]),
    /// Puts `data` there if `compare` stands there; what stood there comes back (compare and swap).
    Swap {
        /// What must stand there.
        compare: u32,
        /// What is put there.
        data: u32,
    },
}

impl Ask<'_> {
    /// Bytes of data, on the way that has some.
    fn bytes(&self) -> usize {
        match self {
            Self::Read(bytes) => usize::from(*bytes),
            Self::Write(data) => data.len(),
            Self::Swap { .. } => 8,
        }
    }

    /// Bytes that come back.
    pub fn answer(&self) -> usize {
        match self {
            Self::Read(bytes) => usize::from(*bytes),
            Self::Write(_) => 0,
            Self::Swap { .. } => 4,
        }
    }

    /// The request packet.
    pub(super) fn packet(&self, node: u8, speed: u8, offset: u64) -> Packet {
        let aligned = offset.is_multiple_of(4);
        let packet = Packet { node, speed, offset, ..Packet::default() };
        match *self {
            Self::Read(4) if aligned => Packet { tcode: tcode::READ_QUADLET, ..packet },
            Self::Read(bytes) => Packet { tcode: tcode::READ_BLOCK, wanted: bytes, ..packet },
            Self::Write(data) => {
                let quadlet = data.len() == 4 && aligned;
                let tcode = if quadlet { tcode::WRITE_QUADLET } else { tcode::WRITE_BLOCK };
                Packet { tcode, data: data.into(), ..packet }
            }
            Self::Swap { compare, data } => {
                let data = [compare.to_be_bytes(), data.to_be_bytes()].concat();
                Packet { tcode: tcode::LOCK, extended: COMPARE_SWAP, data, ..packet }
            }
        }
    }
}

/// Where a node is since a bus reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: Generation,
    pub(super) id: u8,
    pub(super) speed: u8,
}

struct State {
    gone: bool,
    place: Place,
    told: Told,
}

/// A node that was found.
pub struct Device {
    bus: Arc<Bus>,
    info: BusInfo,
    rom: Rom,
    nub: Nub,
    state: Gated<State>,
    /// What threads sleep on that wait for the node, or for a bus reset.
    event: WaitEvent,
}

impl Device {
    pub(super) fn new(bus: &Arc<Bus>, info: BusInfo, rom: Rom, place: Place) -> Arc<Self> {
        Arc::new(Self {
            state: Gated::new(bus.link().work_loop(), State { gone: false, place, told: Told::default() }),
            event: bus.kernel().new_event(),
            nub: Nub::new(bus.kernel()),
            bus: bus.clone(),
            info,
            rom,
        })
    }

    /// The bus that it is on.
    pub fn bus(&self) -> &Arc<Bus> {
        &self.bus
    }

    /// The work loop of everything on the bus.
    pub fn work_loop(&self) -> &Arc<WorkLoop> {
        self.bus.link().work_loop()
    }

    /// Who it is.
    pub fn guid(&self) -> u64 {
        self.info.guid
    }

    /// Whether it is gone from the bus. Gated.
    pub fn is_gone(&self) -> bool {
        self.state.with(|s| s.gone)
    }

    /// It is gone: whoever waits for it wakes. False: that was known. Gated.
    pub(super) fn set_gone(&self) -> bool {
        let known = self.state.with(|s| core::mem::replace(&mut s.gone, true));
        self.wake();
        !known
    }

    /// It was found again after a bus reset. Gated.
    pub(super) fn set_place(&self, place: Place) {
        self.state.with(|s| s.place = place);
        self.wake();
    }

    fn place(&self) -> Place {
        self.state.with(|s| s.place)
    }

    /// The generation in which it can be reached. BusReset: it has not been found yet since the last bus reset. Offline: it is gone. Gated.
    pub fn generation(&self) -> IOResult<Generation> {
        if self.is_gone() {
            return Err(IOReturn::Offline);
        }
        let generation = self.place().generation;
        self.hear(generation, self.bus.check(generation)).map(|()| generation)
    }

    /// The calling thread hears what becomes of `generation`: that it is over, or that all before it are. Gated.
    fn hear<T>(&self, generation: Generation, result: IOResult<T>) -> IOResult<T> {
        let thread = self.bus.kernel().thread_id();
        self.state.with(|s| match result {
            Err(IOReturn::BusReset) => s.told.over(thread, generation),
            Ok(_) => s.told.current(thread, generation),
            Err(_) => {}
        });
        result
    }

    /// The calling thread begins something in `generation`. Once it has been told that this one is over, that is against the rule `stale-generation`: the number that
    /// the node had then is another's by now (IEEE 1394-1995, 8.4.2.5), and only the controller keeps the packet from going there. Gated.
    fn believe(&self, generation: Generation) {
        let thread = self.bus.kernel().thread_id();
        if self.state.with(|s| s.told.is_over(thread, generation))
            && let Some(nub) = self.nub.get()
        {
            let event = Event::new(Kind::Violation).object(nub.id()).slot(nub.slot());
            self.bus.kernel().trace(event.arg(generation.0.into()).text("stale-generation"));
        }
    }

    /// Waits until it can be reached, at most until machine time `deadline`. Gated; sleeps. Offline: it is gone, or the bus is. Timeout.
    pub fn join(&self, deadline: u64) -> IOResult<Generation> {
        loop {
            match self.generation() {
                Err(IOReturn::BusReset) if self.bus.kernel().now() < deadline => self.sleep(deadline),
                Err(IOReturn::BusReset) => return Err(IOReturn::Timeout),
                other => return other,
            }
        }
    }

    /// Sleeps until [`Device::wake`], a bus reset, the node is found again or gone; at most until machine time `deadline`. Gated. Look again
    /// afterwards at what was waited for.
    pub fn sleep(&self, deadline: u64) {
        self.work_loop().sleep_gate(self.event, WaitMode::Uninterruptible, Some(deadline));
    }

    /// Wakes every sleeper. Gated.
    pub fn wake(&self) {
        self.work_loop().wakeup_gate(self.event, false);
    }

    /// Bytes of data that a packet to or from it may have. Gated.
    pub fn payload(&self) -> usize {
        self.info.payload.min(standard::payload(self.place().speed)).min(super::bus::PAYLOAD_MAX)
    }

    /// The speed code of the way to it. Gated.
    pub fn speed(&self) -> u8 {
        self.place().speed
    }

    /// Begins a request; `done` is called in the gate when it has come back. On an error it is not called. Gated; does not sleep.
    /// BusReset: `generation` is over. Offline: the node is gone. BadArgument: too long, or not in the address space. NoResources.
    pub fn submit(&self, generation: Generation, offset: u64, ask: Ask<'_>, done: Done) -> IOResult {
        let place = self.reach(generation)?;
        if ask.bytes() == 0 || ask.bytes() > self.payload() || offset >> standard::OFFSET_BITS != 0 {
            return Err(IOReturn::BadArgument);
        }
        let end = ask.answer();
        self.bus.submit(generation, &ask.packet(place.id, place.speed, offset), end, done)
    }

    /// A request; the data that came back. Gated; sleeps. As [`Device::submit`], and what becomes of it ([`Done`]).
    pub fn ask(&self, generation: Generation, offset: u64, ask: Ask<'_>) -> IOResult<Vec<u8>> {
        let result = self.bus.wait_for(|done| self.submit(generation, offset, ask, done));
        self.hear(generation, result).map_err(|why| if self.is_gone() { IOReturn::Offline } else { why })
    }

    /// Whether it may read and write memory without software, until the next bus reset. Gated.
    pub fn set_physical(&self, generation: Generation, allowed: bool) -> IOResult {
        let place = self.reach(generation)?;
        self.bus.link().set_physical(place.id, allowed)
    }

    fn reach(&self, generation: Generation) -> IOResult<Place> {
        let place = self.place();
        if self.is_gone() {
            return Err(IOReturn::Offline);
        }
        self.believe(generation);
        let known =
            if place.generation == generation { self.bus.check(generation) } else { Err(IOReturn::BusReset) };
        self.hear(generation, known).map(|()| place)
    }

    /// Terminates the nub: the node is gone. Not in the gate.
    pub(super) fn terminate(&self) {
        self.nub.terminate();
    }

    /// Makes the nubs of the node and its units below `parent`, and registers them. False if `parent` is going.
    pub(super) fn publish(self: &Arc<Self>, parent: &ServiceRef, ports: &[u8]) -> bool {
        let identity = self.bus.trunk().identity(parent, ports);
        let driver = Box::new(FireWireDevice(self.clone()));
        self.nub.publish(parent, driver, identity, self.properties(), |nub| {
            let units = self.rom.units.iter().cloned().enumerate();
            units.filter_map(|(number, unit)| FireWireUnit::attach(nub, self, number, unit)).collect()
        })
    }

    /// What personalities can ask for.
    pub(super) fn properties(&self) -> Properties {
        let mut properties =
            Properties::new().with(GUID, self.info.guid).with(VENDOR, u64::from(self.rom.vendor));
        let texts = [(VENDOR_NAME, &self.rom.vendor_name), (PRODUCT_NAME, &self.rom.model_name)];
        for (name, text) in texts {
            if let Some(text) = text {
                properties.set(name, text.clone());
            }
        }
        properties
    }
}

/// The driver half of a device nub.
pub struct FireWireDevice(Arc<Device>);

impl FireWireDevice {
    /// The device whose nub `service` is.
    pub fn of(service: &Service) -> Option<&Arc<Device>> {
        service.driver_as::<Self>().map(|nub| &nub.0)
    }
}

impl Driver for FireWireDevice {
    fn class(&self) -> &'static Class {
        &IO_FIREWIRE_DEVICE
    }

    fn stop(&self, _me: &ServiceRef, _provider: &ServiceRef) {
        self.0.bus.nub_stopped(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_at_a_multiple_of_four_are_a_quadlet() {
        let code = |ask: Ask<'_>, offset| ask.packet(1, 2, offset).tcode;
        assert_eq!((code(Ask::Read(4), 8), code(Ask::Read(4), 9), code(Ask::Read(8), 8)), (4, 5, 5));
        assert_eq!((code(Ask::Write(&[0; 4]), 8), code(Ask::Write(&[0; 8]), 8)), (0, 1));
        let swap = Ask::Swap { compare: 1, data: 2 }.packet(1, 2, 8);
        assert_eq!((swap.tcode, swap.extended, &swap.data[..]), (9, 2, &[0, 0, 0, 1, 0, 0, 0, 2][..]));
    }
}
