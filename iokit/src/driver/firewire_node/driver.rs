//! The driver: the common life, with these parts.

use super::FIREWIRE_NODE_DRIVER;
use super::client::FireWireNodeUserClient;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Kind, Life};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::boxed::Box;

/// A plain node.
pub struct FireWireNode;

/// Its driver.
pub type FireWireNodeDriver = Life<FireWireNode>;

impl Kind for FireWireNode {
    type Parts = Parts;

    const OWN_LOOP: bool = false;

    fn class(&self) -> &'static Class {
        &FIREWIRE_NODE_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider)
    }

    fn user_client(&self, me: &ServiceRef) -> IOResult<ServiceRef> {
        me.make_user_client(Box::new(FireWireNodeUserClient))
    }
}
