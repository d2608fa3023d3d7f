//! The driver's life: start, removal, stop.

use super::USB_HUB_DRIVER;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::Holder;
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceRef};
use alloc::sync::Arc;
use mach::KernelRef;

/// Drives a hub. The nubs of what is plugged into it are its clients.
pub struct UsbHubDriver {
    parts: Holder<Parts>,
}

impl UsbHubDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { parts: Holder::new(kernel) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.get()
    }
}

impl Driver for UsbHubDriver {
    fn class(&self) -> &'static Class {
        &USB_HUB_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let started = self.parts.start_on(me, provider, || Parts::new(me, provider));
        if started {
            me.register_service(Options::empty());
        }
        started
    }

    /// The hub goes. Takes the bus's gate, so it waits for an action that runs.
    fn will_terminate(&self, _me: &ServiceRef, _provider: &ServiceRef, _options: Options) {
        self.parts.will_terminate();
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        self.parts.did_terminate(me, provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        if let Ok(parts) = self.parts() {
            parts.leave();
        }
        self.parts.stop(provider);
    }
}
