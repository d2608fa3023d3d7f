//! Families: what drivers of one kind of device have in common.

use crate::{IoKit, ServiceRef};

/// Publishes what the families find: host bridges below `platform`, and so on down.
pub fn start(_kit: &IoKit, _platform: &ServiceRef) {}
