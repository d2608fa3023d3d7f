//! Interest: who is no client of a service, and wants to hear what it tells its clients.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU32, Ordering};

use mach::SpinLock;

use super::{Service, ServiceRef};
use crate::{
    in_flight::InFlight,
    ioreturn::{IOResult, IOReturn},
    message::Message,
};

/// What one wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterestKind {
    /// kIOGeneralInterest: what the clients are told.
    General,
    /// kIOBusyInterest: [`Message::BusyStateChange`], with 1 (busy) or 0 (quiet).
    Busy,
}

type Handler = Box<dyn Fn(&Service, Message, u64) + Send + Sync>;

/// Somebody's interest in a service (`IOService::registerInterest`). Dropping it changes nothing; [`Service::remove_interest`] ends it.
pub struct Interest {
    kind: InterestKind,
    handler: Handler,
    calls: InFlight,
}

/// Everybody who is interested in one service.
pub(super) struct Interests {
    list: SpinLock<Vec<Arc<Interest>>>,
    /// Most services have none: looked at without the lock.
    count: AtomicU32,
}

impl Interests {
    pub(super) fn new() -> Self {
        Self { list: SpinLock::new(Vec::new()), count: AtomicU32::new(0) }
    }
}

impl Service {
    /// Calls `handler` with every message of this `kind` from now on, in order of registering, on the thread that sends it. Offline if the service is
    /// inactive.
    ///
    /// A handler of [`InterestKind::Busy`] runs with the arbitration lock of the service whose count was changed first: it must not wait for
    /// another thread that may want it.
    pub fn register_interest(
        self: &ServiceRef,
        kind: InterestKind,
        handler: impl Fn(&Service, Message, u64) + Send + Sync + 'static,
    ) -> IOResult<Arc<Interest>> {
        let kernel = self.kernel();
        let interest = Arc::new(Interest { kind, handler: Box::new(handler), calls: InFlight::new(kernel) });
        let _held = self.arbitrate();
        if self.is_inactive() {
            return Err(IOReturn::Offline);
        }
        self.interests.list.lock(kernel).push(interest.clone());
        self.interests.count.fetch_add(1, Ordering::AcqRel);
        Ok(interest)
    }

    /// Ends an interest in this service, and waits for other threads that are in its handler.
    pub fn remove_interest(&self, interest: &Arc<Interest>) {
        let kernel = self.kernel();
        let unlisted = {
            let mut list = self.interests.list.lock(kernel);
            list.iter().position(|other| Arc::ptr_eq(other, interest)).map(|at| list.remove(at))
        };
        if unlisted.is_some() {
            self.interests.count.fetch_sub(1, Ordering::AcqRel);
        }
        interest.calls.remove(kernel);
    }

    /// Tells everybody whose interest is of this `kind`.
    pub(super) fn tell_interested(&self, kind: InterestKind, message: Message, arg: u64) {
        if self.interests.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let kernel = self.kernel();
        let told: Vec<_> = {
            let list = self.interests.list.lock(kernel);
            list.iter().filter(|interest| interest.kind == kind).cloned().collect()
        };
        for interest in told {
            interest.calls.call(kernel, || (interest.handler)(self, message, arg));
        }
    }
}
