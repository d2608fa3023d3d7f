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

use crate::driver::bundles;
use crate::matching::Personality;
use crate::registry::bundle::Bundle;
use alloc::boxed::Box;

/// The family's bundle.
pub fn bundle() -> Bundle {
    let personality = Personality::new(
        bundles::STORAGE,
        IO_BLOCK_STORAGE_DRIVER.name,
        IO_BLOCK_STORAGE_DEVICE.name,
        |_, _| Some(Box::new(BlockStorageDriver::new())),
    );
    let bundle =
        bundles::shipped(bundles::STORAGE).class(&IO_BLOCK_STORAGE_DEVICE).class(&IO_BLOCK_STORAGE_DRIVER);
    bundle.class(&IO_MEDIA).class(&client::IO_MEDIA_USER_CLIENT).personality("storage", personality)
}
