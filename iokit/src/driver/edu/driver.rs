//! The driver's life: start, removal, stop.

use super::EDU_DRIVER;
use super::client::EduUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::Holder;
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceRef};
use crate::work_loop::WorkLoop;
use alloc::boxed::Box;
use alloc::sync::Arc;
use mach::KernelRef;

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
    variant: Variant,
    parts: Holder<Parts>,
}

impl EduDriver {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef, variant: Variant) -> Self {
        Self { variant, parts: Holder::new(kernel) }
    }

    /// What there is between `start` and `stop`; Offline otherwise.
    pub(super) fn parts(&self) -> IOResult<Arc<Parts>> {
        self.parts.get()
    }
}

impl Driver for EduDriver {
    fn class(&self) -> &'static Class {
        &EDU_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        let started = self.parts.start(me, provider, |device| Parts::new(me, provider, device, self.variant));
        if started {
            me.register_service(Options::empty());
        }
        started
    }

    /// The device goes. Takes the driver's own gate, so it waits for an action that runs.
    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _options: Options) {
        if self.variant == Variant::CloseEarly && self.parts().is_ok() {
            provider.close(me, Options::empty());
        }
        self.parts.will_terminate();
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        self.parts.did_terminate(me, provider, options, *defer);
    }

    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.parts.stop(provider);
    }

    fn new_user_client(&self, me: &ServiceRef, _kind: u32) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(EduUserClient))
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.parts.work_loop()
    }
}
