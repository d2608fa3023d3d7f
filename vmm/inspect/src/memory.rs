//! A machine's memory, as whoever looks at it needs it.

use std::ops::Range;

/// Physical memory of a machine that stands still.
pub trait Physical {
    /// Reads `into.len()` bytes at `address`; false if not all of them are memory.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;
    /// The memory that there is, in order of addresses.
    fn ranges(&self) -> Vec<Range<u64>>;
}

#[cfg(test)]
pub mod flat {
    //! Memory for tests: one range, from an address on.

    use super::Physical;
    use std::ops::Range;

    /// Bytes at an address.
    pub struct Flat(pub u64, pub Vec<u8>);

    impl Flat {
        /// Writes a word.
        pub fn put(&mut self, address: u64, value: u64) {
            self.put_bytes(address, &value.to_le_bytes());
        }

        /// Writes bytes.
        pub fn put_bytes(&mut self, address: u64, bytes: &[u8]) {
            let at = (address - self.0) as usize;
            self.1[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    impl Physical for Flat {
        fn read(&self, address: u64, into: &mut [u8]) -> bool {
            let at = address.checked_sub(self.0).and_then(|at| usize::try_from(at).ok());
            let from = at.and_then(|at| self.1.get(at..at.checked_add(into.len())?));
            from.map(|from| into.copy_from_slice(from)).is_some()
        }

        fn ranges(&self) -> Vec<Range<u64>> {
            Vec::from([Range { start: self.0, end: self.0 + self.1.len() as u64 }])
        }
    }
}
