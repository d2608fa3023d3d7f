//! The driver's life: start, removal, stop.

use super::EDU_DRIVER;
use super::client::EduUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::family::pci::PciDevice;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::{KernelRef, SpinLock};

/// The right driver, or one that is broken on purpose, so that the bench can show what it finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// The right one.
    #[default]
    Right,
    /// `driver:close-early`: closes the provider in `willTerminate` although calls are in flight, which then use it.
    CloseEarly,
}

impl Variant {
    /// The variant that the command line names; an unknown word is the right driver.
    pub fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("close-early") => Self::CloseEarly,
            _ => Self::Right,
        }
    }
}

/// Drives the educational device.
pub struct EduDriver {
    kernel: KernelRef,
    variant: Variant,
    /// From `start` to `stop`.
    parts: SpinLock<Option<Arc<Parts>>>,
}

impl EduDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef, variant: Variant) -> Self {
        Self { kernel: kernel.clone(), variant, parts: SpinLock::new(None) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.lock(&self.kernel).clone().ok_or(IOReturn::Offline)
    }

    /// Takes everything apart. The device must not reach memory that is freed here.
    fn end(&self, provider: &ServiceRef) {
        let parts = self.parts.lock(&self.kernel).take();
        if let Some(device) = PciDevice::of(provider) {
            device.set_bus_master(false);
        }
        if let Some(parts) = parts {
            parts.end();
        }
    }
}

impl Driver for EduDriver {
    fn class(&self) -> &'static Class {
        &EDU_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let Some(device) = PciDevice::of(provider) else { return false };
        if !provider.open(me, Options::empty()) {
            return false;
        }
        device.set_bus_master(true);
        let parts = Parts::new(me, provider, device, self.variant);
        let begun = parts.and_then(|parts| {
            *self.parts.lock(&self.kernel) = Some(parts.clone());
            parts.begin()
        });
        if let Err(why) = begun {
            self.kernel.log(format_args!("EduDriver: {}: {why}", me.device()));
            self.end(provider);
            provider.close(me, Options::empty());
            return false;
        }
        me.register_service(Options::empty());
        true
    }

    /// The device goes. Takes the driver's own gate, so it waits for an action that runs.
    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _options: Options) {
        if let Ok(parts) = self.parts() {
            if self.variant == Variant::CloseEarly {
                provider.close(me, Options::empty());
            }
            parts.go_offline();
        }
    }

    /// Closes the provider, now or when the last call in flight has returned: what uses it must be over by then.
    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        if self.parts().is_ok_and(|parts| parts.close_when_idle()) {
            provider.close(me, Options::empty());
        }
        me.default_did_terminate(provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.end(provider);
    }

    fn new_user_client(&self, me: &ServiceRef, _kind: u32) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(EduUserClient))
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.parts().ok().map(|parts| parts.work_loop().clone())
    }
}
