//! The driver's life: start, removal, stop.

use super::USB_SERIAL_DRIVER;
use super::client::UsbSerialUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::Holder;
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceRef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::KernelRef;

/// Drives a serial port.
pub struct UsbSerialDriver {
    parts: Holder<Parts>,
}

impl UsbSerialDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { parts: Holder::new(kernel) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.get()
    }
}

impl Driver for UsbSerialDriver {
    fn class(&self) -> &'static Class {
        &USB_SERIAL_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let started = self.parts.start_on(me, provider, || Parts::new(me, provider));
        if started {
            me.register_service(Options::empty());
        }
        started
    }

    /// The device goes. Takes the bus's gate, so it waits for an action that runs.
    fn will_terminate(&self, _me: &ServiceRef, _provider: &ServiceRef, _options: Options) {
        self.parts.will_terminate();
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        self.parts.did_terminate(me, provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.parts.stop(provider);
    }

    fn new_user_client(&self, me: &ServiceRef, _kind: u32) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(UsbSerialUserClient))
    }
}
