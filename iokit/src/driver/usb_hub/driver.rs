//! The driver: the common life, with these parts.

use super::USB_HUB_DRIVER;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Holder, Kind, Life, UsbHabits};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// A hub. The nubs of what is plugged into it are the clients of its driver.
pub struct UsbHub(pub Arc<dyn UsbHabits>);

/// Its driver.
pub type UsbHubDriver = Life<UsbHub>;

impl Kind for UsbHub {
    type Parts = Parts;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &USB_HUB_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider, &self.0)
    }

    fn stopping(&self, _provider: &ServiceRef, parts: &Holder<Parts>) {
        if let Ok(parts) = parts.get() {
            parts.leave();
        }
    }
}
