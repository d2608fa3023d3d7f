//! The driver: the common life, with these parts.

use super::FIREWIRE_CAMERA_DRIVER;
use super::client::FireWireCameraUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Kind, Life, Subscriber};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::boxed::Box;

/// A camera.
pub struct FireWireCamera;

/// Its driver.
pub type FireWireCameraDriver = Life<FireWireCamera>;

impl Kind for FireWireCamera {
    type Parts = Parts;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &FIREWIRE_CAMERA_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider)
    }

    fn user_client(&self, me: &ServiceRef) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(Subscriber(FireWireCameraUserClient)))
    }
}
