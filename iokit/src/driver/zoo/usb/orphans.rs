//! A hub whose children are published below somebody else.
//!
//! - Symptom: a hub is pulled out, and the keyboard behind it stays: its clients wait for a device that is not there. Put back, there are two keyboards.
//! - Cause: the nubs of what is behind the hub are clients of the controller's driver, not of the hub's. So the hub's termination does not reach them; and one that was just being
//!   enumerated is published after its hub is gone.
//! - Fix: publish them below the hub's driver. An inactive provider takes no client.

use crate::driver::common::UsbHabits;
use crate::service::ServiceRef;

/// Publishes them below the driver that the hub hangs on.
#[derive(Default)]
pub struct Broken;

impl UsbHabits for Broken {
    fn parent(&self, me: &ServiceRef) -> ServiceRef {
        // Interface, device, and the driver of what the device is plugged into.
        let above = |service: ServiceRef| service.provider();
        me.provider().and_then(above).and_then(above).unwrap_or_else(|| me.clone())
    }
}

/// Publishes them below the hub's driver.
#[derive(Default)]
pub struct Fixed;

impl UsbHabits for Fixed {
    fn parent(&self, me: &ServiceRef) -> ServiceRef {
        me.clone()
    }
}
