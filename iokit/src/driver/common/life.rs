//! A driver whose life is the common one, written once: what makes a driver of it is its [`Kind`].

use super::{Holder, Parts};
use crate::class::Class;
use crate::family::pci::PciDevice;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use crate::work_loop::{InterruptSource, Signal, WorkLoop};
use alloc::sync::Arc;
use mach::KernelRef;

/// What tells one driver from another.
pub trait Kind: Send + Sync + 'static {
    /// What it has between `start` and `stop`.
    type Parts: Parts;

    /// Whether its work loop is its own; otherwise it is its provider's.
    const OWN_LOOP: bool;

    /// Its class.
    fn class(&self) -> &'static Class;

    /// Makes the parts; nothing runs yet. The provider is open.
    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self::Parts>;

    /// It has started, and nobody knows yet: publishes what it offers. After an error it is as if it had never started.
    fn started(&self, _me: &ServiceRef, _parts: &Arc<Self::Parts>) -> IOResult {
        Ok(())
    }

    /// `requestTerminate`, phase 1, no gate: the service will go. What has to be said to a device that is still there is said here, before its
    /// providers take their leave; may sleep.
    fn leaving(&self, _me: &ServiceRef, _parts: &Holder<Self::Parts>) {}

    /// `willTerminate`: the device goes.
    fn will_terminate(&self, _me: &ServiceRef, _provider: &ServiceRef, parts: &Holder<Self::Parts>) {
        parts.will_terminate();
    }

    /// `didTerminate`: whether it closes its provider, now or behind the last call in flight. Whoever says no closes it otherwise, or is broken.
    fn closes(&self) -> bool {
        true
    }

    /// `stop`: before it is taken apart.
    fn stopping(&self, _provider: &ServiceRef, _parts: &Holder<Self::Parts>) {}

    /// A connection for a client; Unsupported if there is none.
    fn user_client(&self, _me: &ServiceRef) -> IOResult<ServiceRef> {
        Err(IOReturn::Unsupported)
    }
}

/// A driver: start, removal, stop.
pub struct Life<K: Kind> {
    kind: K,
    parts: Holder<K::Parts>,
}

impl<K: Kind> Life<K> {
    /// A driver that has not started.
    pub fn new(kernel: &KernelRef, kind: K) -> Self {
        Self { kind, parts: Holder::new(kernel) }
    }

    /// What the driver that `service` is has between `start` and `stop`; Offline otherwise, and if it is none of these.
    pub fn parts_of(service: &ServiceRef) -> IOResult<Arc<K::Parts>> {
        service.driver_as::<Self>().ok_or(IOReturn::Offline)?.parts.get()
    }

    /// What an event source of such a driver does: `act`, while there are parts.
    pub fn action(
        act: impl Fn(&K::Parts) + Send + Sync + 'static,
    ) -> impl Fn(&ServiceRef) + Send + Sync + 'static {
        move |owner| {
            if let Ok(parts) = Self::parts_of(owner) {
                act(&parts);
            }
        }
    }

    /// The source of interrupt `index` of the card that `provider` is: the filter asks `is_mine`, the action is `act`.
    pub fn interrupt(
        me: &ServiceRef,
        provider: &ServiceRef,
        index: i32,
        act: impl Fn(&K::Parts) + Send + Sync + 'static,
        is_mine: impl Fn(&ServiceRef) -> bool + Send + Sync + 'static,
    ) -> IOResult<Arc<InterruptSource>> {
        let action = Self::action(act);
        let filter = move |owner: &ServiceRef, _: &Signal<'_>| is_mine(owner);
        InterruptSource::with_filter(me, provider, index, move |owner, _| action(owner), filter)
    }
}

impl<K: Kind> Driver for Life<K> {
    fn class(&self) -> &'static Class {
        self.kind.class()
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        if !provider.open(me, Options::empty()) {
            return false;
        }
        let begun = self.parts.begin(|| self.kind.make(me, provider));
        let Err(why) = begun.and_then(|parts| self.kind.started(me, &parts)) else {
            me.register_service(Options::empty());
            return true;
        };
        me.kernel().log(format_args!("{}: {}: {why}", me.class().name, me.device()));
        self.parts.will_terminate();
        self.stop(me, provider);
        provider.close(me, Options::empty());
        false
    }

    fn request_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _options: Options) -> bool {
        let goes = me.default_request_terminate(provider);
        if goes {
            self.kind.leaving(me, &self.parts);
        }
        goes
    }

    /// Takes the work loop's gate, so it waits for an action that runs.
    fn will_terminate(&self, me: &ServiceRef, provider: &ServiceRef, _options: Options) {
        self.kind.will_terminate(me, provider, &self.parts);
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        if self.kind.closes() {
            self.parts.close_when_idle(me, provider);
        }
        me.default_did_terminate(provider, options, *defer);
    }

    /// In the gate of the provider, and not in that of a work loop of its own.
    fn stop(&self, _me: &ServiceRef, provider: &ServiceRef) {
        self.kind.stopping(provider, &self.parts);
        self.parts.stop(provider);
    }

    fn new_user_client(&self, me: &ServiceRef, _kind: u32) -> IOResult<ServiceRef> {
        self.kind.user_client(me)
    }

    fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        K::OWN_LOOP.then(|| self.parts.work_loop())?
    }
}

/// The card that `provider` is, which may reach memory from now on; [`Holder::stop`] takes that away again. BadArgument: it is no card.
pub fn card(provider: &ServiceRef) -> IOResult<&PciDevice> {
    let device = PciDevice::of(provider).ok_or(IOReturn::BadArgument)?;
    device.set_bus_master(true);
    Ok(device)
}
