//! One disk of a mirror: goes when its disk goes, behind the last request in it.

use super::MIRROR_MEMBER;
use super::set::Waiting;
use crate::class::Class;
use crate::family::storage::{BlockStorageDriver, Calls, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};
use alloc::sync::Arc;

/// The driver half of a member; its provider is the disk's medium.
pub struct Member {
    calls: Calls,
    waiting: Arc<Waiting>,
}

impl Member {
    /// A member that will look for a partner in `waiting`.
    pub fn new(waiting: &Arc<Waiting>) -> Self {
        Self { calls: Calls::new(), waiting: waiting.clone() }
    }

    /// What the disk looks like. `me` is this member.
    pub fn geometry(&self, me: &ServiceRef) -> IOResult<Geometry> {
        self.with_disk(me, |service, disk| disk.geometry(service))
    }

    /// Reads whole blocks from `block` on. Offline once the disk is going.
    pub fn read(&self, me: &ServiceRef, block: u64, into: &mut [u8]) -> IOResult {
        self.with_disk(me, |service, disk| disk.read(service, block, into))
    }

    /// Writes whole blocks from `block` on.
    pub fn write(&self, me: &ServiceRef, block: u64, from: &[u8]) -> IOResult {
        self.with_disk(me, |service, disk| disk.write(service, block, from))
    }

    /// What was written before is on the medium when this returns.
    pub fn flush(&self, me: &ServiceRef) -> IOResult {
        self.with_disk(me, |service, disk| disk.flush(service))
    }

    /// Calls `action` with the disk's driver, counted as a call into the medium; the last call closes that if the member waits for it.
    fn with_disk<R>(
        &self,
        me: &ServiceRef,
        action: impl FnOnce(&ServiceRef, &BlockStorageDriver) -> IOResult<R>,
    ) -> IOResult<R> {
        if !self.calls.enter() {
            return Err(IOReturn::Offline);
        }
        let media = me.provider();
        let below = media.as_ref().and_then(|media| media.provider());
        let disk = below.as_ref().and_then(|service| Some((service, service.driver_as()?)));
        let result = disk.ok_or(IOReturn::Offline).and_then(|(service, disk)| action(service, disk));
        if self.calls.exit()
            && let Some(media) = &media
        {
            media.close(me, Options::empty());
        }
        result
    }
}

impl Driver for Member {
    fn class(&self) -> &'static Class {
        &MIRROR_MEMBER
    }

    fn start(&self, me: &ServiceRef, media: &ServiceRef) -> bool {
        if !media.open(me, Options::empty()) {
            return false;
        }
        self.waiting.offer(me);
        true
    }

    fn did_terminate(&self, me: &ServiceRef, media: &ServiceRef, options: Options, defer: &mut bool) {
        if self.calls.close() {
            media.close(me, Options::empty());
        }
        me.default_did_terminate(media, options, *defer);
    }
}
