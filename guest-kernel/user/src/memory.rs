//! Memory that a task has allocated.

use crate::os::{Fault, Os, Result};
use abi::Trap;
use abi::space::{PAGE, flag};

/// A piece of the task's memory. Not given back on drop: that is the owner's, or the end of the task's.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    os: &'a dyn Os,
    address: u64,
    bytes: u64,
}

impl<'a> Memory<'a> {
    /// New memory, zeros, in whole pages.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(os: &'a dyn Os, bytes: u64) -> Result<Self> {
        let bytes = bytes.max(1).next_multiple_of(PAGE);
        let address = os.call(Trap::VmAllocate, &[0, bytes, flag::ANYWHERE])?;
        Ok(Self { os, address, bytes })
    }

    /// Memory that is there already.
    pub fn at(os: &'a dyn Os, address: u64, bytes: u64) -> Self {
        Self { os, address, bytes }
    }

    /// Its first address.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The kernel that it is from.
    pub fn os(&self) -> &'a dyn Os {
        self.os
    }

    /// Gives it back.
    ///
    /// # Errors
    /// The kernel's.
    pub fn free(self) -> Result<()> {
        self.os.call(Trap::VmDeallocate, &[self.address, self.bytes]).map(|_| ())
    }

    /// Reads bytes from `offset` on.
    ///
    /// # Errors
    /// [`Fault`] if they are not all in it.
    pub fn load(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        Ok(self.os.load(self.place(offset, into.len())?, into)?)
    }

    /// Writes bytes from `offset` on.
    ///
    /// # Errors
    /// As for [`Memory::load`].
    pub fn store(&self, offset: u64, from: &[u8]) -> Result<()> {
        Ok(self.os.store(self.place(offset, from.len())?, from)?)
    }

    /// Reads the 32-bit word at `offset`.
    ///
    /// # Errors
    /// As for [`Memory::load`].
    pub fn word(&self, offset: u64) -> Result<u32> {
        let mut bytes = [0; 4];
        self.load(offset, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Reads the 64-bit word at `offset`.
    ///
    /// # Errors
    /// As for [`Memory::load`].
    pub fn long(&self, offset: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.load(offset, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Writes the 64-bit word at `offset`.
    ///
    /// # Errors
    /// As for [`Memory::load`].
    pub fn set_long(&self, offset: u64, value: u64) -> Result<()> {
        self.store(offset, &value.to_le_bytes())
    }

    fn place(&self, offset: u64, bytes: usize) -> core::result::Result<u64, Fault> {
        let fault = Fault { address: self.address.wrapping_add(offset) };
        let end = offset.checked_add(bytes as u64).ok_or(fault)?;
        if end > self.bytes { Err(fault) } else { Ok(fault.address) }
    }
}
