//! Memory objects: the pages of a region.

use super::page::Page;
use crate::counts::{Live, Resource};
use crate::kernel::Kernel;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// The pages of a region that have been touched, by address. The others are zeros.
pub(crate) struct Object {
    pub pages: BTreeMap<u64, Arc<Page>>,
    /// The pages belong to somebody who writes to them too: never copied on write.
    pub shared: bool,
    _live: Live,
}

impl Object {
    /// An object without pages.
    pub(crate) fn new(kernel: &Kernel, shared: bool) -> Self {
        Self { pages: BTreeMap::new(), shared, _live: kernel.counts.one(Resource::VmObject) }
    }

    /// Takes the pages from `address` on into an object of their own.
    pub(crate) fn split_off(&mut self, kernel: &Kernel, address: u64) -> Self {
        let mut rest = Self::new(kernel, self.shared);
        rest.pages = self.pages.split_off(&address);
        rest
    }

    /// Whether nobody else has `page`, which is one of this object's: it may be written to in place. Nobody can become a second owner while the
    /// map is locked, because the only reference is here.
    pub(crate) fn owns(&self, page: &Arc<Page>) -> bool {
        self.shared || Arc::strong_count(page) == 1
    }
}
