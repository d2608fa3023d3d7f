//! Reading physical memory that firmware and loader filled in.

/// Readable physical memory. The guest answers from its identity map, tests from a vector.
pub trait Physical {
    /// The `length` bytes at `address`; `None` if they are not all readable.
    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]>;
}

/// The little-endian u16 at `at`; 0 beyond the end.
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
}

/// The little-endian u32 at `at`; 0 beyond the end.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// The little-endian u64 at `at`; 0 beyond the end.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    /// A piece of memory for tests.
    pub(crate) struct Memory {
        base: u64,
        bytes: Vec<u8>,
    }

    impl Memory {
        pub(crate) fn new(base: u64, length: usize) -> Self {
            Self { base, bytes: vec![0; length] }
        }

        pub(crate) fn put(&mut self, address: u64, data: &[u8]) {
            let at = (address - self.base) as usize;
            self.bytes[at..at + data.len()].copy_from_slice(data);
        }
    }

    impl Physical for Memory {
        fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
            let at = usize::try_from(address.checked_sub(self.base)?).ok()?;
            self.bytes.get(at..at.checked_add(length)?)
        }
    }
}
