//! The world of a running model: its slot's connection to the bus, which can be gone from one access to the next.

use super::core::Core;
use super::host::Host;
use super::lines::Driver;
use super::timers::Due;
use crate::env::{DmaError, Env, Mishap};
use crate::fault::plane::{Site, Write};
use crate::memory;
use vm_memory::GuestMemoryMmap;

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

    /// Tells the machine where was written.
    fn written(&mut self, address: u64, bytes: usize) {
        let number = self.core.slots[self.slot].number;
        self.host.dma_done(number, address, bytes);
        self.host.dma_written(number, address, bytes);
    }

    /// A write reaches memory, or what a fault makes of it does; false if there is no memory. The device hears of no fault: a posted write
    /// is not answered.
    fn write(&mut self, address: u64, from: &[u8]) -> bool {
        let Self { core, host, slot, .. } = self;
        let fate = core.slots[*slot].faults.dma_write(host.now());
        match fate {
            Write::Pass => host.write(address, from),
            Write::Short => {
                core.tell(*slot, "short-dma", *host);
                host.write(address, &from[..from.len() / 2])
            }
            Write::Corrupt => {
                core.tell(*slot, "corrupt", *host);
                let mut bytes = from.to_vec();
                core.plane.dice.alter(&mut bytes);
                host.write(address, &bytes)
            }
            Write::Late(at) => {
                core.tell(*slot, "late-dma", *host);
                let state = &mut core.slots[*slot];
                let landing = state.faults.send(address, from);
                core.timers.push(at, Due::Land { slot: *slot, epoch: state.epoch, number: landing });
                true
            }
        }
    }
}

impl Core {
    /// A DMA write that was late arrives, if the card may still write.
    pub fn land(&mut self, slot: usize, epoch: u32, number: u64, host: &mut dyn Host) {
        if !self.alive(slot, epoch) {
            return;
        }
        let state = &mut self.slots[slot];
        if let Some((address, bytes)) = state.faults.land(number)
            && state.master()
        {
            self.tell(slot, "late-dma-end", host);
            host.write(address, &bytes);
        }
    }
}

impl dyn Host + '_ {
    /// Writes guest memory; false where there is none.
    fn write(&mut self, address: u64, from: &[u8]) -> bool {
        memory::write(self.memory(), address, from)
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
        let done = memory::read(self.host.memory(), address, &mut into[..length]);
        self.host.dma_done(self.core.slots[self.slot].number, address, length);
        finish(done, lost, address)
    }

    fn dma_write(&mut self, address: u64, from: &[u8]) -> Result<(), DmaError> {
        let (length, lost) = self.begin(Site::DmaWrite, from.len())?;
        let from = &from[..length];
        let done = if lost { self.host.write(address, from) } else { self.write(address, from) };
        self.written(address, length);
        finish(done, lost, address)
    }

    fn memory(&self) -> Result<GuestMemoryMmap, DmaError> {
        self.check_master()?;
        Ok(self.host.memory().clone())
    }

    fn wrote(&mut self, address: u64, bytes: usize) {
        self.written(address, bytes);
    }

    fn twice(&mut self) -> Option<u64> {
        if !self.connected() {
            return None;
        }
        let state = &mut self.core.slots[self.slot];
        let after = state.faults.twice()?;
        self.host.fault(state.number, "duplicate");
        Some(after)
    }

    fn raise(&mut self, index: u16) {
        if !self.connected() {
            return;
        }
        self.core.site(self.slot, Site::IrqRaise, self.host);
        if !self.connected() {
            return;
        }
        self.core.raise(self.slot, index, self.host);
    }

    fn lower(&mut self) {
        if self.connected() {
            let state = &mut self.core.slots[self.slot];
            state.function.assert_intx(false);
            state.faults.line_dropped();
            self.core.drive_line(self.slot, Driver::Device, self.host);
        }
    }

    fn messages(&self) -> bool {
        self.core.slots[self.slot].function.messages_enabled()
    }

    fn pass(&mut self, unit: usize, site: Site) -> Mishap {
        if !self.connected() {
            return Mishap::Gone;
        }
        let mishap = self.core.pass(self.slot, unit, site, self.host);
        if self.connected() { mishap } else { Mishap::Gone }
    }

    fn at(&mut self, time: u64, token: u64) {
        if self.connected() {
            self.core.timers.push(time, Due::Tick { slot: self.slot, token });
        }
    }
}
