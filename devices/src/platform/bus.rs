//! The world of a running model: its slot's connection to the bus, which can be gone from one access to the next.

use super::core::Core;
use super::host::Host;
use super::lines::Driver;
use super::timers::Due;
use crate::env::{DmaError, Env};
use crate::fault::plane::Site;
use crate::pci::function::Raised;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// What a model is given as [`Env`].
pub struct Bus<'a> {
    core: &'a mut Core,
    host: &'a mut dyn Host,
    slot: usize,
    epoch: u32,
}

impl<'a> Bus<'a> {
    /// The connection of the card that is in slot `slot` now.
    pub fn new(core: &'a mut Core, host: &'a mut dyn Host, slot: usize) -> Self {
        let epoch = core.slots[slot].epoch;
        Self { core, host, slot, epoch }
    }

    fn connected(&self) -> bool {
        self.core.alive(self.slot, self.epoch)
    }

    fn check_master(&self) -> Result<(), DmaError> {
        if !self.connected() {
            return Err(DmaError::Removed);
        }
        if self.core.slots[self.slot].master() { Ok(()) } else { Err(DmaError::NotMaster) }
    }

    /// Counts a DMA access of `length` bytes: how many of them still reach memory, and whether the bus was lost on the way. The access
    /// at which the card goes stops half-way.
    fn begin(&mut self, site: Site, length: usize) -> Result<(usize, bool), DmaError> {
        self.check_master()?;
        self.core.site(self.slot, site, self.host);
        Ok(if self.connected() { (length, false) } else { (length / 2, true) })
    }
}

fn finish(done: bool, lost: bool, address: u64) -> Result<(), DmaError> {
    match (lost, done) {
        (true, _) => Err(DmaError::Removed),
        (false, false) => Err(DmaError::NoMemory(address)),
        (false, true) => Ok(()),
    }
}

impl Env for Bus<'_> {
    fn now(&self) -> u64 {
        self.host.now()
    }

    fn dma_read(&mut self, address: u64, into: &mut [u8]) -> Result<(), DmaError> {
        let (length, lost) = self.begin(Site::DmaRead, into.len())?;
        let memory = self.host.memory();
        let done = memory.read_slice(&mut into[..length], GuestAddress(address)).is_ok();
        finish(done, lost, address)
    }

    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        let (length, lost) = self.begin(Site::DmaWrite, from.len())?;
        let done = self.host.memory().write_slice(&from[..length], GuestAddress(address)).is_ok();
        self.host.dma_written(self.core.slots[self.slot].number, address, length);
        finish(done, lost, address)
    }

    fn memory(&self) -> Result<GuestMemoryMmap, DmaError> {
        self.check_master()?;
        Ok(self.host.memory().clone())
    }

    fn raise(&mut self, index: u16) {
        if !self.connected() {
            return;
        }
        self.core.site(self.slot, Site::IrqRaise, self.host);
        if !self.connected() {
            return;
        }
        match self.core.slots[self.slot].function.raise(index) {
            Raised::Message(address, data) => self.core.send(self.slot, address, data, self.host),
            Raised::Line => self.core.drive_line(self.slot, Driver::Device, self.host),
            Raised::Nothing => {}
        }
    }

    fn lower(&mut self) {
        if self.connected() {
            self.core.slots[self.slot].function.assert_intx(false);
            self.core.drive_line(self.slot, Driver::Device, self.host);
        }
    }

    fn at(&mut self, time: u64, token: u64) {
        if self.connected() {
            self.core.timers.push(time, Due::Tick { slot: self.slot, token });
        }
    }
}
