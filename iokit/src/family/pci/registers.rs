//! What a driver holds to reach its device: a mapped BAR.

use super::access::Access;
use alloc::sync::Arc;
use mach::seam::Width;

/// The registers in one BAR (or a part of it), mapped for one client of the nub.
///
/// Accesses outside of the range read all ones and write nothing: offsets can come from the device.
#[derive(Clone)]
pub struct Registers {
    access: Arc<Access>,
    client: u32,
    bar: u8,
    base: u64,
    size: u64,
}

impl Registers {
    pub(super) fn new(access: &Arc<Access>, client: u32, bar: u8, base: u64, size: u64) -> Self {
        Self { access: access.clone(), client, bar, base, size }
    }

    /// Bytes in the range.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The part from `offset` of `bytes` bytes; `None` if it does not lie within.
    pub fn part(&self, offset: u64, bytes: u64) -> Option<Self> {
        let end = offset.checked_add(bytes)?;
        (end <= self.size).then(|| Self { base: self.base + offset, size: bytes, ..self.clone() })
    }

    /// Whether the slot reported the device as gone.
    pub fn is_gone(&self) -> bool {
        self.access.is_gone()
    }

    fn read(&self, offset: u64, width: Width) -> u64 {
        if !self.contains(offset, width) {
            return u64::MAX;
        }
        self.access.check(self.client, u64::from(self.bar) << 32 | offset);
        self.access.kernel().machine().reg_read(self.base + offset, width)
    }

    fn write(&self, offset: u64, width: Width, value: u64) {
        if self.contains(offset, width) {
            self.access.check(self.client, u64::from(self.bar) << 32 | offset);
            self.access.kernel().machine().reg_write(self.base + offset, width, value);
        }
    }

    fn contains(&self, offset: u64, width: Width) -> bool {
        offset.checked_add(width as u64).is_some_and(|end| end <= self.size)
    }

    /// Reads a byte.
    pub fn read8(&self, offset: u64) -> u8 {
        self.read(offset, Width::B1) as u8
    }

    /// Reads 16 bits.
    pub fn read16(&self, offset: u64) -> u16 {
        self.read(offset, Width::B2) as u16
    }

    /// Reads 32 bits.
    pub fn read32(&self, offset: u64) -> u32 {
        self.read(offset, Width::B4) as u32
    }

    /// Writes a byte.
    pub fn write8(&self, offset: u64, value: u8) {
        self.write(offset, Width::B1, u64::from(value));
    }

    /// Writes 16 bits.
    pub fn write16(&self, offset: u64, value: u16) {
        self.write(offset, Width::B2, u64::from(value));
    }

    /// Writes 32 bits.
    pub fn write32(&self, offset: u64, value: u32) {
        self.write(offset, Width::B4, u64::from(value));
    }

    /// Writes 64 bits.
    pub fn write64(&self, offset: u64, value: u64) {
        self.write(offset, Width::B8, value);
    }
}
