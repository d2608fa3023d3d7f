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

/// What is torn out of another machine, and when.
const SURPRISE: &str = include_str!("linux-surprise.plan");
/// Where that plan is in the lab's file system.
const PLAN: &str = "/linux/surprise.plan";

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
    archive.file(PLAN, false, SURPRISE.as_bytes());
    Ok(())
}

/// What `workgate` is told for the tour in which everything is ejected in order. A kernel that panics stops, and does not reset the machine, which
/// would look like an end in order.
pub fn arguments() -> Vec<String> {
    let devices = DEVICES.into_iter().chain([DISK]).flat_map(|device| ["--plug", device]);
    told(["--cpus", "2", "--memory", "300M"].into_iter().chain(devices), "console=ttyS0 loglevel=5")
}

/// The same for the tour in which everything is torn out.
pub fn surprise_arguments() -> Vec<String> {
    told(["--plan", PLAN], "console=ttyS0 loglevel=5 tour=surprise")
}

fn told<'a>(machine: impl IntoIterator<Item = &'a str>, command_line: &'a str) -> Vec<String> {
    let kernel = ["boot", KERNEL, "--initrd", INITRD, "--cmdline", command_line];
    kernel.into_iter().chain(machine).map(Into::into).collect()
}
