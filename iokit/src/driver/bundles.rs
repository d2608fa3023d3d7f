//! What comes with the kernel, as bundles: families, which are libraries, and drivers, which need them.
//!
//! They are part of the image, and so there from the beginning: [`super::load_bundles`] loads them, and a run that ends unloads them, like any other
//! ([`Bundles`](crate::registry::bundle::Bundles)); each is looked at by the same checker. The kernel's own stays: its classes have instances as long as it runs.

use alloc::vec::Vec;

use super::{daq, edu, ohci, raid, sbp2, usb_hid, usb_hub, usb_serial, usb_storage, virtio_blk, xhci, zoo};
use crate::{
    class::{IO_PLATFORM_EXPERT, IO_REGISTRY_ROOT},
    family::{firewire, pci, storage, usb},
    registry::bundle::{Bundle, KERNEL_RESOURCE},
};

/// The version of everything that comes with the kernel.
pub const VERSION: &str = "0.1";
/// The kernel's own classes.
pub const KERNEL: &str = "org.workgate.kernel.iokit";
/// The PCI family.
pub const PCI: &str = "org.workgate.family.pci";
/// The storage family.
pub const STORAGE: &str = "org.workgate.family.storage";
/// The USB family.
pub const USB: &str = "org.workgate.family.usb";
/// The FireWire family.
pub const FIREWIRE: &str = "org.workgate.family.firewire";

/// A bundle of the kernel's version, which others may need, and which needs the kernel.
pub(crate) fn shipped(identifier: &'static str) -> Bundle {
    Bundle::new(identifier, VERSION).compatible(VERSION).needs(KERNEL, VERSION)
}

fn kernel() -> Bundle {
    let bundle = Bundle::new(KERNEL, VERSION).compatible(VERSION).property(KERNEL_RESOURCE, true);
    bundle.class(&IO_REGISTRY_ROOT).class(&IO_PLATFORM_EXPERT)
}

fn pci() -> Bundle {
    shipped(PCI).class(&pci::host::IO_PCI_HOST).class(&pci::port::IO_PCI_ROOT_PORT).class(&pci::IO_PCI_DEVICE)
}

fn usb() -> Bundle {
    let bundle = shipped(USB).class(&usb::IO_USB_HOST_CONTROLLER).class(&usb::IO_USB_HOST_DEVICE);
    bundle.class(&usb::IO_USB_HOST_INTERFACE)
}

fn firewire() -> Bundle {
    let bundle = shipped(FIREWIRE).class(&firewire::IO_FIREWIRE_CONTROLLER);
    bundle.class(&firewire::IO_FIREWIRE_DEVICE).class(&firewire::IO_FIREWIRE_UNIT)
}

/// All of them, libraries before those that need them.
pub fn all() -> Vec<Bundle> {
    alloc::vec![
        kernel(),
        pci(),
        storage::bundle(),
        usb(),
        firewire(),
        edu::bundle(),
        virtio_blk::bundle(),
        daq::bundle(),
        raid::bundle(),
        xhci::bundle(),
        ohci::bundle(),
        sbp2::bundle(),
        usb_hub::bundle(),
        usb_hid::bundle(),
        usb_serial::bundle(),
        usb_storage::bundle(),
        zoo::bundle(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::bundle::check_bundle;

    #[test]
    fn o2_what_comes_with_the_kernel_is_without_flaws() {
        let all = all();
        let known: Vec<_> = all.iter().collect();
        for bundle in &all {
            assert_eq!(check_bundle(bundle, &known), [], "{}", bundle.identifier);
        }
    }
}
