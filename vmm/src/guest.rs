//! What is started in a machine.

use crate::memory::{FIRMWARE_END, Memory};
use crate::{VmmError, image};
use vm_memory::{Bytes, GuestAddress};

/// What is started.
pub enum Guest<'a> {
    /// A file, which says itself where it goes.
    Image(&'a [u8]),
    /// 32-bit code, which goes to 1 MiB and starts there as a PVH kernel does.
    Code(&'a [u8]),
}

impl Guest<'_> {
    /// Loads it; its entry address.
    ///
    /// # Errors
    /// It is no image that can be started, or does not fit.
    pub fn load(&self, memory: &Memory) -> Result<u64, VmmError> {
        match self {
            Self::Image(image) => image::load(memory, image),
            Self::Code(code) => {
                let needed = FIRMWARE_END + code.len() as u64;
                let too_large = |_| VmmError::ImageTooLarge { needed, has: memory.low_end };
                memory.mmap.write_slice(code, GuestAddress(FIRMWARE_END)).map_err(too_large)?;
                Ok(FIRMWARE_END)
            }
        }
    }
}
