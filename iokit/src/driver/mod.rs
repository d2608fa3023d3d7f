//! Drivers.

use crate::IoKit;

/// Adds the personalities of all drivers to the catalogue.
pub fn register(_kit: &IoKit) {}
