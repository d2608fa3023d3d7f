//! The driver: the common life, with these parts.

use super::USB_HUB_DRIVER;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Holder, Kind, Life};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;

/// A hub. The nubs of what is plugged into it are the clients of its driver.
pub struct UsbHub;

/// Its driver.
pub type UsbHubDriver = Life<UsbHub>;

impl Kind for UsbHub {
    type Parts = Parts;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &USB_HUB_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider)
    }

    fn stopping(&self, parts: &Holder<Parts>) {
        if let Ok(parts) = parts.get() {
            parts.leave();
        }
    }
}
