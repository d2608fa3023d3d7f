//! Bytes that decide something; zeros when there are no more.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A string of bytes that several threads take from.
#[derive(Debug)]
pub(super) struct Bytes {
    bytes: Arc<[u8]>,
    at: AtomicUsize,
    step: usize,
}

impl Bytes {
    /// All of them.
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.into(), at: AtomicUsize::new(0), step: 1 }
    }

    /// Every other byte, behind the first four, from the `first`-th on.
    pub fn every_other(bytes: &Arc<[u8]>, first: usize) -> Self {
        Self { bytes: bytes.clone(), at: AtomicUsize::new(4 + first), step: 2 }
    }

    /// Whether there are no more.
    pub fn is_empty(&self) -> bool {
        self.at.load(Ordering::Relaxed) >= self.bytes.len()
    }

    /// The next one.
    pub fn next(&self) -> u8 {
        let at = self.at.fetch_add(self.step, Ordering::Relaxed);
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// A number below `count`, which is not 0.
    pub fn below(&self, count: usize) -> usize {
        usize::from(self.next()) % count
    }

    /// A number as it might stand in a register: small, large, or near the end of something.
    pub fn word(&self) -> u64 {
        let value = u64::from(self.next());
        match self.next() % 6 {
            0 | 1 => value,
            2 => value << 32 | u64::from(self.next()),
            3 => abi::space::USER_BASE + value * 8,
            4 => u64::MAX - value,
            _ => 1 << (value % 64),
        }
    }
}
