//! The nubs of a device that a bus has found: its own, and those of its parts.

use crate::service::{Driver, Options, Service, ServiceBuilder, ServiceRef};
use crate::value::Properties;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt::Display;
use mach::{KernelRef, SpinLock};
use trace::Kind;

/// The nub of a device, as the device knows it: the registry holds the nub, and the nub the device.
pub struct Nub {
    kernel: KernelRef,
    service: SpinLock<Weak<Service>>,
}

impl Nub {
    /// There is none yet.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { kernel: kernel.clone(), service: SpinLock::new(Weak::new()) }
    }

    /// The nub, while there is one.
    pub fn get(&self) -> Option<ServiceRef> {
        self.service.lock(&self.kernel).upgrade()
    }

    /// Makes the nub below `parent`: its driver half, number and name ([`super::bus::Trunk::identity`]), what personalities can ask for. Then
    /// registers it and the nubs of its parts, which `parts` makes below it. False if `parent` is going.
    pub fn publish(
        &self,
        parent: &ServiceRef,
        driver: Box<dyn Driver>,
        (number, name): (u32, String),
        properties: Properties,
        parts: impl FnOnce(&ServiceRef) -> Vec<ServiceRef>,
    ) -> bool {
        let nub = ServiceBuilder::under(parent, driver).nub(number, &name).properties(properties).build();
        *self.service.lock(&self.kernel) = Arc::downgrade(&nub);
        if !nub.attach(parent) {
            return false;
        }
        let parts = parts(&nub);
        nub.register_service(Options::empty());
        parts.iter().for_each(|part| part.register_service(Options::empty()));
        true
    }

    /// The device is gone: terminates the nub, if there is one that is not going yet. Not in the gate.
    pub fn terminate(&self) {
        if let Some(nub) = self.get().filter(|nub| !nub.is_inactive()) {
            nub.trace(Kind::Gone, None, 0);
            nub.terminate(Options::REQUIRED);
        }
    }
}

/// Makes the nub of part `number` of a device below its nub. `None` if that is going.
pub fn attach_part(
    nub: &ServiceRef,
    driver: Box<dyn Driver>,
    number: impl Display,
    properties: Properties,
) -> Option<ServiceRef> {
    let name = format!("{}:{number}", nub.name());
    let part = ServiceBuilder::under(nub, driver).named(&name).properties(properties).build();
    part.attach(nub).then_some(part)
}
