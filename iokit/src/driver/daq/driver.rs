//! The driver's life: start, removal, stop.

use super::DAQ_DRIVER;
use super::client::DaqUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::Holder;
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::KernelRef;

/// Drives a data-acquisition card.
pub struct DaqDriver {
    parts: Holder<Parts>,
}

impl DaqDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef) -> Self {
        Self { parts: Holder::new(kernel) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.get()
    }
}

impl Driver for DaqDriver {
    fn class(&self) -> &'static Class {
        &DAQ_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let started = self.parts.start(me, provider, |device| Parts::new(me, provider, device));
        if started {
            me.register_service(Options::empty());
        }
        started
    }

    /// The device goes. Takes the driver's own gate, so it waits for an action that runs.
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
        me.make_user_client(Box::new(DaqUserClient::new(me.kernel())))
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.parts.work_loop()
    }
}
