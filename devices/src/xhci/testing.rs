//! A small host controller driver: rings in a test memory, commands, transfers, events.

use crate::catalogue;
use crate::device::{Device, News};
use crate::env::{DmaError, Env, Mishap};
use crate::fault::plane::Site;
use crate::platform::testing::plug;
use crate::spec::usb::{self, GET_DESCRIPTOR};
use crate::spec::xhci as spec;
use crate::usb::Plugged;
use crate::xhci::ring::Trb;
use crate::xhci::{Settings, Xhci};
use std::collections::BTreeMap;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Where things are in memory.
pub const CONTEXTS: u64 = 0x1000;
pub const COMMANDS: u64 = 0x2000;
pub const TABLE: u64 = 0x3000;
pub const EVENTS: u64 = 0x4000;
pub const INPUT: u64 = 0x6000;
/// Device contexts, 2 KiB a slot.
pub const DEVICES: u64 = 0x1_0000;
/// Transfer rings, 1 KiB an endpoint, 32 a slot.
pub const RINGS: u64 = 0x2_0000;
/// Data.
pub const DATA: u64 = 0x8_0000;
pub const MEMORY: usize = 1 << 20;
/// TRBs of a ring, its link not counted.
pub const ENTRIES: u64 = 63;
/// Events of the event ring.
pub const EVENT_ENTRIES: u64 = 64;

/// The world of the controller.
pub struct World {
    pub now: u64,
    pub memory: GuestMemoryMmap,
    pub ticks: BTreeMap<(u64, u64), u64>,
    pub sequence: u64,
    pub raised: Vec<u16>,
    pub line: bool,
    pub messages: bool,
    pub sites: Vec<(usize, Site)>,
    /// What happens to the next packets at a site.
    pub mishaps: Vec<(Site, Mishap)>,
    pub gone: bool,
    pub accesses: u64,
}

impl Env for World {
    fn now(&self) -> u64 {
        self.now
    }
    fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaError> {
        self.accesses += 1;
        if self.gone {
            return Err(DmaError::Removed);
        }
        let done = self.memory.read_slice(into, GuestAddress(address));
        done.map_err(|_| DmaError::NoMemory(address))
    }
    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        self.accesses += 1;
        if self.gone {
            return Err(DmaError::Removed);
        }
        let done = self.memory.write_slice(from, GuestAddress(address));
        done.map_err(|_| DmaError::NoMemory(address))
    }
    fn memory(&self) -> Result<GuestMemoryMmap, DmaError> {
        Ok(self.memory.clone())
    }
    fn raise(&mut self, index: u16) {
        self.raised.push(index);
        self.line = !self.messages;
    }
    fn lower(&mut self) {
        self.line = false;
    }
    fn messages(&self) -> bool {
        self.messages
    }
    fn pass(&mut self, unit: usize, site: Site) -> Mishap {
        self.sites.push((unit, site));
        match self.mishaps.iter().position(|(at, _)| *at == site) {
            Some(at) => self.mishaps.remove(at).1,
            None => Mishap::None,
        }
    }
    fn at(&mut self, time: u64, token: u64) {
        assert!(time >= self.now);
        self.ticks.insert((time, self.sequence), token);
        self.sequence += 1;
    }
}

/// A world with nothing in it.
pub fn world() -> World {
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY)]).expect("memory");
    World {
        now: 0,
        memory,
        ticks: BTreeMap::new(),
        sequence: 0,
        raised: Vec::new(),
        line: false,
        messages: true,
        sites: Vec::new(),
        mishaps: Vec::new(),
        gone: false,
        accesses: 0,
    }
}

/// A device for [`Driver::new`]: model, options, hub, port.
pub type Spec<'a> = (&'a str, &'a [(&'a str, &'a str)], Option<usize>, u8);

/// What is plugged in.
pub fn plugged(specs: &[Spec<'_>]) -> Vec<Plugged> {
    let one = |(model, options, hub, port): &Spec<'_>| {
        let gadget = catalogue::build_usb(&plug("it", model, 0, options), None).expect("a model");
        Plugged { hub: *hub, port: *port, attached: true, gadget }
    };
    specs.iter().map(one).collect()
}

/// A ring that the driver fills.
#[derive(Clone, Copy)]
struct Ring {
    base: u64,
    next: u64,
    cycle: bool,
}

/// The driver.
pub struct Driver {
    pub world: World,
    pub host: Xhci,
    rings: BTreeMap<u64, Ring>,
    event: u64,
    event_cycle: bool,
    wide: bool,
}

impl Driver {
    /// A controller with these devices, running.
    pub fn new(settings: Settings, specs: &[Spec<'_>]) -> Self {
        let host = Xhci::new(settings, plugged(specs));
        let mut driver = Self {
            world: world(),
            host,
            rings: BTreeMap::new(),
            event: 0,
            event_cycle: true,
            wide: settings.wide_contexts,
        };
        driver.start();
        driver
    }

    /// A controller as by default.
    pub fn with(specs: &[Spec<'_>]) -> Self {
        Self::new(Settings::default(), specs)
    }

    /// Sets everything up and lets the controller run.
    pub fn start(&mut self) {
        self.rings.clear();
        self.world.memory.write_slice(&vec![0; MEMORY], GuestAddress(0)).expect("memory");
        (self.event, self.event_cycle) = (0, true);
        self.set(spec::OPERATIONAL + spec::CONFIG, u32::from(spec::SLOTS));
        self.set64(spec::OPERATIONAL + spec::DCBAAP, CONTEXTS);
        let ring = self.open(COMMANDS);
        self.set64(spec::OPERATIONAL + spec::CRCR, ring);
        self.put64(TABLE, EVENTS);
        self.put32(TABLE + 8, EVENT_ENTRIES as u32);
        let runtime = spec::RUNTIME + spec::INTERRUPTERS;
        self.set(runtime + spec::ERSTSZ, 1);
        self.set64(runtime + spec::ERDP, EVENTS);
        self.set64(runtime + spec::ERSTBA, TABLE);
        self.set(runtime + spec::IMOD, 0);
        self.set(runtime + spec::IMAN, spec::IMAN_IE);
        self.set(spec::OPERATIONAL + spec::USBCMD, spec::CMD_RUN | spec::CMD_INTE);
    }

    pub fn get(&mut self, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.host.read(0, offset, &mut bytes, &mut self.world);
        u32::from_le_bytes(bytes)
    }

    pub fn set(&mut self, offset: u64, value: u32) {
        self.host.write(0, offset, &value.to_le_bytes(), &mut self.world);
    }

    pub fn set64(&mut self, offset: u64, value: u64) {
        self.host.write(0, offset, &value.to_le_bytes(), &mut self.world);
    }

    pub fn put(&mut self, address: u64, bytes: &[u8]) {
        self.world.memory.write_slice(bytes, GuestAddress(address)).expect("memory");
    }

    pub fn put32(&mut self, address: u64, value: u32) {
        self.put(address, &value.to_le_bytes());
    }

    pub fn put64(&mut self, address: u64, value: u64) {
        self.put(address, &value.to_le_bytes());
    }

    pub fn bytes(&self, address: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.world.memory.read_slice(&mut bytes, GuestAddress(address)).expect("memory");
        bytes
    }

    pub fn get32(&self, address: u64) -> u32 {
        let bytes = self.bytes(address, 4);
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// Machine time passes to `until`, tick by tick.
    pub fn run_until(&mut self, until: u64) {
        while let Some((&(time, sequence), &token)) = self.world.ticks.first_key_value() {
            if time > until {
                break;
            }
            self.world.ticks.remove(&(time, sequence));
            self.world.now = self.world.now.max(time);
            self.host.tick(token, &mut self.world);
            assert!(sequence < 1_000_000, "time does not pass");
        }
        self.world.now = until;
    }

    /// So much machine time passes.
    pub fn wait(&mut self, time: u64) {
        self.run_until(self.world.now + time);
    }

    /// Something happens to what is plugged in.
    pub fn news(&mut self, news: News) {
        self.host.news(news, &mut self.world);
    }

    /// The next event, if there is one; taken out of the ring.
    pub fn poll(&mut self) -> Option<Trb> {
        let bytes = self.bytes(EVENTS + self.event * 16, 16);
        let trb = Trb::parse(&bytes.try_into().expect("16 bytes"));
        if trb.has(spec::TRB_CYCLE) != self.event_cycle {
            return None;
        }
        self.event += 1;
        if self.event == EVENT_ENTRIES {
            (self.event, self.event_cycle) = (0, !self.event_cycle);
        }
        Some(trb)
    }

    /// Tells the controller how far the events are read.
    pub fn acknowledge(&mut self) {
        let runtime = spec::RUNTIME + spec::INTERRUPTERS;
        self.set64(runtime + spec::ERDP, (EVENTS + self.event * 16) | spec::ERDP_EHB);
    }

    /// All events that are there, acknowledged.
    pub fn events(&mut self) -> Vec<Trb> {
        let events: Vec<Trb> = std::iter::from_fn(|| self.poll()).collect();
        self.acknowledge();
        events
    }

    /// A new ring at `base`, with a link to its beginning; its pointer with the cycle state.
    pub fn open(&mut self, base: u64) -> u64 {
        self.rings.insert(base, Ring { base, next: 0, cycle: true });
        self.put(base, &[0; 1024]);
        base | 1
    }

    /// Puts a TRB on a ring: its address.
    pub fn push(&mut self, base: u64, parameter: u64, status: u32, control: u32) -> u64 {
        if !self.rings.contains_key(&base) {
            self.open(base);
        }
        let mut ring = self.rings[&base];
        if ring.next == ENTRIES {
            let cycle = u32::from(ring.cycle);
            let control = spec::LINK << spec::TRB_TYPE_SHIFT | spec::TRB_TOGGLE | cycle;
            // A link carries the chain on.
            self.put(ring.base + ENTRIES * 16, &Trb { parameter: base, status: 0, control }.bytes());
            ring = Ring { next: 0, cycle: !ring.cycle, ..ring };
        }
        let address = ring.base + ring.next * 16;
        let control = control & !1 | u32::from(ring.cycle);
        self.put(address, &Trb { parameter, status, control }.bytes());
        ring.next += 1;
        self.rings.insert(base, ring);
        address
    }

    /// Gives a command and waits for its completion: code and slot.
    pub fn command(&mut self, kind: u32, parameter: u64, status: u32, extra: u32) -> (u8, u8) {
        let address = self.push(COMMANDS, parameter, status, kind << spec::TRB_TYPE_SHIFT | extra);
        self.set(spec::DOORBELLS, 0);
        self.wait(100_000);
        let events = self.events();
        let is_it = |event: &&Trb| event.kind() == spec::COMMAND_EVENT && event.parameter == address;
        let event =
            events.iter().find(is_it).unwrap_or_else(|| panic!("no completion of {kind}: {events:x?}"));
        (code(*event), event.slot())
    }

    /// Resets a port, by its number from 1.
    pub fn reset_port(&mut self, port: u64) {
        let at = spec::OPERATIONAL + spec::PORTS + (port - 1) * spec::PORT_BYTES;
        self.set(at, spec::PORT_PP | spec::PORT_PR);
        self.wait(11_000_000);
        self.set(at, spec::PORT_PP | spec::PORT_CHANGES);
        self.events();
    }

    pub fn port(&mut self, port: u64) -> u32 {
        self.get(spec::OPERATIONAL + spec::PORTS + (port - 1) * spec::PORT_BYTES)
    }

    pub fn stride(&self) -> u64 {
        if self.wide { 64 } else { 32 }
    }

    pub fn ring_of(slot: u8, endpoint: u8) -> u64 {
        RINGS + (u64::from(slot) * 32 + u64::from(endpoint)) * 1024
    }

    pub fn device(slot: u8) -> u64 {
        DEVICES + u64::from(slot) * 2048
    }

    /// The state of an endpoint, as memory says.
    pub fn endpoint_state(&self, slot: u8, endpoint: u8) -> u32 {
        self.get32(Self::device(slot) + u64::from(endpoint) * self.stride()) & 7
    }

    pub fn slot_state(&self, slot: u8) -> u32 {
        self.get32(Self::device(slot) + 12) >> 27
    }

    /// Fills the input context of an address device command.
    pub fn address_input(&mut self, slot: u8, port: u8, route: u32, speed: u32) {
        let stride = self.stride();
        self.put(INPUT, &[0; 64 * 33]);
        self.put32(INPUT + 4, 3);
        self.put32(INPUT + stride, 1 << 27 | speed << 20 | route);
        self.put32(INPUT + stride + 4, u32::from(port) << 16);
        let packet = match speed {
            spec::SPEED_SUPER => 512,
            spec::SPEED_LOW => 8,
            _ => 64,
        };
        let ring = self.open(Self::ring_of(slot, 1));
        self.put32(INPUT + 2 * stride + 4, packet << 16 | spec::TYPE_CONTROL << 3 | 3 << 1);
        self.put64(INPUT + 2 * stride + 8, ring);
        self.put64(CONTEXTS + u64::from(slot) * 8, Self::device(slot));
    }

    /// Enables a slot for the device on this way and gives it an address: the slot.
    pub fn address(&mut self, port: u8, route: u32, speed: u32) -> u8 {
        let (enabled, slot) = self.command(spec::ENABLE_SLOT, 0, 0, 0);
        assert_eq!(enabled, spec::SUCCESS);
        self.address_input(slot, port, route, speed);
        let (code, _) = self.command(spec::ADDRESS_DEVICE, INPUT, 0, u32::from(slot) << 24);
        assert_eq!(code, spec::SUCCESS, "address device");
        slot
    }

    /// Adds endpoints: number of the context, type, packet, interval.
    pub fn configure(&mut self, slot: u8, pipes: &[(u8, u32, u32, u32)]) -> u8 {
        let stride = self.stride();
        self.put(INPUT, &[0; 64 * 33]);
        let flags = pipes.iter().fold(1u32, |flags, pipe| flags | 1 << pipe.0);
        self.put32(INPUT + 4, flags);
        let last = pipes.iter().map(|pipe| u32::from(pipe.0)).max().unwrap_or(1);
        let context = self.bytes(Self::device(slot), 32);
        self.put(INPUT + stride, &context);
        let first = self.get32(INPUT + stride) & 0x07ff_ffff;
        self.put32(INPUT + stride, first | last << 27);
        for &(endpoint, kind, packet, interval) in pipes {
            let ring = self.open(Self::ring_of(slot, endpoint));
            let at = INPUT + (u64::from(endpoint) + 1) * stride;
            self.put32(at, interval << 16);
            self.put32(at + 4, packet << 16 | kind << 3 | 3 << 1);
            self.put64(at + 8, ring);
        }
        self.command(spec::CONFIGURE_ENDPOINT, INPUT, 0, u32::from(slot) << 24).0
    }

    /// A control transfer: the code of its status stage (or of what failed), and the data that came.
    pub fn control(&mut self, slot: u8, setup: [u8; 8], data: &[u8]) -> (u8, Vec<u8>) {
        let length = u16::from_le_bytes([setup[6], setup[7]]);
        let to_host = setup[0] & usb::REQUEST_IN != 0;
        let ring = Self::ring_of(slot, 1);
        let at = DATA + u64::from(slot) * 0x1000;
        self.put(at, &vec![0xee; usize::from(length)]);
        self.put(at, data);
        let kind = |kind: u32| kind << spec::TRB_TYPE_SHIFT;
        self.push(ring, u64::from_le_bytes(setup), 8, kind(spec::SETUP) | spec::TRB_IDT);
        let direction = if to_host { spec::TRB_DIRECTION } else { 0 };
        if length > 0 {
            self.push(ring, at, length.into(), kind(spec::DATA) | direction | spec::TRB_ISP);
        }
        let status = if to_host && length > 0 { 0 } else { spec::TRB_DIRECTION };
        self.push(ring, 0, 0, kind(spec::STATUS) | status | spec::TRB_IOC);
        self.set(spec::DOORBELLS + u64::from(slot) * 4, 1);
        self.wait(20_000_000);
        let events = self.events();
        let transfers =
            events.iter().filter(|event| event.kind() == spec::TRANSFER_EVENT && event.slot() == slot);
        let transfers: Vec<&Trb> = transfers.filter(|event| event.endpoint() == 1).collect();
        let last = transfers.last().unwrap_or_else(|| panic!("no event for {setup:x?}"));
        let short = transfers.iter().find(|event| code(***event) == spec::SHORT_PACKET);
        let missing = short.map_or(0, |event| event.status & 0xff_ffff);
        (code(**last), self.bytes(at, usize::from(length) - missing as usize))
    }

    /// A descriptor of the device.
    pub fn descriptor(&mut self, slot: u8, kind: u8, index: u8, length: u16) -> (u8, Vec<u8>) {
        let [low, high] = length.to_le_bytes();
        self.control(slot, [0x80, GET_DESCRIPTOR, index, kind, 0, 0, low, high], &[])
    }

    /// Sets configuration 1.
    pub fn set_configuration(&mut self, slot: u8) {
        assert_eq!(self.control(slot, [0, usb::SET_CONFIGURATION, 1, 0, 0, 0, 0, 0], &[]).0, spec::SUCCESS);
    }

    /// Puts a normal TRB on an endpoint's ring and rings.
    pub fn submit(&mut self, slot: u8, endpoint: u8, address: u64, length: u32, flags: u32) -> u64 {
        let ring = Self::ring_of(slot, endpoint);
        let at = self.push(ring, address, length, spec::NORMAL << spec::TRB_TYPE_SHIFT | flags);
        self.kick(slot, endpoint);
        at
    }

    pub fn kick(&mut self, slot: u8, endpoint: u8) {
        self.set(spec::DOORBELLS + u64::from(slot) * 4, endpoint.into());
    }

    /// One transfer on a bulk or interrupt endpoint: code and bytes that moved.
    pub fn transfer(&mut self, slot: u8, endpoint: u8, address: u64, length: u32) -> (u8, u32) {
        let trb = self.submit(slot, endpoint, address, length, spec::TRB_IOC | spec::TRB_ISP);
        self.wait(50_000_000);
        let events = self.events();
        let event =
            events.iter().find(|event| event.kind() == spec::TRANSFER_EVENT && event.parameter == trb);
        let event = event.unwrap_or_else(|| panic!("no event for endpoint {endpoint}: {events:x?}"));
        (code(*event), length - (event.status & 0xff_ffff))
    }
}

/// The completion code of an event.
pub fn code(event: Trb) -> u8 {
    (event.status >> 24) as u8
}
