//! Pages: page-aligned memory made of atomic words.

use crate::counts::{Live, Resource};
use crate::kernel::Kernel;
use abi::KernReturn;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a page.
pub(crate) const BYTES: usize = abi::space::PAGE as usize;
/// Words of a page.
pub(crate) const WORDS: usize = BYTES / 8;

#[repr(C, align(4096))]
struct Frame([AtomicU64; WORDS]);

/// A page.
pub(crate) struct Page {
    /// One frame. A vector, because that can fail where a box cannot.
    frame: Vec<Frame>,
    _live: Live,
}

impl Page {
    /// A page of zeros.
    ///
    /// # Errors
    /// ResourceShortage: no memory.
    pub(crate) fn zero(kernel: &Kernel) -> Result<Arc<Self>, KernReturn> {
        kernel.allocate("page").map_err(|_| KernReturn::ResourceShortage)?;
        let mut frame = Vec::new();
        frame.try_reserve_exact(1).map_err(|_| KernReturn::ResourceShortage)?;
        frame.push(Frame([const { AtomicU64::new(0) }; WORDS]));
        Ok(Arc::new(Self { frame, _live: kernel.counts.one(Resource::VmPage) }))
    }

    /// A page with the same bytes.
    ///
    /// # Errors
    /// ResourceShortage: no memory.
    pub(crate) fn duplicate(&self, kernel: &Kernel) -> Result<Arc<Self>, KernReturn> {
        let copy = Self::zero(kernel)?;
        for (to, from) in copy.words().iter().zip(self.words()) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(copy)
    }

    /// The words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        self.frame.first().map_or(&[], |frame| &frame.0)
    }

    /// Where it is in the kernel's memory.
    pub(crate) fn address(&self) -> u64 {
        self.frame.as_ptr().addr() as u64
    }

    /// Reads from byte `offset` on. What lies beyond the end stays as it was.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) {
        let mut done = 0;
        while done < into.len() && offset + done < BYTES {
            let at = offset + done;
            let word = self.words()[at / 8].load(Ordering::Relaxed).to_le_bytes();
            let rest = &mut into[done..];
            // Whole words as words: where ring 0 is interpreted, a byte costs as much as a word.
            if at.is_multiple_of(8)
                && let Some(part) = rest.first_chunk_mut()
            {
                *part = word;
                done += word.len();
            } else {
                rest[0] = word[at % 8];
                done += 1;
            }
        }
    }

    /// Writes from byte `offset` on, up to the end of the page. Neighbours of what is written stay as they are, even if they are written
    /// to at the same time.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        let mut at = offset;
        let end = BYTES.min(offset.saturating_add(from.len()));
        while at < end {
            let next = end.min((at / 8 + 1) * 8);
            let mut bytes = [0; 8];
            let mut mask = [0; 8];
            bytes[at % 8..at % 8 + next - at].copy_from_slice(&from[at - offset..next - offset]);
            mask[at % 8..at % 8 + next - at].fill(0xff);
            let (value, mask) = (u64::from_le_bytes(bytes), u64::from_le_bytes(mask));
            let word = &self.words()[at / 8];
            if mask == u64::MAX {
                word.store(value, Ordering::Relaxed);
            } else {
                // The function always has an answer.
                _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(old & !mask | value));
            }
            at = next;
        }
    }
}
