//! Drivers.

pub mod bundles;
mod common;
pub mod daq;
pub mod edu;
pub mod ohci;
pub mod raid;
pub mod sbp2;
pub mod usb_hid;
pub mod usb_hub;
pub mod usb_serial;
pub mod usb_storage;
pub mod virtio_blk;
pub mod xhci;
pub mod zoo;

use alloc::vec::Vec;

use crate::IoKit;

/// Loads the bundles that come with the kernel, as any other is loaded (O2). One that cannot be is left out, and the log says why.
pub fn load_bundles(kit: &IoKit) {
    let all = bundles::all();
    let identifiers: Vec<_> = all.iter().map(|bundle| bundle.identifier).collect();
    all.into_iter().for_each(|bundle| kit.bundles().add(kit, bundle));
    for identifier in identifiers {
        if let Err(why) = kit.bundles().load(kit, identifier) {
            kit.kernel().log(format_args!("iokit: {identifier} is not loaded: {why}"));
        }
    }
}
