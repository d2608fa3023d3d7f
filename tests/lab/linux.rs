//! A Linux in our own machine, in the svm leg: Debian's kernel as a guest of `workgate boot`, and its own drivers on our devices.

use crate::error::LabError;
use crate::initramfs::Initramfs;
use crate::kernel::Kernel;

/// Where the kernel is in the lab's file system.
const KERNEL: &str = "/linux/vmlinuz";
/// Where the guest's file system is.
const INITRD: &str = "/linux/initrd";

/// Devices, and where they are.
const DEVICES: [&str; 9] = [
    "1=edu",
    "3=xhci",
    "3.1=usb-storage,size=16M",
    "3.2=usb-keyboard",
    "3.3=usb-serial",
    "3.4=usb-hub,ports=4",
    "3.4.2=usb-mouse",
    "4=ohci",
    "4.1=firewire-disk,size=16M",
];
/// A disk with Linux's own idea of what one is.
const DISK: &str = "5=virtio-blk,size=16M";

/// The guest's first process: [the tour](../../docs/lab.md). Powers off in any case.
const INIT: &str = include_str!("linux-init.sh");
/// The last line of a tour in which all was well.
pub const LAST_WORD: &str = "guest: no driver complains";

/// Puts kernel and guest file system into the lab's file system.
///
/// # Errors
/// A module cannot be read.
pub fn add(archive: &mut Initramfs, kernel: &Kernel, image: &[u8], busybox: &[u8]) -> Result<(), LabError> {
    let mut inner = Initramfs::new();
    for folder in ["dev", "proc", "sys"] {
        inner.folder(folder);
    }
    inner.file("/bin/busybox", true, busybox);
    inner.link("/bin/sh", "busybox");
    for (n, module) in kernel.guest_modules.iter().enumerate() {
        let bytes = std::fs::read(module).map_err(LabError::io(module.display().to_string()))?;
        inner.file(&format!("/modules/{n:02}.ko"), false, &bytes);
    }
    inner.file("/init", true, INIT.as_bytes());
    archive.file(KERNEL, false, image);
    archive.file(INITRD, false, &inner.finish());
    Ok(())
}

/// What `workgate` is told. A kernel that panics stops, and does not reset the machine, which would look like an end in order.
pub fn arguments() -> Vec<String> {
    let words = ["boot", KERNEL, "--initrd", INITRD, "--cpus", "2", "--memory", "300M"];
    let devices = DEVICES.into_iter().chain([DISK]).flat_map(|device| ["--plug", device]);
    let console = ["--cmdline", "console=ttyS0 loglevel=5"];
    words.into_iter().chain(devices).chain(console).map(Into::into).collect()
}
