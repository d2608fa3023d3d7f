//! What a class may override.

use alloc::sync::Arc;
use core::any::Any;

use super::{Options, ServiceRef};
use crate::{
    class::Class,
    interrupts::InterruptProvider,
    ioreturn::{IOResult, IOReturn},
    message::Message,
    user_client::UserClient,
    work_loop::WorkLoop,
};

/// What [`Driver::probe`] says.
pub enum Probe {
    /// Not mine.
    No,
    /// Mine.
    Yes,
    /// Mine, but this object, not yet attached, shall drive it.
    Other(ServiceRef),
}

/// The overridable half of a service: one implementation for each class.
///
/// `me` is the service that this driver belongs to. Every method has the default of IOService, which an override that
/// wants "super" can call on `me` (`me.default_did_terminate(…)` and so on).
#[expect(unused_variables, reason = "defaults ignore most of what they are told")]
pub trait Driver: Any + Send + Sync {
    /// The class. Constant.
    fn class(&self) -> &'static Class;

    /// Looks at the hardware; may change the score. Attached, not started.
    fn probe(&self, me: &ServiceRef, provider: &ServiceRef, score: &mut i32) -> Probe {
        Probe::Yes
    }

    /// Starts to drive `provider`. False = did not work; the matching then detaches it, without `stop`.
    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        true
    }

    /// The last call before detaching from `provider`, in `provider`'s gate: release everything here.
    fn stop(&self, me: &ServiceRef, provider: &ServiceRef) {}

    /// Phase 1, no gate: `provider` became inactive. True = so shall this service.
    fn request_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options) -> bool {
        me.default_request_terminate(provider)
    }

    /// Phase 2, in `provider`'s gate, from the provider up: fail what is queued, wake who sleeps.
    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options) {}

    /// Phase 2, in `provider`'s gate, from the leaves down: close `provider` if nothing is in flight. One that sets `defer`
    /// must call [`super::Service::default_did_terminate`] itself later.
    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        me.default_did_terminate(provider, options, *defer);
    }

    /// Phase 3, once, in its own gate: no client is left.
    fn finalize(&self, me: &ServiceRef, options: Options) {
        me.default_finalize();
    }

    /// A message from `provider`.
    fn message(&self, me: &ServiceRef, message: Message, provider: &ServiceRef, arg: u64) -> IOResult {
        Err(IOReturn::Unsupported)
    }

    /// `client` wants to open this service; arbitration lock held.
    fn handle_open(&self, me: &ServiceRef, client: &ServiceRef, options: Options) -> bool {
        me.default_handle_open(client, options)
    }

    /// `client` closes this service; arbitration lock held.
    fn handle_close(&self, me: &ServiceRef, client: &ServiceRef, options: Options) {
        me.default_handle_close(client);
    }

    /// Whether `client` (`None`: anybody) holds this service open; arbitration lock held.
    fn handle_is_open(&self, me: &ServiceRef, client: Option<&ServiceRef>) -> bool {
        me.default_handle_is_open(client)
    }

    /// Makes a user client of type `kind`: usually `me.make_user_client(driver)`.
    fn new_user_client(&self, me: &ServiceRef, kind: u32) -> IOResult<ServiceRef> {
        Err(IOReturn::Unsupported)
    }

    /// The work loop that protects this service. `None` = the provider's.
    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        None
    }

    /// The interrupts that this service (a nub) offers its clients. `None` = has none of its own; ask the provider.
    fn interrupts(&self) -> Option<Arc<dyn InterruptProvider>> {
        None
    }

    /// This driver as a user client, if it is one.
    fn as_user_client(&self) -> Option<&dyn UserClient> {
        None
    }
}

/// A service with nothing of its own: a nub of `class`, or the root.
#[derive(Debug)]
pub struct Plain(pub &'static Class);

impl Driver for Plain {
    fn class(&self) -> &'static Class {
        self.0
    }
}
