//! `IOFireWireUnit`: the nub of a unit, which most drivers drive.

use super::device::Device;
use super::rom::UnitDirectory;
use super::standard::key;
use crate::class::{Class, IO_SERVICE};
use crate::family::nub::attach_part;
use crate::service::{Driver, Service, ServiceRef};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The class of unit nubs.
pub static IO_FIREWIRE_UNIT: Class = Class::new("IOFireWireUnit", &IO_SERVICE);

/// Property: who specified what the unit speaks.
pub const SPECIFIER: &str = "Unit_Spec_ID";
/// Property: and which version of it.
pub const VERSION: &str = "Unit_SW_Version";
/// Property: the text about its model.
pub const PRODUCT_NAME: &str = "FireWire Product Name";

/// The driver half of a unit nub.
pub struct FireWireUnit {
    device: Arc<Device>,
    directory: UnitDirectory,
}

impl FireWireUnit {
    /// Makes the nub of unit `number` below the nub of its device. `None` if that is going.
    pub(super) fn attach(
        nub: &ServiceRef,
        device: &Arc<Device>,
        number: usize,
        directory: UnitDirectory,
    ) -> Option<ServiceRef> {
        let value = |key| u64::from(directory.value(key).unwrap_or(0));
        let mut properties =
            device.properties().with(SPECIFIER, value(key::SPECIFIER)).with(VERSION, value(key::VERSION));
        if let Some(model) = &directory.model {
            properties.set(PRODUCT_NAME, model.clone());
        }
        attach_part(nub, Box::new(Self { device: device.clone(), directory }), number, properties)
    }

    /// The unit that `service` is.
    pub fn of(service: &Service) -> Option<&Self> {
        service.driver_as()
    }

    /// The node that it belongs to.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// What it says of itself.
    pub fn directory(&self) -> &UnitDirectory {
        &self.directory
    }
}

impl Driver for FireWireUnit {
    fn class(&self) -> &'static Class {
        &IO_FIREWIRE_UNIT
    }
}
