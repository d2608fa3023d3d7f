//! Driver bundles: classes and personalities that come and go together (O2).
//!
//! ```text
//! known ──load──► loaded: libraries first, personalities in the catalogue, nubs matched again
//!   ▲               │
//!   └────unload─────┘ refused while a class has an instance, a driver is in the making, or a loaded bundle needs it
//! ```

mod check;
mod error;
mod gate;
mod loaded;
mod version;

use alloc::vec::Vec;

pub use check::{Complaint, Flaw, KERNEL_RESOURCE, check_bundle};
pub use error::BundleError;
pub use gate::{BundleGate, Making};
pub use loaded::Bundles;
pub use version::{Stage, Version};

use crate::{class::Class, matching::Personality, value::Properties};

/// A library that a bundle needs: its identifier, and the version that the bundle was written for.
pub type Library = (&'static str, &'static str);

/// A driver bundle, as its author describes it.
#[derive(Clone)]
pub struct Bundle {
    /// CFBundleIdentifier: reversed domain name, as `org.example.driver.edu`.
    pub identifier: &'static str,
    /// CFBundleVersion.
    pub version: &'static str,
    /// OSBundleCompatibleVersion: the oldest version whose users can use this one. `None`: nobody can.
    pub compatible: Option<&'static str>,
    /// OSBundleLibraries.
    pub libraries: Vec<Library>,
    /// The classes that it defines.
    pub classes: Vec<&'static Class>,
    /// IOKitPersonalities, by name.
    pub personalities: Vec<(&'static str, Personality)>,
    /// What else its property list says.
    pub properties: Properties,
}

impl Bundle {
    /// A bundle of nothing that needs nothing.
    pub fn new(identifier: &'static str, version: &'static str) -> Self {
        Self {
            identifier,
            version,
            compatible: None,
            libraries: Vec::new(),
            classes: Vec::new(),
            personalities: Vec::new(),
            properties: Properties::new(),
        }
    }

    /// The same, usable by those that were written for `version` and later.
    #[must_use]
    pub fn compatible(mut self, version: &'static str) -> Self {
        self.compatible = Some(version);
        self
    }

    /// The same, needing a library.
    #[must_use]
    pub fn needs(mut self, identifier: &'static str, version: &'static str) -> Self {
        self.libraries.push((identifier, version));
        self
    }

    /// The same, defining `class`.
    #[must_use]
    pub fn class(mut self, class: &'static Class) -> Self {
        self.classes.push(class);
        self
    }

    /// The same with a personality.
    #[must_use]
    pub fn personality(mut self, name: &'static str, personality: Personality) -> Self {
        self.personalities.push((name, personality));
        self
    }

    /// The same with a property.
    #[must_use]
    pub fn property(mut self, key: &'static str, value: impl Into<crate::Value>) -> Self {
        self.properties.set(key, value);
        self
    }

    /// Whether somebody that was written for `wanted` of this bundle can use it.
    pub fn serves(&self, wanted: &str) -> bool {
        let oldest = self.compatible.and_then(Version::parse);
        match (oldest, Version::parse(wanted), Version::parse(self.version)) {
            (Some(oldest), Some(wanted), Some(version)) => oldest <= wanted && wanted <= version,
            _ => false,
        }
    }
}
