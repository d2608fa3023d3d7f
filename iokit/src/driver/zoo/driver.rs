//! The life of a specimen: start, removal, stop.

use super::ZOO_DRIVER;
use super::client::ZooUserClient;
use super::habits::Habits;
use super::parts::Zoo;
use crate::class::Class;
use crate::driver::common::Holder;
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::KernelRef;

/// Drives the educational device, with the habits of a specimen.
pub struct ZooDriver {
    habits: Arc<dyn Habits>,
    parts: Holder<Zoo>,
}

impl ZooDriver {
    /// A driver that has not started.
    pub(super) fn new(kernel: &KernelRef, habits: Box<dyn Habits>) -> Self {
        Self { habits: habits.into(), parts: Holder::new(kernel) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Zoo>> {
        self.parts.get()
    }
}

impl Driver for ZooDriver {
    fn class(&self) -> &'static Class {
        &ZOO_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let make = |device: &_| Zoo::new(me, provider, device, self.habits.clone());
        let started = self.parts.start(me, provider, make);
        if started {
            me.register_service(Options::empty());
        }
        started
    }

    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _options: Options) {
        if let Ok(zoo) = self.parts() {
            self.habits.will_terminate(&zoo, me, provider);
        }
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        if self.habits.closes() {
            self.parts.did_terminate(me, provider, options, *defer);
        } else {
            me.default_did_terminate(provider, options, *defer);
        }
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        if let Ok(zoo) = self.parts() {
            self.habits.stop(&zoo, provider);
        }
        self.parts.stop(provider);
    }

    fn new_user_client(&self, me: &ServiceRef, _kind: u32) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(ZooUserClient))
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.parts.work_loop()
    }
}
