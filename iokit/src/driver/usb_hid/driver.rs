//! The driver: the common life, with these parts.

use super::USB_HID_DRIVER;
use super::client::UsbHidUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Kind, Life, Subscriber};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::boxed::Box;

/// A keyboard or a mouse with the boot protocol.
pub struct UsbHid;

/// Its driver.
pub type UsbHidDriver = Life<UsbHid>;

impl Kind for UsbHid {
    type Parts = Parts;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &USB_HID_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider)
    }

    fn user_client(&self, me: &ServiceRef) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(Subscriber(UsbHidUserClient)))
    }
}
