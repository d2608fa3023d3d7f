//! Memory that the kernel shares with tasks.

use super::page::{Page, WORDS};
use crate::kernel::Kernel;
use abi::KernReturn;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::AtomicU64;

/// Pages of one piece at the most: 1 MiB.
const PAGES_MAX: usize = 256;

/// A piece of memory that the kernel and tasks write to at the same time.
#[derive(Clone)]
pub struct SharedMemory {
    pub(crate) pages: Arc<[Arc<Page>]>,
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedMemory({} words)", self.words())
    }
}

impl SharedMemory {
    /// At least `words` 64-bit words of zeros.
    ///
    /// # Errors
    /// InvalidArgument: none, or more than a mebibyte. ResourceShortage: no memory.
    pub fn new(kernel: &Kernel, words: usize) -> Result<Self, KernReturn> {
        let count = words.div_ceil(WORDS);
        if count == 0 || count > PAGES_MAX {
            return Err(KernReturn::InvalidArgument);
        }
        let pages: Result<Vec<_>, _> = (0..count).map(|_| Page::zero(kernel)).collect();
        Ok(Self { pages: pages?.into() })
    }

    /// Words that there are.
    pub fn words(&self) -> usize {
        self.pages.len() * WORDS
    }

    /// Bytes that there are.
    pub fn bytes(&self) -> u64 {
        (self.words() * 8) as u64
    }

    /// Word `at`; `None` beyond the end.
    pub fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.pages.get(at / WORDS)?.words().get(at % WORDS)
    }
}
