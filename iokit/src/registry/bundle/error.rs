//! Why a bundle was not loaded or unloaded.

use core::fmt;

use crate::ioreturn::IOReturn;

/// Why a bundle was not loaded or unloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BundleError {
    /// No bundle of that identifier is known (or, to unload it, loaded).
    Unknown(&'static str),
    /// Another version of it is loaded already.
    OtherVersion(&'static str),
    /// It cannot be loaded as it is: see [`super::check_bundle`].
    Flawed(&'static str),
    /// The first needs the second in another version.
    Incompatible(&'static str, &'static str),
    /// It needs itself, by way of its libraries.
    Circular(&'static str),
    /// The second one, loaded, has a class of that name already.
    ClassExists(&'static str, &'static str),
    /// A class has instances, or a driver is being made (O2).
    InUse(&'static str),
    /// A loaded bundle needs it.
    NeededBy(&'static str),
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "no bundle {name}"),
            Self::OtherVersion(name) => write!(f, "another version of {name} is loaded; unload it first"),
            Self::Flawed(name) => write!(f, "{name} has errors; check it"),
            Self::Incompatible(name, library) => write!(f, "{name} needs another version of {library}"),
            Self::Circular(name) => write!(f, "{name} needs itself"),
            Self::ClassExists(class, name) => write!(f, "class {class} is defined by {name} already"),
            Self::InUse(name) => write!(f, "{name} has instances"),
            Self::NeededBy(name) => write!(f, "{name} needs it"),
        }
    }
}

impl core::error::Error for BundleError {}

impl From<BundleError> for IOReturn {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Unknown(_) => Self::NotFound,
            BundleError::OtherVersion(_) | BundleError::ClassExists(..) => Self::ExclusiveAccess,
            BundleError::Flawed(_) | BundleError::Incompatible(..) | BundleError::Circular(_) => {
                Self::Unsupported
            }
            BundleError::InUse(_) | BundleError::NeededBy(_) => Self::Busy,
        }
    }
}
