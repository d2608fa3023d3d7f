//! A Linux in our own machine, in the svm leg: Debian's kernel as a guest of `workgate boot`.

use crate::initramfs::Initramfs;

/// Where the kernel is in the lab's file system.
const KERNEL: &str = "/linux/vmlinuz";
/// Where the guest's file system is.
const INITRD: &str = "/linux/initrd";

/// The guest's first process: both processors, both devices and their slots must be there. Powers off only if so; otherwise it stays, and the
/// lab's time limit makes that a failure.
const INIT: &str = "#!/bin/sh
b=/bin/busybox
$b mount -t proc none /proc; $b mount -t sysfs none /sys
pci=/sys/bus/pci
is() { [ \"$($b cat $1)\" = \"$2\" ] && echo \"guest: $1 is $2\" || { echo \"guest: $1 is not $2\"; while :; do $b sleep 9; done; }; }
is $pci/devices/0000:01:00.0/vendor 0x1234
is $pci/devices/0000:01:00.0/device 0x11e8
is $pci/devices/0000:03:00.0/vendor 0x1af4
is $pci/devices/0000:03:00.0/device 0x1042
is $pci/slots/1/adapter 1
is $pci/slots/3/power 1
is /sys/devices/system/cpu/online 0-1
$b poweroff -f
";

/// Puts kernel and guest file system into the lab's file system.
pub fn add(archive: &mut Initramfs, kernel: &[u8], busybox: &[u8]) {
    let mut inner = Initramfs::new();
    for folder in ["dev", "proc", "sys"] {
        inner.folder(folder);
    }
    inner.file("/bin/busybox", true, busybox);
    inner.link("/bin/sh", "busybox");
    inner.file("/init", true, INIT.as_bytes());
    archive.file(KERNEL, false, kernel);
    archive.file(INITRD, false, &inner.finish());
}

/// What `workgate` is told. A kernel that panics stops, and does not reset the machine, which would look like an end in order.
pub fn arguments() -> Vec<String> {
    let words = ["boot", KERNEL, "--initrd", INITRD, "--cpus", "2", "--memory", "256M"];
    let devices = ["--plug", "1=edu", "--plug", "3=virtio-blk,size=8M", "--cmdline", "console=ttyS0"];
    words.into_iter().chain(devices).map(Into::into).collect()
}
