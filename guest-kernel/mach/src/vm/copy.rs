//! Memory on its way in a message.

use super::object::Object;
use super::page::Page;
use crate::counts::{Live, Resource};
use crate::kernel::Kernel;
use abi::KernReturn;
use abi::message::OUT_OF_LINE_MAX;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A snapshot of a piece of memory, which shares its pages.
pub(crate) struct MemoryCopy {
    /// Of the first byte, in its page.
    pub offset: u64,
    /// Bytes.
    pub size: u32,
    /// `None`: zeros.
    pages: Vec<Option<Arc<Page>>>,
    _live: Live,
}

impl MemoryCopy {
    /// `size` bytes from `offset` of the first of `pages` on.
    pub(crate) fn new(kernel: &Kernel, offset: u64, size: u32, pages: Vec<Option<Arc<Page>>>) -> Self {
        Self { offset, size, pages, _live: kernel.counts.one(Resource::VmObject) }
    }

    /// A copy of kernel memory.
    ///
    /// # Errors
    /// SendTooLarge: more than a message may have. ResourceShortage: no memory.
    pub(crate) fn of(kernel: &Kernel, bytes: &[u8]) -> Result<Self, KernReturn> {
        let size = u32::try_from(bytes.len()).ok().filter(|&size| u64::from(size) <= OUT_OF_LINE_MAX);
        let size = size.ok_or(KernReturn::SendTooLarge)?;
        let pages = bytes.chunks(super::page::BYTES).map(|piece| {
            let page = Page::zero(kernel)?;
            page.write(0, piece);
            Ok(Some(page))
        });
        let pages: Result<Vec<_>, KernReturn> = pages.collect();
        Ok(Self::new(kernel, 0, size, pages?))
    }

    /// Pages that it spans.
    pub(crate) fn span(&self) -> usize {
        self.pages.len()
    }

    /// As an object of a region that begins at `address`.
    pub(crate) fn into_object(self, kernel: &Kernel, address: u64) -> Object {
        let mut object = Object::new(kernel, false);
        let addresses = (address..).step_by(abi::space::PAGE as usize);
        object.pages = addresses.zip(self.pages).filter_map(|(at, page)| Some((at, page?))).collect();
        object
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = alloc::vec![0; self.size as usize];
        let mut offset = self.offset as usize;
        let mut rest = &mut bytes[..];
        for page in &self.pages {
            let (part, left) = rest.split_at_mut(rest.len().min(super::page::BYTES - offset));
            if let Some(page) = page {
                page.read(offset, part);
            }
            (rest, offset) = (left, 0);
        }
        bytes
    }
}
