//! A map's regions: where they are, how they are cut.

use super::object::Object;
use super::page::Page;
use super::{PAGES_MAX, REGIONS_MAX};
use crate::kernel::Kernel;
use abi::KernReturn;
use abi::space::{ANYWHERE_BASE, PAGE, USER_BASE, USER_BYTES, USER_END};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A piece of an address space whose pages may do the same.
pub(super) struct Region {
    /// One past its last byte.
    pub end: u64,
    /// See [`abi::space::protection`].
    pub protection: u64,
    pub object: Object,
}

/// All regions of a map, by address.
#[derive(Default)]
pub(super) struct Regions {
    regions: BTreeMap<u64, Region>,
    /// Pages of all objects.
    resident: usize,
    /// The task is gone: nothing comes any more.
    pub dead: bool,
}

/// The whole pages around a range.
///
/// # Errors
/// InvalidArgument: none, or not all in user space.
pub(super) fn pages_around(address: u64, bytes: u64) -> Result<(u64, u64), KernReturn> {
    let end = address.checked_add(bytes).filter(|_| bytes != 0).ok_or(KernReturn::InvalidArgument)?;
    let start = address & !(PAGE - 1);
    let end = end.checked_next_multiple_of(PAGE).ok_or(KernReturn::InvalidArgument)?;
    if start < USER_BASE || end > USER_END {
        return Err(KernReturn::InvalidAddress);
    }
    Ok((start, end))
}

impl Regions {
    /// The region that has `address`, with its first address.
    pub fn find(&mut self, address: u64) -> Option<(u64, &mut Region)> {
        let (&start, region) = self.regions.range_mut(..=address).next_back()?;
        (address < region.end).then_some((start, region))
    }

    /// Whether nothing is between `start` and `end`.
    fn is_free(&self, start: u64, end: u64) -> bool {
        self.regions.range(..end).next_back().is_none_or(|(_, region)| region.end <= start)
    }

    /// The first gap of `bytes` bytes, from [`ANYWHERE_BASE`] on.
    fn gap(&self, bytes: u64) -> Option<u64> {
        let mut at = ANYWHERE_BASE;
        for (&start, region) in &self.regions {
            if start.saturating_sub(at) >= bytes && start >= at {
                break;
            }
            at = at.max(region.end);
        }
        at.checked_add(bytes).filter(|&end| end <= USER_END).map(|_| at)
    }

    /// Where `bytes` bytes, whole pages, can go: at `address` if there is one, else anywhere.
    pub fn room(&self, address: Option<u64>, bytes: u64) -> Result<u64, KernReturn> {
        if self.dead {
            return Err(KernReturn::Terminated);
        }
        if self.regions.len() >= REGIONS_MAX || bytes > USER_BYTES {
            return Err(KernReturn::NoSpace);
        }
        match address {
            None => self.gap(bytes).ok_or(KernReturn::NoSpace),
            Some(address) => {
                let (start, end) = pages_around(address, bytes)?;
                if start != address || !self.is_free(start, end) {
                    return Err(KernReturn::NoSpace);
                }
                Ok(address)
            }
        }
    }

    /// Adds a region where there is [room](Self::room).
    pub fn insert(&mut self, start: u64, region: Region) {
        self.resident += region.object.pages.len();
        self.regions.insert(start, region);
    }

    /// Asks for room for `pages` pages more.
    pub fn may_have(&self, pages: usize) -> Result<(), KernReturn> {
        if self.resident + pages > PAGES_MAX { Err(KernReturn::ResourceShortage) } else { Ok(()) }
    }

    /// A page was added to a region.
    pub fn count_page(&mut self) {
        self.resident += 1;
    }

    /// Cuts the region that has `at` in its middle.
    fn cut(&mut self, kernel: &Kernel, at: u64) {
        let Some((start, region)) = self.find(at) else { return };
        if start == at {
            return;
        }
        let (end, protection) = (core::mem::replace(&mut region.end, at), region.protection);
        let object = region.object.split_off(kernel, at);
        self.regions.insert(at, Region { end, protection, object });
    }

    /// Makes sure that regions begin or end at `start` and `end`.
    ///
    /// # Errors
    /// NoSpace: too many regions.
    pub fn clip(&mut self, kernel: &Kernel, start: u64, end: u64) -> Result<(), KernReturn> {
        let mid = |at| self.regions.range(..at).next_back().is_some_and(|(_, region)| region.end > at);
        if self.regions.len() + usize::from(mid(start)) + usize::from(mid(end)) > REGIONS_MAX {
            return Err(KernReturn::NoSpace);
        }
        self.cut(kernel, start);
        self.cut(kernel, end);
        Ok(())
    }

    /// Takes the regions between `start` and `end` away, which were [clipped](Self::clip); each with its address.
    pub fn remove(&mut self, start: u64, end: u64) -> Vec<(u64, Region)> {
        let mut removed = Vec::new();
        while let Some((&at, _)) = self.regions.range(start..end).next() {
            if let Some(region) = self.regions.remove(&at) {
                self.resident -= region.object.pages.len();
                removed.push((at, region));
            }
        }
        removed
    }

    /// The regions between `start` and `end`, which were clipped.
    pub fn between(&mut self, start: u64, end: u64) -> impl Iterator<Item = &mut Region> {
        self.regions.range_mut(start..end).map(|(_, region)| region)
    }

    /// Whether there is memory from `start` to `end`, without a gap.
    pub fn is_whole(&self, start: u64, end: u64) -> bool {
        let first = self.regions.range(..=start).next_back();
        let mut at = start;
        let rest = self.regions.range(start..end);
        for (&from, region) in first.into_iter().chain(rest) {
            if from > at {
                return false;
            }
            at = at.max(region.end);
        }
        at >= end
    }

    /// The page at `address`, if it was touched, of a region that is there.
    pub fn page(&mut self, address: u64) -> Option<Arc<Page>> {
        let (_, region) = self.find(address)?;
        region.object.pages.get(&(address & !(PAGE - 1))).cloned()
    }
}
