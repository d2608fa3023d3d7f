//! The driver: the common life, with these parts.

use super::USB_SERIAL_DRIVER;
use super::client::UsbSerialUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Kind, Life, Subscriber};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::boxed::Box;

/// A serial port.
pub struct UsbSerial;

/// Its driver.
pub type UsbSerialDriver = Life<UsbSerial>;

impl Kind for UsbSerial {
    type Parts = Parts;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &USB_SERIAL_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider)
    }

    fn user_client(&self, me: &ServiceRef) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(Subscriber(UsbSerialUserClient)))
    }
}
