//! Looking at a service.

use alloc::{sync::Arc, vec::Vec};
use core::{any::Any, sync::atomic::Ordering};

use mach::{KernelRef, SpinLock};
use trace::{Event, Kind, NO_OBJECT, Subject};

use super::{Driver, Service, ServiceRef, State};
use crate::{
    class::Class,
    interrupts::InterruptProvider,
    kit::IoKit,
    registry::{PlaneLinks, PropertyTable},
    user_client::UserPort,
    work_loop::{Watched, WorkLoop},
};

impl Service {
    /// The IOKit that it lives in.
    pub fn kit(&self) -> &IoKit {
        &self.kit
    }

    /// The kernel that it lives in.
    pub fn kernel(&self) -> &KernelRef {
        self.kit.kernel()
    }

    /// Registry entry id: from 1, never reused.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its class.
    pub fn class(&self) -> &'static Class {
        self.class
    }

    /// The slot of its nub; 0 = none.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// What the plan calls the device that it belongs to; empty if none.
    pub fn device(&self) -> &Arc<str> {
        &self.device
    }

    /// Its driver.
    pub fn driver(&self) -> &dyn Driver {
        &*self.driver
    }

    /// Its driver as the type that it is.
    pub fn driver_as<T: Driver>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.driver;
        any.downcast_ref()
    }

    /// The state bits.
    pub fn state(&self) -> State {
        State::from_bits_truncate(self.state.load(Ordering::Acquire))
    }

    /// Whether phase 1 of a termination was here.
    pub fn is_inactive(&self) -> bool {
        self.state().contains(State::INACTIVE)
    }

    /// The busy count.
    pub fn busy(&self) -> u32 {
        self.busy.load(Ordering::Acquire)
    }

    /// Its primary provider.
    pub fn provider(&self) -> Option<ServiceRef> {
        self.links.lock(self.kernel()).providers.first().cloned()
    }

    /// Its providers in attach order.
    pub fn providers(&self) -> Vec<ServiceRef> {
        self.links.lock(self.kernel()).providers.clone()
    }

    /// Its clients in attach order.
    pub fn clients(&self) -> Vec<ServiceRef> {
        self.links.lock(self.kernel()).clients.clone()
    }

    /// Whether it has clients.
    pub fn has_clients(&self) -> bool {
        !self.links.lock(self.kernel()).clients.is_empty()
    }

    /// Whether it is attached to `provider`.
    pub fn is_client_of(&self, provider: &Service) -> bool {
        self.links.lock(self.kernel()).providers.iter().any(|p| **p == *provider)
    }

    /// Whether `provider` is its one and only provider.
    pub fn is_only_provider(&self, provider: &Service) -> bool {
        let links = self.links.lock(self.kernel());
        links.providers.len() == 1 && *links.providers[0] == *provider
    }

    /// Whether it has a provider.
    pub(crate) fn is_attached(&self) -> bool {
        !self.links.lock(self.kernel()).providers.is_empty()
    }

    /// Its properties.
    pub(crate) fn table(&self) -> &PropertyTable {
        &self.properties
    }

    /// Its links in planes other than the service plane.
    pub(crate) fn planes(&self) -> &SpinLock<Vec<PlaneLinks>> {
        &self.planes
    }

    /// The work loop that protects it: its driver's, else its provider's, and so on up.
    pub fn work_loop(&self) -> Option<Arc<WorkLoop>> {
        self.driver.work_loop().or_else(|| self.provider()?.work_loop())
    }

    /// The interrupts it can use: its own nub's.
    pub fn interrupts(&self) -> Option<Arc<dyn InterruptProvider>> {
        self.driver.interrupts().or_else(|| self.provider()?.interrupts())
    }

    /// Its user port.
    pub(crate) fn port(&self) -> &UserPort {
        &self.port
    }

    /// Records `kind` about this service.
    pub fn trace(&self, kind: Kind, other: Option<&Service>, arg: u64) {
        let subject = Subject::of(self.id).and(other.map_or(NO_OBJECT, |other| other.id)).slot(self.slot);
        self.kernel().trace_brief(kind, subject, arg);
    }

    /// Records `event` about this service: object and slot are filled in.
    pub fn trace_event(&self, event: Event) {
        self.kernel().trace(event.object(self.id).slot(self.slot));
    }

    /// Calls `action`, which is a step of a termination, in this service's gate, or as it is if it has no work loop.
    pub(crate) fn in_gate<R>(&self, action: impl FnOnce() -> R) -> R {
        match self.work_loop() {
            Some(work_loop) => work_loop.run_watched(Watched::Termination, action),
            None => action(),
        }
    }
}
