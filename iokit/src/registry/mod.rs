//! The registry around a service: planes, properties, collections, counted objects (R1–R5, O1).
//!
//! A registry entry and a service are one object here ([`crate::Service`]); this module adds to it what every entry has:
//!
//! - [`plane`]: parents and children in planes other than the service plane; paths.
//! - `property`: the property lock and what is done under it.
//! - [`Dictionary`], [`Array`]: collections that entries share, and that become immutable when the registry shares them.
//! - [`bundle`]: driver bundles that load and unload.
//! - [`counted`]: objects with an explicit retain count.

pub mod bundle;
pub mod counted;
pub mod plane;
pub mod report;

mod collection;
mod copy;
mod handles;
mod property;
mod walk;

pub use counted::Counted;
pub use handles::{Array, Dictionary, Key};
pub(crate) use plane::PlaneLinks;
pub use plane::{DEVICE_TREE_PLANE, POWER_PLANE, Plane, SERVICE_PLANE};
pub(crate) use property::{PropertyTable, property_lock};
pub(crate) use report::report_with_backtrace;
