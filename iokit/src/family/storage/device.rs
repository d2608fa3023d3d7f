//! `IOBlockStorageDevice`: the nub of a controller's driver.

use crate::class::{Class, IO_SERVICE};
use crate::ioreturn::IOResult;
use crate::service::{Driver, Options, ServiceBuilder, ServiceRef};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// The class of block device nubs.
pub static IO_BLOCK_STORAGE_DEVICE: Class = Class::new("IOBlockStorageDevice", &IO_SERVICE);

/// What a disk looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Bytes of one request at the most, a multiple of the block size.
    pub request_bytes: u32,
    /// Whether it may be written.
    pub writable: bool,
}

/// What a controller's driver offers. Blocks and lengths are checked already, and no request is longer than the geometry allows.
///
/// Each call returns when the request is complete: Offline if the device went, Timeout if it does not answer, Error if it says so.
pub trait BlockDevice: Send + Sync {
    /// What the disk looks like. Constant.
    fn geometry(&self) -> Geometry;
    /// Reads whole blocks from `block` on.
    fn read(&self, block: u64, into: &mut [u8]) -> IOResult;
    /// Writes whole blocks from `block` on.
    fn write(&self, block: u64, from: &[u8]) -> IOResult;
    /// What was written before is on the medium when this returns.
    fn flush(&self) -> IOResult;
}

/// The nub.
pub struct BlockStorageDevice {
    device: Arc<dyn BlockDevice>,
}

impl BlockStorageDevice {
    /// Publishes `device` below its driver `parent`. Nothing happens if that is going.
    pub fn publish(parent: &ServiceRef, device: Arc<dyn BlockDevice>) {
        let nub = ServiceBuilder::under(parent, Box::new(Self { device })).build();
        if nub.attach(parent) {
            nub.register_service(Options::empty());
        }
    }

    /// The device.
    pub fn device(&self) -> &Arc<dyn BlockDevice> {
        &self.device
    }
}

impl Driver for BlockStorageDevice {
    fn class(&self) -> &'static Class {
        &IO_BLOCK_STORAGE_DEVICE
    }
}
