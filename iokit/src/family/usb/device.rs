//! `IOUSBHostDevice`: the nub of a device.

use super::bus::Bus;
use super::controller::{Data, Handle, Place};
use super::descriptor::{Configuration, DeviceDescriptor, Endpoint};
use super::hub::Hub;
use super::interface::UsbInterface;
use super::pipe::Pipe;
use super::standard::{IN, Setup};
use crate::class::{Class, IO_SERVICE};
use crate::family::bus::Bus as _;
use crate::family::nub::Nub;
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Service, ServiceRef};
use crate::value::Properties;
use crate::work_loop::Gated;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use mach::{WaitEvent, WaitMode};
use trace::{Event, Kind};

/// The class of device nubs.
pub static IO_USB_HOST_DEVICE: Class = Class::new("IOUSBHostDevice", &IO_SERVICE);

/// Property: vendor.
pub const VENDOR: &str = "idVendor";
/// Property: product.
pub const PRODUCT: &str = "idProduct";
/// Property: class of the device.
pub const DEVICE_CLASS: &str = "bDeviceClass";
/// Property: subclass of the device.
pub const DEVICE_SUBCLASS: &str = "bDeviceSubClass";
/// Property: protocol of the device.
pub const DEVICE_PROTOCOL: &str = "bDeviceProtocol";

/// Attempts of a request that a device is known to have.
const TRIES: u32 = 3;

/// Services from a driver up to the nub of what it drives, at the most.
const LEVELS: usize = 4;

/// What the enumeration found out.
pub struct Facts {
    /// Who it is to the controller.
    pub handle: Handle,
    /// Where it is.
    pub place: Place,
    /// Its descriptor.
    pub descriptor: DeviceDescriptor,
    /// Its configuration, which is set.
    pub configuration: Configuration,
}

#[derive(Default)]
struct State {
    gone: bool,
    /// Every driver of it has been told that it goes.
    retired: bool,
    /// Endpoints that have answered with a halt which nobody has ended yet: a bit for each address.
    halted: u32,
    /// Somebody uses endpoint 0.
    taken: bool,
    hub: Option<Arc<Hub>>,
}

/// A device that was enumerated.
pub struct Device {
    bus: Arc<Bus>,
    hub: Weak<Hub>,
    port: u8,
    facts: Facts,
    nub: Nub,
    state: Gated<State>,
    /// What threads sleep on that wait for endpoint 0.
    free: WaitEvent,
}

impl Device {
    pub(super) fn new(bus: &Arc<Bus>, hub: &Arc<Hub>, port: u8, facts: Facts) -> Arc<Self> {
        Arc::new(Self {
            state: Gated::new(bus.host().work_loop(), State::default()),
            free: bus.kernel().new_event(),
            nub: Nub::new(bus.kernel()),
            bus: bus.clone(),
            hub: Arc::downgrade(hub),
            port,
            facts,
        })
    }

    /// The bus that it is on.
    pub fn bus(&self) -> &Arc<Bus> {
        &self.bus
    }

    /// Who it is to the controller.
    pub fn handle(&self) -> Handle {
        self.facts.handle
    }

    /// What the enumeration found out.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn hub(&self) -> Option<Arc<Hub>> {
        self.hub.upgrade()
    }

    pub(super) fn port(&self) -> u8 {
        self.port
    }

    /// Whether it is gone from the bus. Gated.
    pub fn is_gone(&self) -> bool {
        self.state.with(|s| s.gone)
    }

    /// Every driver of it has been told that it goes. Gated.
    pub(super) fn retire(&self) {
        self.state.with(|s| s.retired = true);
    }

    /// A driver begins a transfer on the endpoint with this address. Once all of them have been told that the device goes, that is against the rule
    /// `endpoint-after-removal`: the endpoint may be another device's by then. As long as the endpoint is halted, it is against the rule `endpoint-halted`: a
    /// halt lasts until the host ends it (USB 2.0, 8.4.5), and the driver has not even tried. Gated.
    pub(super) fn touch(&self, address: u8) {
        let (retired, halted) = self.state.with(|s| (s.retired, s.halted & bit(address) != 0));
        match (retired, halted) {
            (true, _) => self.broken("endpoint-after-removal"),
            (false, true) => self.broken("endpoint-halted"),
            (false, false) => {}
        }
    }

    fn broken(&self, rule: &'static str) {
        if let Some(nub) = self.nub.get() {
            let event = Event::new(Kind::Violation).object(nub.id()).slot(nub.slot());
            self.bus.kernel().trace(event.text(rule));
        }
    }

    /// The endpoint with this address has answered with a halt, or its driver begins to end that. Gated.
    pub(super) fn set_halted(&self, address: u8, halted: bool) {
        self.state.with(|s| match halted {
            true => s.halted |= bit(address),
            false => s.halted &= !bit(address),
        });
    }

    /// It is gone: the hub that it is, if it is one. `None`: that was known. Gated.
    pub(super) fn set_gone(&self) -> Option<Option<Arc<Hub>>> {
        self.state.with(|s| {
            let known = core::mem::replace(&mut s.gone, true);
            (!known).then(|| s.hub.clone())
        })
    }

    pub(super) fn set_hub(&self, hub: &Arc<Hub>) -> IOResult {
        self.state.with(|s| {
            if s.gone {
                return Err(IOReturn::Offline);
            }
            s.hub = Some(hub.clone());
            Ok(())
        })
    }

    pub(super) fn clear_hub(&self) {
        let hub = self.state.with(|s| s.hub.take());
        drop(hub);
    }

    /// A request to endpoint 0, one after another; bytes of the data. Gated; sleeps.
    /// Offline if the device goes; PipeStalled if it refuses; Timeout, NotResponding.
    pub fn control(&self, setup: Setup, data: Option<Data>) -> IOResult<u32> {
        while self.state.with(|s| core::mem::replace(&mut s.taken, true)) {
            self.bus.host().work_loop().sleep_gate(self.free, WaitMode::Uninterruptible, None);
        }
        let result = if self.is_gone() { Err(IOReturn::Offline) } else { self.request(setup, data) };
        self.state.with(|s| s.taken = false);
        self.bus.host().work_loop().wakeup_gate(self.free, true);
        result.map_err(|why| self.judge(why))
    }

    /// A request without data, which every such device has and which may be made twice: one that is refused is made again, as a halt of endpoint 0 ends with the
    /// next request (USB 2.0, 8.5.3.4), and so is one that was spoilt on the way. Gated; sleeps. As [`Device::control`].
    pub fn insist(&self, setup: Setup) -> IOResult {
        let mut answer = self.control(setup, None);
        for _ in 1..TRIES {
            if !matches!(answer, Err(IOReturn::PipeStalled | IOReturn::NotResponding | IOReturn::Overrun)) {
                break;
            }
            answer = self.control(setup, None);
        }
        answer.map(|_| ())
    }

    /// What a failure means. Behind a hub, packets that nobody answers come before the hub tells that nobody is there: so the port is
    /// asked. Gated; sleeps.
    pub(super) fn judge(&self, why: IOReturn) -> IOReturn {
        if why != IOReturn::NotResponding {
            return why;
        }
        let Some(hub) = self.hub().filter(|_| !self.is_gone()) else { return IOReturn::Offline };
        let status = hub.ports().status(self.port);
        // The bus's thread may have asked, too, and ended the change that it found.
        if self.is_gone() {
            return IOReturn::Offline;
        }
        match status {
            Ok(status) if status.connected && !status.changed => return why,
            Err(other) if other != IOReturn::Offline => return why,
            _ => {}
        }
        self.bus.lose_device(self);
        hub.call_attention(self.port);
        self.bus.wake();
        IOReturn::Offline
    }

    fn request(&self, setup: Setup, data: Option<Data>) -> IOResult<u32> {
        self.bus.control(self.handle(), setup, data)
    }

    /// A request whose data comes into `into`, or goes from it; bytes that came. Gated; sleeps.
    pub fn request_bytes(&self, setup: Setup, into: &mut [u8]) -> IOResult<usize> {
        let length = into.len().min(usize::from(setup.length));
        let memory = self.buffer(length.max(1) as u64)?;
        if !setup.is_input() {
            memory.write_bytes(0, &into[..length]);
        }
        let data = Data { memory: memory.clone(), offset: 0, length: length as u32 };
        let count = (self.control(setup, Some(data))? as usize).min(length);
        if setup.kind & IN != 0 {
            memory.read_bytes(0, &mut into[..count]);
        }
        Ok(count)
    }

    /// Memory that the controller reaches.
    pub fn buffer(&self, bytes: u64) -> IOResult<Arc<MemoryDescriptor>> {
        self.bus.host().buffer(bytes)
    }

    /// A pipe to an endpoint of the configuration.
    pub fn pipe(self: &Arc<Self>, endpoint: Endpoint) -> Pipe {
        Pipe::new(&self.bus, self, endpoint)
    }

    /// Terminates the nub: the device is gone. Not in the gate.
    pub(super) fn terminate(&self) {
        self.nub.terminate();
    }

    /// Makes the nubs of the device and its interfaces below `parent`, and registers them. False if `parent` is going.
    pub(super) fn publish(self: &Arc<Self>, parent: &ServiceRef, ports: &[u8]) -> bool {
        self.check_parent(parent);
        let identity = self.bus.trunk().identity(parent, ports);
        let driver = Box::new(UsbDevice(self.clone()));
        self.nub.publish(parent, driver, identity, self.properties(), |nub| {
            let active = self.facts.configuration.active();
            active.filter_map(|interface| UsbInterface::attach(nub, self, interface.clone())).collect()
        })
    }

    /// `parent` is to have this device among its clients: if the hub that it is plugged into is not above it, the hub's end is not this one's. That is
    /// against the rule `published-elsewhere`.
    fn check_parent(&self, parent: &ServiceRef) {
        let Some(of) = self.hub().and_then(|hub| hub.of().cloned()) else { return };
        let hub = of.nub.get();
        let way = core::iter::successors(Some(parent.clone()), |service| service.provider());
        let mut way = way.take(LEVELS);
        if !hub.is_some_and(|hub| way.any(|service| Arc::ptr_eq(&service, &hub))) {
            let event = Event::new(Kind::Violation).object(parent.id()).slot(parent.slot());
            self.bus.kernel().trace(event.text("published-elsewhere"));
        }
    }

    /// What personalities can ask for.
    pub(super) fn properties(&self) -> Properties {
        let descriptor = &self.facts.descriptor;
        Properties::new()
            .with(VENDOR, u64::from(descriptor.vendor))
            .with(PRODUCT, u64::from(descriptor.product))
            .with(DEVICE_CLASS, u64::from(descriptor.class))
            .with(DEVICE_SUBCLASS, u64::from(descriptor.subclass))
            .with(DEVICE_PROTOCOL, u64::from(descriptor.protocol))
    }
}

/// The bit of an endpoint, by its address, in the set of those that are halted.
fn bit(address: u8) -> u32 {
    let side = if address & IN != 0 { 16 } else { 0 };
    1 << (u32::from(address & 0xf) + side)
}

/// The driver half of a device nub.
pub struct UsbDevice(Arc<Device>);

impl UsbDevice {
    /// The device whose nub `service` is.
    pub fn of(service: &Service) -> Option<&Arc<Device>> {
        service.driver_as::<Self>().map(|nub| &nub.0)
    }
}

impl Driver for UsbDevice {
    fn class(&self) -> &'static Class {
        &IO_USB_HOST_DEVICE
    }

    fn stop(&self, _me: &ServiceRef, _provider: &ServiceRef) {
        self.0.bus.nub_stopped(&self.0);
    }
}
