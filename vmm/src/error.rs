//! What can stop a machine from being built.

use std::io;
use thiserror::Error;

/// A machine that could not be built or started.
#[derive(Debug, Error)]
pub enum VmmError {
    /// No KVM device.
    #[error("this host has no /dev/kvm: load the kvm-intel or kvm-amd module, or use `--machine sim`")]
    NoKvm,
    /// No permission to it.
    #[error(
        "no permission to open /dev/kvm: join the group that owns it (often `kvm`), or use `--machine sim`"
    )]
    NoPermission,
    /// Something else in its place.
    #[error(
        "/dev/kvm is not the KVM device here (a sandbox may have put something else there): use `--machine sim`"
    )]
    NotKvm,
    /// KVM lacks something.
    #[error("KVM on this host lacks {0}, which the machine needs")]
    Missing(&'static str),
    /// A call of KVM or the system failed.
    #[error("{what}: {error}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The image is not an ELF file.
    #[error(
        "the image is not an x86-64 ELF file ({0}); a PVH kernel such as vmlinux, or a Linux bzImage, is expected"
    )]
    NotElf(String),
    /// The image looks like a Linux bzImage, but cannot be booted.
    #[error("the image is a Linux bzImage that cannot be booted ({0})")]
    NotBzImage(String),
    /// The image has no PVH note.
    #[error(
        "the image has no PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY); a kernel built with CONFIG_PVH has one"
    )]
    NoPvhNote,
    /// The image does not fit.
    #[error(
        "the image needs memory up to {needed:#x}, and the machine has {has:#x}; give it more, such as --memory 256M"
    )]
    ImageTooLarge {
        /// End of the image in guest memory.
        needed: u64,
        /// End of usable guest memory.
        has: u64,
    },
    /// The initial RAM disk does not fit.
    #[error("the initial RAM disk of {0} bytes does not fit into the machine's memory")]
    InitrdTooLarge(u64),
    /// The command line does not fit.
    #[error("the kernel command line is {0} bytes long; at most {1} fit")]
    CommandLine(usize, usize),
    /// Bad number of processors.
    #[error("{0} processors: a machine has 1 to 8")]
    Cpus(usize),
    /// Bad amount of memory.
    #[error("{0} bytes of memory: a machine has 16M to 64G, a multiple of 4K")]
    Memory(u64),
    /// A snapshot cannot be taken of this machine, or does not belong to it.
    #[error("snapshot: {0}")]
    Snapshot(String),
    /// The plan's devices cannot be made.
    #[error(transparent)]
    Platform(#[from] devices::platform::PlatformError),
}

impl VmmError {
    /// A failed system call.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(vmm_sys_util::errno::Error) -> Self {
        move |error| Self::System { what, error: error.into() }
    }

    /// True if the host is at fault, false if the request is.
    pub fn is_host(&self) -> bool {
        matches!(
            self,
            Self::NoKvm | Self::NoPermission | Self::NotKvm | Self::Missing(_) | Self::System { .. }
        )
    }
}
