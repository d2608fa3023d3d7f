//! A service: an entry of the registry and the driver behind it.

mod arbitration;
mod attach;
mod builder;
mod busy;
mod driver;
mod interest;
mod open;
mod options;
mod query;
mod state;

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{fmt, sync::atomic::AtomicU32};

use mach::SpinLock;

pub(crate) use arbitration::{Arbitration, WaitGraph};
pub use builder::ServiceBuilder;
pub use driver::{Driver, Plain, Probe};
pub use interest::{Interest, InterestKind};
pub use options::{Options, State};

use crate::{
    class::{Class, ClassCount},
    kit::IoKit,
    registry::{PlaneLinks, PropertyTable},
    user_client::UserPort,
};

/// A service, shared by the registry and all that work with it.
pub type ServiceRef = Arc<Service>;

/// An entry of the registry and IOService in one object.
///
/// The registry holds providers and clients in both directions (R1), until they detach.
pub struct Service {
    kit: IoKit,
    id: u32,
    name: Arc<str>,
    class: &'static Class,
    slot: u32,
    device: Arc<str>,
    count: Arc<ClassCount>,
    driver: Box<dyn Driver>,
    properties: PropertyTable,
    links: SpinLock<Links>,
    /// Links in planes other than the service plane.
    planes: SpinLock<Vec<PlaneLinks>>,
    arbitration: Arbitration,
    /// [`State`] bits.
    state: AtomicU32,
    busy: AtomicU32,
    /// The thread in phase 1 of a termination of which this service is the root; 0 = none.
    phase_1_thread: AtomicU32,
    /// Registry id of the client that holds this service open by the default `handle_open`; 0 = none.
    owner: AtomicU32,
    port: UserPort,
    interests: interest::Interests,
}

/// Providers and clients, each in attach order.
#[derive(Default)]
struct Links {
    providers: Vec<ServiceRef>,
    clients: Vec<ServiceRef>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.id)
    }
}

impl PartialEq for Service {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}
impl Eq for Service {}
