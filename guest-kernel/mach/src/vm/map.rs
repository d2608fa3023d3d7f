//! A task's address space.

use super::copy::MemoryCopy;
use super::object::Object;
use super::page::{BYTES, Page};
use super::region::{Region, Regions, pages_around};
use super::shared::SharedMemory;
use crate::counts::{Live, Resource};
use crate::kernel::Kernel;
use crate::mutex::Mutex;
use crate::seam::{SpaceId, UserAccess};
use abi::KernReturn;
use abi::message::OUT_OF_LINE_MAX;
use abi::space::{PAGE, protection};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// What somebody wants to do with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Write to it.
    Write,
    /// Run it.
    Execute,
}

impl Access {
    fn bit(self) -> u64 {
        match self {
            Self::Read => protection::READ,
            Self::Write => protection::WRITE,
            Self::Execute => protection::EXECUTE,
        }
    }
}

/// A task's address space.
pub struct Map {
    regions: Mutex<Regions>,
    /// The machine's, if it has a user mode.
    space: Option<SpaceId>,
    _live: Live,
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("space", &self.space).finish_non_exhaustive()
    }
}

/// As much as processors can tell apart: who may write or execute may read.
fn as_hardware_can(wanted: u64) -> Result<u64, KernReturn> {
    match wanted {
        0..=protection::READ => Ok(wanted),
        _ if wanted & !protection::ALL == 0 => Ok(wanted | protection::READ),
        _ => Err(KernReturn::InvalidArgument),
    }
}

impl Map {
    /// An empty address space.
    ///
    /// # Errors
    /// ResourceShortage: no memory.
    pub(crate) fn new(kernel: &Kernel) -> Result<Self, KernReturn> {
        kernel.allocate("map").map_err(|_| KernReturn::ResourceShortage)?;
        let space = match kernel.machine().has_user_mode() {
            true => Some(kernel.machine().space_create().map_err(|_| KernReturn::ResourceShortage)?),
            false => None,
        };
        let live = kernel.counts.one(Resource::VmMap);
        Ok(Self { regions: Mutex::new(kernel, Regions::default()), space, _live: live })
    }

    /// The machine's address space, if it has a user mode.
    pub(crate) fn space(&self) -> Option<SpaceId> {
        self.space
    }

    /// Makes memory of zeros at `address`, or anywhere; its address.
    ///
    /// # Errors
    /// InvalidArgument, InvalidAddress: not in user space, not aligned. NoSpace: no room there, or too many regions. Terminated.
    pub fn allocate(
        &self,
        kernel: &Kernel,
        address: Option<u64>,
        bytes: u64,
        protection: u64,
    ) -> Result<u64, KernReturn> {
        let protection = as_hardware_can(protection)?;
        let bytes = bytes.checked_next_multiple_of(PAGE).filter(|&bytes| bytes != 0);
        let bytes = bytes.ok_or(KernReturn::InvalidArgument)?;
        let mut regions = self.regions.lock(kernel);
        let start = regions.room(address, bytes)?;
        let object = Object::new(kernel, false);
        regions.insert(start, Region { end: start + bytes, protection, object });
        Ok(start)
    }

    /// Takes the pages around a range away. Where there are none, nothing happens.
    ///
    /// # Errors
    /// InvalidArgument, InvalidAddress: not in user space. NoSpace: too many regions to cut one.
    pub fn deallocate(&self, kernel: &Kernel, address: u64, bytes: u64) -> Result<(), KernReturn> {
        let (start, end) = pages_around(address, bytes)?;
        let removed = {
            let mut regions = self.regions.lock(kernel);
            regions.clip(kernel, start, end)?;
            let removed = regions.remove(start, end);
            self.forget(kernel, start, end);
            removed
        };
        // Only now are the pages free: no processor knows them any more.
        drop(removed);
        Ok(())
    }

    /// Says what may be done with the pages around a range.
    ///
    /// # Errors
    /// InvalidArgument, InvalidAddress: not all of it is there. NoSpace: too many regions to cut one.
    pub fn protect(
        &self,
        kernel: &Kernel,
        address: u64,
        bytes: u64,
        protection: u64,
    ) -> Result<(), KernReturn> {
        let (start, end) = pages_around(address, bytes)?;
        let protection = as_hardware_can(protection)?;
        let mut regions = self.regions.lock(kernel);
        if !regions.is_whole(start, end) {
            return Err(KernReturn::InvalidAddress);
        }
        regions.clip(kernel, start, end)?;
        for region in regions.between(start, end) {
            region.protection = protection;
        }
        self.forget(kernel, start, end);
        Ok(())
    }

    /// Makes processors forget the pages between `start` and `end`.
    fn forget(&self, kernel: &Kernel, start: u64, end: u64) {
        if let Some(space) = self.space {
            kernel.machine().space_remove(space, start, (end - start) / PAGE);
        }
    }

    /// Copies user memory in.
    ///
    /// # Errors
    /// InvalidAddress, ProtectionFailure: not all of it can be read; then `into` is changed in part.
    pub fn read(&self, kernel: &Kernel, address: u64, into: &mut [u8]) -> Result<(), KernReturn> {
        if into.is_empty() {
            return Ok(());
        }
        pages_around(address, into.len() as u64).map_err(|_| KernReturn::InvalidAddress)?;
        let mut regions = self.regions.lock(kernel);
        let mut at = address;
        let mut rest = into;
        while !rest.is_empty() {
            let offset = (at % PAGE) as usize;
            let length = rest.len().min(BYTES - offset);
            let (part, left) = rest.split_at_mut(length);
            allowed(&mut regions, at, Access::Read)?;
            match regions.page(at) {
                Some(page) => page.read(offset, part),
                None => part.fill(0),
            }
            at += length as u64;
            rest = left;
        }
        Ok(())
    }

    /// Copies user memory out.
    ///
    /// # Errors
    /// InvalidAddress, ProtectionFailure: not all of it can be written to; ResourceShortage: no page for it. Memory is changed in part then.
    pub fn write(&self, kernel: &Kernel, address: u64, from: &[u8]) -> Result<(), KernReturn> {
        if from.is_empty() {
            return Ok(());
        }
        pages_around(address, from.len() as u64).map_err(|_| KernReturn::InvalidAddress)?;
        let mut regions = self.regions.lock(kernel);
        let mut at = address;
        let mut rest = from;
        while !rest.is_empty() {
            let offset = (at % PAGE) as usize;
            let (part, left) = rest.split_at(rest.len().min(BYTES - offset));
            allowed(&mut regions, at, Access::Write)?;
            self.page_for(kernel, &mut regions, at, Access::Write)?.write(offset, part);
            at += part.len() as u64;
            rest = left;
        }
        Ok(())
    }

    /// Whether all of a range can be written to now.
    ///
    /// # Errors
    /// As [`Map::write`]'s.
    pub(crate) fn check_writable(&self, kernel: &Kernel, address: u64, bytes: u64) -> Result<(), KernReturn> {
        let (start, end) = pages_around(address, bytes).map_err(|_| KernReturn::InvalidAddress)?;
        let mut regions = self.regions.lock(kernel);
        (start..end).step_by(BYTES).try_for_each(|at| {
            allowed(&mut regions, at, Access::Write)?;
            self.page_for(kernel, &mut regions, at, Access::Write).map(drop)
        })
    }

    /// The page at `address`, where `access` is allowed; made if it was never touched, copied if it is to be written to and others have it.
    fn page_for(
        &self,
        kernel: &Kernel,
        regions: &mut Regions,
        address: u64,
        access: Access,
    ) -> Result<Arc<Page>, KernReturn> {
        let at = address & !(PAGE - 1);
        let (_, region) = regions.find(at).ok_or(KernReturn::InvalidAddress)?;
        match region.object.pages.get(&at) {
            Some(page) if access != Access::Write || region.object.owns(page) => Ok(page.clone()),
            Some(page) => {
                let own = page.duplicate(kernel)?;
                let before = region.object.pages.insert(at, own.clone());
                self.forget(kernel, at, at + PAGE);
                drop(before);
                Ok(own)
            }
            None => {
                regions.may_have(1)?;
                let page = Page::zero(kernel)?;
                regions.count_page();
                let (_, region) = regions.find(at).ok_or(KernReturn::InvalidAddress)?;
                region.object.pages.insert(at, page.clone());
                Ok(page)
            }
        }
    }

    /// A thread could not reach `address`: makes that it can, if it may.
    ///
    /// # Errors
    /// InvalidAddress, ProtectionFailure: it may not. ResourceShortage: no memory.
    pub(crate) fn fault(&self, kernel: &Kernel, address: u64, access: Access) -> Result<(), KernReturn> {
        let mut regions = self.regions.lock(kernel);
        if regions.dead {
            return Err(KernReturn::Terminated);
        }
        allowed(&mut regions, address, access)?;
        let page = self.page_for(kernel, &mut regions, address, access)?;
        let Some(space) = self.space else { return Ok(()) };
        let frame = page.address();
        drop(page);
        let at = address & !(PAGE - 1);
        let (_, region) = regions.find(at).ok_or(KernReturn::InvalidAddress)?;
        let mut may = UserAccess::from_bits_truncate(region.protection as u8);
        if region.object.pages.get(&at).is_some_and(|page| !region.object.owns(page)) {
            may.remove(UserAccess::WRITE);
        }
        kernel.machine().space_enter(space, at, frame, may).map_err(|_| KernReturn::ResourceShortage)
    }

    /// A copy of a range, made lazily: from now on whoever writes to it writes to pages of his own.
    ///
    /// # Errors
    /// SendInvalidMemory: not all of it can be read. SendTooLarge. SendNoBuffer: no memory.
    pub(crate) fn snapshot(
        &self,
        kernel: &Kernel,
        address: u64,
        size: u32,
    ) -> Result<MemoryCopy, KernReturn> {
        if u64::from(size) > OUT_OF_LINE_MAX {
            return Err(KernReturn::SendTooLarge);
        }
        if size == 0 {
            return Ok(MemoryCopy::new(kernel, 0, 0, Vec::new()));
        }
        let (start, end) = pages_around(address, size.into()).map_err(|_| KernReturn::SendInvalidMemory)?;
        let pages = {
            let mut regions = self.regions.lock(kernel);
            let pages = (start..end).step_by(BYTES).map(|at| snapshot_page(kernel, &mut regions, at));
            let pages: Result<Vec<_>, _> = pages.collect();
            self.forget(kernel, start, end);
            pages?
        };
        Ok(MemoryCopy::new(kernel, address % PAGE, size, pages))
    }

    /// Puts what came in a message wherever there is room; the address of its first byte. Nothing of it is left if there is none.
    ///
    /// # Errors
    /// NoSpace, ResourceShortage, Terminated.
    pub(crate) fn insert(&self, kernel: &Kernel, copy: MemoryCopy) -> Result<u64, KernReturn> {
        if copy.size == 0 {
            return Ok(0);
        }
        let bytes = copy.span() as u64 * PAGE;
        let mut regions = self.regions.lock(kernel);
        let start = regions.room(None, bytes)?;
        regions.may_have(copy.span())?;
        let offset = copy.offset;
        let object = copy.into_object(kernel, start);
        let protection = protection::READ | protection::WRITE;
        regions.insert(start, Region { end: start + bytes, protection, object });
        Ok(start + offset)
    }

    /// Maps memory that the kernel shares, wherever there is room; its address.
    ///
    /// # Errors
    /// NoSpace, ResourceShortage, Terminated.
    pub fn map_shared(&self, kernel: &Kernel, memory: &SharedMemory) -> Result<u64, KernReturn> {
        let mut regions = self.regions.lock(kernel);
        let start = regions.room(None, memory.bytes())?;
        regions.may_have(memory.pages.len())?;
        let mut object = Object::new(kernel, true);
        object.pages = (start..).step_by(BYTES).zip(memory.pages.iter().cloned()).collect();
        let protection = protection::READ | protection::WRITE;
        regions.insert(start, Region { end: start + memory.bytes(), protection, object });
        Ok(start)
    }

    /// Copies whole pages over others, lazily.
    ///
    /// # Errors
    /// InvalidArgument: not aligned. InvalidAddress, ProtectionFailure: the source cannot be read, or the target not be written to.
    /// ResourceShortage: no memory. The target is changed in part then.
    pub(crate) fn copy(&self, kernel: &Kernel, from: u64, bytes: u64, to: u64) -> Result<(), KernReturn> {
        if !from.is_multiple_of(PAGE) || !to.is_multiple_of(PAGE) || bytes > OUT_OF_LINE_MAX {
            return Err(KernReturn::InvalidArgument);
        }
        let (start, end) = pages_around(from, bytes)?;
        let (target, target_end) = pages_around(to, bytes)?;
        let mut regions = self.regions.lock(kernel);
        for at in (target..target_end).step_by(BYTES) {
            allowed(&mut regions, at, Access::Write)?;
        }
        let pages = (start..end).step_by(BYTES).map(|at| snapshot_page(kernel, &mut regions, at));
        let pages: Result<Vec<_>, _> = pages.collect();
        self.forget(kernel, start, end);
        let pages = pages.map_err(|_| KernReturn::InvalidAddress)?;
        for (at, page) in (target..target_end).step_by(BYTES).zip(pages) {
            self.replace(kernel, &mut regions, at, page)?;
        }
        Ok(())
    }

    /// Puts `page` (`None`: zeros) where memory can be written to.
    fn replace(
        &self,
        kernel: &Kernel,
        regions: &mut Regions,
        at: u64,
        page: Option<Arc<Page>>,
    ) -> Result<(), KernReturn> {
        let is_shared = regions.find(at).is_some_and(|(_, region)| region.object.shared);
        let page = match page {
            Some(page) if !is_shared => page,
            other => {
                let own = self.page_for(kernel, regions, at, Access::Write)?;
                let mut bytes = [0; 64];
                for offset in (0..BYTES).step_by(bytes.len()) {
                    if let Some(from) = &other {
                        from.read(offset, &mut bytes);
                    }
                    own.write(offset, &bytes);
                }
                return Ok(());
            }
        };
        let is_new = regions.page(at).is_none();
        regions.may_have(usize::from(is_new))?;
        let (_, region) = regions.find(at).ok_or(KernReturn::InvalidAddress)?;
        let before = region.object.pages.insert(at, page);
        self.forget(kernel, at, at + PAGE);
        drop(before);
        if is_new {
            regions.count_page();
        }
        Ok(())
    }

    /// The task is gone: takes everything away. Nothing comes any more.
    pub(crate) fn clear(&self, kernel: &Kernel) {
        let removed = {
            let mut regions = self.regions.lock(kernel);
            regions.dead = true;
            let removed = regions.remove(0, u64::MAX);
            removed.iter().for_each(|(start, region)| self.forget(kernel, *start, region.end));
            removed
        };
        drop(removed);
    }

    /// No thread runs in it any more: gives the machine's address space back.
    pub(crate) fn destroy(&self, kernel: &Kernel) {
        self.clear(kernel);
        if let Some(space) = self.space {
            kernel.machine().space_destroy(space);
        }
    }
}

/// Whether `access` to `address` is allowed.
fn allowed(regions: &mut Regions, address: u64, access: Access) -> Result<(), KernReturn> {
    let (_, region) = regions.find(address).ok_or(KernReturn::InvalidAddress)?;
    match region.protection & access.bit() {
        0 => Err(KernReturn::ProtectionFailure),
        _ => Ok(()),
    }
}

/// What a copy of the page at `at` shares: the page, if nobody else writes to it.
fn snapshot_page(kernel: &Kernel, regions: &mut Regions, at: u64) -> Result<Option<Arc<Page>>, KernReturn> {
    allowed(regions, at, Access::Read).map_err(|_| KernReturn::SendInvalidMemory)?;
    let page = regions.page(at);
    let is_shared = regions.find(at).is_some_and(|(_, region)| region.object.shared);
    match page {
        Some(page) if is_shared => page.duplicate(kernel).map(Some).map_err(|_| KernReturn::SendNoBuffer),
        page => Ok(page),
    }
}
