//! The world of the controller in tests.

use crate::env::{DmaError, Env, Mishap};
use crate::fault::plane::Site;
use vm_memory::GuestMemoryMmap;

/// Memory, a clock, and what was asked.
pub struct World {
    pub now: u64,
    pub memory: Vec<u8>,
    pub failure: Option<DmaError>,
    pub raised: u32,
    pub line: bool,
    pub wanted: Vec<(u64, u64)>,
    /// What happens to the next packet at a site.
    pub mishap: Option<(Site, Mishap)>,
}

impl Env for World {
    fn now(&self) -> u64 {
        self.now
    }
    fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaError> {
        self.failure.map_or(Ok(()), Err)?;
        let start = usize::try_from(address).map_err(|_| DmaError::NoMemory(address))?;
        let from = self.memory.get(start..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(from.ok_or(DmaError::NoMemory(address))?);
        Ok(())
    }
    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        self.failure.map_or(Ok(()), Err)?;
        let start = usize::try_from(address).map_err(|_| DmaError::NoMemory(address))?;
        let into = self.memory.get_mut(start..).and_then(|rest| rest.get_mut(..from.len()));
        into.ok_or(DmaError::NoMemory(address))?.copy_from_slice(from);
        Ok(())
    }
    fn memory(&self) -> Result<GuestMemoryMmap, DmaError> {
        Err(DmaError::Removed)
    }
    fn raise(&mut self, _index: u16) {
        self.raised += 1;
        self.line = true;
    }
    fn lower(&mut self) {
        self.line = false;
    }
    fn pass(&mut self, _unit: usize, site: Site) -> Mishap {
        let meant = self.mishap.take_if(|(at, _)| *at == site);
        meant.map_or(Mishap::None, |(_, mishap)| mishap)
    }
    fn at(&mut self, time: u64, token: u64) {
        self.wanted.push((time, token));
    }
}
