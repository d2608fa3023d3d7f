//! `IOUSBHostInterface`: the nub of an interface, which most drivers drive.

use super::descriptor::{EndpointKind, Interface};
use super::device::Device;
use super::pipe::Pipe;
use crate::class::{Class, IO_SERVICE};
use crate::family::bus::Bus as _;
use crate::family::nub::attach_part;
use crate::service::{Driver, Options, Service, ServiceRef, State};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The class of interface nubs.
pub static IO_USB_HOST_INTERFACE: Class = Class::new("IOUSBHostInterface", &IO_SERVICE);

/// Property: number.
pub const NUMBER: &str = "bInterfaceNumber";
/// Property: class.
pub const CLASS: &str = "bInterfaceClass";
/// Property: subclass.
pub const SUBCLASS: &str = "bInterfaceSubClass";
/// Property: protocol.
pub const PROTOCOL: &str = "bInterfaceProtocol";

/// The driver half of an interface nub.
pub struct UsbInterface {
    device: Arc<Device>,
    interface: Interface,
}

impl UsbInterface {
    /// Makes the nub of an interface below the nub of its device. `None` if that is going.
    pub(super) fn attach(nub: &ServiceRef, device: &Arc<Device>, interface: Interface) -> Option<ServiceRef> {
        let properties = device
            .properties()
            .with(NUMBER, u64::from(interface.number))
            .with(CLASS, u64::from(interface.class))
            .with(SUBCLASS, u64::from(interface.subclass))
            .with(PROTOCOL, u64::from(interface.protocol));
        let number = interface.number;
        attach_part(nub, Box::new(Self { device: device.clone(), interface }), number, properties)
    }

    /// The interface that `service` is.
    pub fn of(service: &Service) -> Option<&Self> {
        service.driver_as()
    }

    /// The device that it belongs to.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// What it says of itself.
    pub fn descriptor(&self) -> &Interface {
        &self.interface
    }

    /// A pipe to its first endpoint of this kind and direction.
    pub fn find_pipe(&self, kind: EndpointKind, input: bool) -> Option<Pipe> {
        self.interface.find(kind, input).map(|endpoint| self.device.pipe(endpoint))
    }
}

impl Driver for UsbInterface {
    fn class(&self) -> &'static Class {
        &IO_USB_HOST_INTERFACE
    }

    /// All wills come before the first of these: the drivers of all interfaces have been told, but for one that is just starting, which is not told at all.
    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        let drivers = provider.clients().into_iter().flat_map(|interface| interface.clients());
        if drivers.into_iter().all(|driver| !driver.state().contains(State::STARTING)) {
            self.device.bus().gated(|| self.device.retire());
        }
        me.default_did_terminate(provider, options, *defer);
    }
}
