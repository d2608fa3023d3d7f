//! Making services.

use alloc::{boxed::Box, sync::Arc};
use core::sync::atomic::AtomicU32;

use mach::SpinLock;
use trace::{Event, Kind};

use super::{Arbitration, Driver, Links, Service, ServiceRef};
use crate::{kit::IoKit, registry::PropertyTable, user_client::UserPort, value::Properties};

/// Says what a new service is called and where it belongs; then [`ServiceBuilder::build`].
pub struct ServiceBuilder {
    kit: IoKit,
    driver: Box<dyn Driver>,
    name: Option<Arc<str>>,
    slot: u32,
    device: Arc<str>,
    properties: Properties,
}

impl ServiceBuilder {
    /// A service of no slot, named after its class.
    pub fn new(kit: &IoKit, driver: Box<dyn Driver>) -> Self {
        Self {
            kit: kit.clone(),
            driver,
            name: None,
            slot: 0,
            device: kit.no_device(),
            properties: Properties::new(),
        }
    }

    /// A service that will attach to `provider`: it inherits slot and device name.
    pub fn under(provider: &Service, driver: Box<dyn Driver>) -> Self {
        Self { slot: provider.slot, device: provider.device.clone(), ..Self::new(&provider.kit, driver) }
    }

    /// Gives it a name other than its class's.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// A nub: it stands for the device that the plan calls `device`, in `slot`, and is named after it.
    #[must_use]
    pub fn nub(mut self, slot: u32, device: &str) -> Self {
        self.slot = slot;
        self.device = device.into();
        self.name = Some(self.device.clone());
        self
    }

    /// Sets its properties.
    #[must_use]
    pub fn properties(mut self, properties: Properties) -> Self {
        self.properties = properties;
        self
    }

    /// Makes the service, announces its name and class in the trace. It is attached to nothing yet.
    pub fn build(self) -> ServiceRef {
        let class = self.driver.class();
        let count = self.kit.class_count(class);
        count.add();
        let service = Service {
            id: self.kit.next_id(),
            name: self.name.unwrap_or_else(|| class.name.into()),
            class,
            slot: self.slot,
            device: self.device,
            count,
            driver: self.driver,
            properties: PropertyTable::new(&self.kit, self.properties),
            links: SpinLock::new(Links::default()),
            planes: SpinLock::new(alloc::vec::Vec::new()),
            arbitration: Arbitration::new(&self.kit),
            state: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            phase_1_thread: AtomicU32::new(0),
            owner: AtomicU32::new(0),
            port: UserPort::new(),
            interests: super::interest::Interests::new(),
            kit: self.kit,
        };
        service.trace_event(Event::new(Kind::Name).text(&service.name));
        service.trace_event(Event::new(Kind::Class).text(class.name));
        Arc::new(service)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.trace_event(Event::new(Kind::Free));
        self.count.remove();
    }
}
