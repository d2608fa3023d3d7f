//! The disk that a driver offers to the storage family.

use super::{Kind, Life, Parts};
use crate::family::storage::{BlockDevice, BlockStorageDevice, Geometry};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use alloc::sync::{Arc, Weak};
use core::marker::PhantomData;

/// What is asked of a disk: whole blocks, and no more of them than its geometry allows.
#[derive(Debug)]
pub enum Request<'a> {
    /// What stands from this block on.
    Read(u64, &'a mut [u8]),
    /// These bytes shall stand from this block on.
    Write(u64, &'a [u8]),
    /// What was written is on the medium afterwards.
    Flush,
}

/// The parts of a driver that has a disk to offer.
pub trait Disk: Parts {
    /// What it looks like; the same from the end of the start on. NotReady: that is not known.
    fn geometry(&self) -> IOResult<Geometry>;

    /// Does what is asked, on the calling client's thread. `me` is the driver.
    /// Offline if the device goes meanwhile, Timeout or NotResponding if it does not answer, Error if it says so.
    fn submit(&self, me: &ServiceRef, request: Request<'_>) -> IOResult;
}

/// Publishes the disk of driver `me`, which has started, and is of kind `K`.
pub fn publish<K: Kind<Parts: Disk>>(me: &ServiceRef, parts: &K::Parts) -> IOResult {
    let offer = Offer::<K> { driver: Arc::downgrade(me), geometry: parts.geometry()?, kind: PhantomData };
    BlockStorageDevice::publish(me, Arc::new(offer));
    Ok(())
}

/// What the storage family sees of a driver.
struct Offer<K> {
    driver: Weak<Service>,
    geometry: Geometry,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind<Parts: Disk>> Offer<K> {
    fn submit(&self, request: Request<'_>) -> IOResult {
        let service = self.driver.upgrade().ok_or(IOReturn::Offline)?;
        Life::<K>::parts_of(&service)?.submit(&service, request)
    }
}

impl<K: Kind<Parts: Disk>> BlockDevice for Offer<K> {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&self, block: u64, into: &mut [u8]) -> IOResult {
        self.submit(Request::Read(block, into))
    }

    fn write(&self, block: u64, from: &[u8]) -> IOResult {
        self.submit(Request::Write(block, from))
    }

    fn flush(&self) -> IOResult {
        self.submit(Request::Flush)
    }
}
