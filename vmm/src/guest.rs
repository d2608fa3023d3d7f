//! What is started in a machine, and how: by PVH or by the Linux boot protocol.

use crate::linux::{self, Linux};
use crate::memory::{FIRMWARE_END, Memory};
use crate::processor::{enter_linux, enter_pvh};
use crate::{VmmError, image};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

/// What is started.
pub enum Guest<'a> {
    /// A file, which says itself where it goes: a PVH ELF file or a Linux bzImage.
    Image(&'a [u8]),
    /// 32-bit code, which goes to 1 MiB and starts there as a PVH kernel does.
    Code(&'a [u8]),
}

/// How what is loaded starts.
enum Start {
    /// By PVH, at an address.
    Pvh(u64),
    /// By the 64-bit Linux boot protocol.
    Linux(Box<Linux>),
}

/// What is in guest memory and can start.
pub struct Loaded {
    start: Start,
    /// End of what it needs.
    end: u64,
}

/// What a kernel is told at its start.
pub struct Told<'a> {
    /// Command line.
    pub line: &'a str,
    /// Initial RAM disk.
    pub initrd: Option<&'a [u8]>,
    /// Address of the root of the ACPI tables.
    pub rsdp: u64,
}

/// Where the initial RAM disk went.
#[derive(Clone, Copy)]
pub struct Initrd {
    /// First address.
    pub at: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Guest<'_> {
    /// The file, if it is one.
    pub fn image(&self) -> Option<&[u8]> {
        match self {
            Self::Image(image) => Some(image),
            Self::Code(_) => None,
        }
    }

    /// Loads it.
    ///
    /// # Errors
    /// It is no image that can be started, or does not fit.
    pub fn load(&self, memory: &Memory) -> Result<Loaded, VmmError> {
        match self {
            Self::Image(image) if linux::is_bzimage(image) => {
                let linux = Linux::load(memory, image)?;
                Ok(Loaded { end: linux.end(), start: Start::Linux(Box::new(linux)) })
            }
            Self::Image(image) => {
                let (entry, end) = image::load(memory, image)?;
                Ok(Loaded { start: Start::Pvh(entry), end })
            }
            Self::Code(code) => {
                let end = FIRMWARE_END + code.len() as u64;
                let too_large = |_| VmmError::ImageTooLarge { needed: end, has: memory.low_end };
                memory.mmap.write_slice(code, GuestAddress(FIRMWARE_END)).map_err(too_large)?;
                Ok(Loaded { start: Start::Pvh(FIRMWARE_END), end })
            }
        }
    }
}

impl Loaded {
    /// Writes what it finds at its start, and sets the first processor to its entry.
    ///
    /// # Errors
    /// Command line or RAM disk do not fit, or KVM refuses.
    pub fn prepare(&self, memory: &Memory, vcpu: &VcpuFd, told: &Told<'_>) -> Result<(), VmmError> {
        match &self.start {
            Start::Pvh(entry) => {
                image::start_info(memory, told, self.end)?;
                enter_pvh(vcpu, *entry)
            }
            Start::Linux(linux) => {
                linux.prepare(memory, told)?;
                enter_linux(vcpu, linux.entry())
            }
        }
    }
}

/// Puts the RAM disk at the end of low memory, at most up to `limit`, behind the image that ends at `image_end`.
///
/// # Errors
/// It does not fit.
pub fn place_initrd(memory: &Memory, data: &[u8], image_end: u64, limit: u64) -> Result<Initrd, VmmError> {
    let bytes = data.len() as u64;
    let end = memory.low_end.min(limit);
    let at = end.checked_sub(bytes).map(|at| at & !0xfff).filter(|&at| at >= image_end.max(FIRMWARE_END));
    let at = at.ok_or(VmmError::InitrdTooLarge(bytes))?;
    memory.mmap.write_slice(data, GuestAddress(at)).map_err(|_| VmmError::InitrdTooLarge(bytes))?;
    Ok(Initrd { at, bytes })
}
