//! The storage family: from a block device to a client that reads and writes.
//!
//! ```text
//! controller's driver ◄─ IOBlockStorageDevice ◄─ IOBlockStorageDriver ◄─ IOMedia ◄─ IOMediaUserClient
//! ```
//!
//! Requests are synchronous calls down this chain on the client's thread; the controller's driver lets it sleep.

mod calls;
pub mod client;
mod device;
mod driver;
mod media;

pub use calls::Calls;
pub use device::{BlockDevice, BlockStorageDevice, Geometry, IO_BLOCK_STORAGE_DEVICE};
pub use driver::{BlockStorageDriver, IO_BLOCK_STORAGE_DRIVER};
pub use media::{IO_MEDIA, Media};

use crate::IoKit;
use crate::matching::Personality;
use alloc::boxed::Box;

/// Adds the family's personalities.
pub fn register(kit: &IoKit) {
    let personality =
        Personality::new("storage", IO_BLOCK_STORAGE_DRIVER.name, IO_BLOCK_STORAGE_DEVICE.name, |_, _| {
            Some(Box::new(BlockStorageDriver::new()))
        });
    kit.catalogue().add(kit, personality);
}
