//! `IOBlockStorageDriver`: checks and splits requests.

use super::calls::Calls;
use super::device::{BlockStorageDevice, Geometry, IO_BLOCK_STORAGE_DEVICE};
use super::media::Media;
use crate::class::{Class, IO_SERVICE};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Driver, Options, ServiceRef};

/// The class.
pub static IO_BLOCK_STORAGE_DRIVER: Class = Class::new("IOBlockStorageDriver", &IO_SERVICE);

/// The generic driver of block devices.
pub struct BlockStorageDriver {
    calls: Calls,
}

impl Default for BlockStorageDriver {
    fn default() -> Self {
        Self::new()
    }
}

impl BlockStorageDriver {
    /// A driver that has not started.
    pub fn new() -> Self {
        Self { calls: Calls::new() }
    }

    /// What the disk looks like; `me` is this driver's service. Offline once it is going.
    pub fn geometry(&self, me: &ServiceRef) -> IOResult<Geometry> {
        self.with_device(me, |nub| Ok(nub.device().geometry()))
    }

    /// Reads whole blocks from `block` on. BadArgument if they are not all on the disk.
    pub fn read(&self, me: &ServiceRef, block: u64, into: &mut [u8]) -> IOResult {
        self.with_device(me, |nub| {
            let geometry = nub.device().geometry();
            check(&geometry, block, into.len())?;
            let mut at = block;
            for part in into.chunks_mut(geometry.request_bytes as usize) {
                nub.device().read(at, part)?;
                at += part.len() as u64 / u64::from(geometry.block_bytes);
            }
            Ok(())
        })
    }

    /// Writes whole blocks from `block` on. BadArgument if they are not all on the disk, NotWritable if it may not be written.
    pub fn write(&self, me: &ServiceRef, block: u64, from: &[u8]) -> IOResult {
        self.with_device(me, |nub| {
            let geometry = nub.device().geometry();
            check(&geometry, block, from.len())?;
            if !geometry.writable {
                return Err(IOReturn::NotWritable);
            }
            let mut at = block;
            for part in from.chunks(geometry.request_bytes as usize) {
                nub.device().write(at, part)?;
                at += part.len() as u64 / u64::from(geometry.block_bytes);
            }
            Ok(())
        })
    }

    /// What was written before is on the medium when this returns.
    pub fn flush(&self, me: &ServiceRef) -> IOResult {
        self.with_device(me, |nub| nub.device().flush())
    }

    /// Calls `action` with the nub, counted as a call into it; the last call closes the nub if the driver waits for that.
    fn with_device<R>(
        &self,
        me: &ServiceRef,
        action: impl FnOnce(&BlockStorageDevice) -> IOResult<R>,
    ) -> IOResult<R> {
        if !self.calls.enter() {
            return Err(IOReturn::Offline);
        }
        let provider = me.provider();
        let nub = provider.as_ref().and_then(|p| p.driver_as::<BlockStorageDevice>());
        let result = nub.ok_or(IOReturn::Offline).and_then(action);
        if self.calls.exit()
            && let Some(provider) = &provider
        {
            provider.close(me, Options::empty());
        }
        result
    }
}

fn check(geometry: &Geometry, block: u64, bytes: usize) -> IOResult {
    let size = geometry.block_bytes as usize;
    if bytes == 0 || !bytes.is_multiple_of(size) {
        return Err(IOReturn::BadArgument);
    }
    let end = block.checked_add((bytes / size) as u64).ok_or(IOReturn::BadArgument)?;
    if end > geometry.blocks { Err(IOReturn::BadArgument) } else { Ok(()) }
}

impl Driver for BlockStorageDriver {
    fn class(&self) -> &'static Class {
        &IO_BLOCK_STORAGE_DRIVER
    }

    fn start(&self, me: &ServiceRef, provider: &ServiceRef) -> bool {
        if !provider.class().is_a(IO_BLOCK_STORAGE_DEVICE.name) || !provider.open(me, Options::empty()) {
            return false;
        }
        Media::publish(me);
        true
    }

    fn did_terminate(&self, me: &ServiceRef, provider: &ServiceRef, options: Options, defer: &mut bool) {
        if self.calls.close() {
            provider.close(me, Options::empty());
        }
        me.default_did_terminate(provider, options, *defer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_blocks_of_the_disk() {
        let g = Geometry { blocks: 8, block_bytes: 512, request_bytes: 4096, writable: true };
        assert_eq!(check(&g, 0, 4096), Ok(()));
        for (block, bytes) in [(0, 0), (0, 511), (1, 4096), (8, 512), (u64::MAX, 512)] {
            assert_eq!(check(&g, block, bytes), Err(IOReturn::BadArgument));
        }
    }
}
