//! The driver: the common life, with these parts.

use super::VIRTIO_BLK_DRIVER;
use super::parts::Parts;
use crate::class::Class;
use crate::driver::common::{Kind, Life, card, disk};
use crate::ioreturn::IOResult;
use crate::service::ServiceRef;
use alloc::sync::Arc;

/// A virtio block device.
pub struct VirtioBlk;

/// Its driver.
pub type VirtioBlkDriver = Life<VirtioBlk>;

impl Kind for VirtioBlk {
    type Parts = Parts;

    const OWN_LOOP: bool = true;

    fn class(&self) -> &'static Class {
        &VIRTIO_BLK_DRIVER
    }

    fn make(&self, me: &ServiceRef, provider: &ServiceRef) -> IOResult<Parts> {
        Parts::new(me, provider, card(provider)?)
    }

    fn started(&self, me: &ServiceRef, parts: &Arc<Parts>) -> IOResult {
        disk::publish::<Self>(me, parts)
    }
}
