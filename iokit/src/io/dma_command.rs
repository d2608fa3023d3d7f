//! What a device is told about memory (DC1).

use alloc::sync::Arc;

use mach::SpinLock;

use super::MemoryDescriptor;
use crate::{
    IoKit,
    ioreturn::{IOResult, IOReturn},
};

/// What a device can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaSpecification {
    /// Bits of an address that the device can give; 1–64.
    pub address_bits: u32,
    /// Most bytes of one segment; 0 = any number.
    pub max_segment: u64,
    /// Most bytes of one transfer; 0 = any number.
    pub max_transfer: u64,
    /// What addresses of segments must be a multiple of; a power of two.
    pub alignment: u64,
}

impl Default for DmaSpecification {
    fn default() -> Self {
        Self { address_bits: 64, max_segment: 0, max_transfer: 0, alignment: 1 }
    }
}

impl DmaSpecification {
    fn is_sound(&self) -> bool {
        (1..=64).contains(&self.address_bits)
            && self.alignment.is_power_of_two()
            && (self.max_segment == 0 || self.max_segment >= self.alignment)
    }

    /// Most bytes of one segment, such that the next one is aligned too.
    fn segment_limit(&self) -> u64 {
        match self.max_segment {
            0 => u64::MAX / self.alignment * self.alignment,
            n => n / self.alignment * self.alignment,
        }
    }

    fn transfer_limit(&self) -> u64 {
        if self.max_transfer == 0 { u64::MAX } else { self.max_transfer }
    }

    /// Whether the device can reach all of `length` bytes at `address`.
    fn reaches(&self, address: u64, length: u64) -> bool {
        let last = address.checked_add(length.saturating_sub(1));
        last.is_some_and(|last| self.address_bits == 64 || last >> self.address_bits == 0)
    }
}

/// A piece of memory without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Physical address.
    pub address: u64,
    /// Bytes.
    pub length: u64,
}

/// IODMACommand: cuts a descriptor's memory into segments that a device can take.
pub struct DmaCommand {
    kit: IoKit,
    specification: DmaSpecification,
    state: SpinLock<State>,
}

#[derive(Default)]
struct State {
    memory: Option<Arc<MemoryDescriptor>>,
    /// `prepare`s without their `complete`.
    active: u32,
    /// What was prepared.
    offset: u64,
    length: u64,
}

impl DmaCommand {
    /// A command for a device that takes what `specification` says.
    ///
    /// # Errors
    /// BadArgument: no device is like that.
    pub fn new(kit: &IoKit, specification: DmaSpecification) -> IOResult<Self> {
        if !specification.is_sound() {
            return Err(IOReturn::BadArgument);
        }
        Ok(Self { kit: kit.clone(), specification, state: SpinLock::new(State::default()) })
    }

    /// The descriptor.
    pub fn memory_descriptor(&self) -> Option<Arc<MemoryDescriptor>> {
        self.state.lock(self.kit.kernel()).memory.clone()
    }

    /// `prepare`s without their `complete`.
    pub fn active(&self) -> u32 {
        self.state.lock(self.kit.kernel()).active
    }

    /// Sets the descriptor, whose DMA counts as active from now on until it is cleared; with `auto_prepare` all of it is prepared.
    /// The descriptor that it has already: taken back to unprepared, or left as it is with `auto_prepare`.
    ///
    /// # Errors
    /// Busy: another descriptor is set and prepared (DC1). What [`DmaCommand::prepare`] says.
    pub fn set_memory_descriptor(&self, memory: &Arc<MemoryDescriptor>, auto_prepare: bool) -> IOResult {
        let old = {
            let mut state = self.state.lock(self.kit.kernel());
            if state.memory.as_ref().is_some_and(|m| Arc::ptr_eq(m, memory)) {
                if !auto_prepare {
                    state.active = 0;
                }
                return Ok(());
            }
            if state.active != 0 {
                return Err(IOReturn::Busy);
            }
            memory.begin_dma();
            state.memory.replace(memory.clone())
        };
        if let Some(old) = old {
            old.end_dma();
        }
        if auto_prepare && let Err(error) = self.prepare(0, 0) {
            self.clear_memory_descriptor(true)?;
            return Err(error);
        }
        Ok(())
    }

    /// Lets go of the descriptor.
    ///
    /// # Errors
    /// NotReady: it is prepared, and `auto_complete` is not set.
    pub fn clear_memory_descriptor(&self, auto_complete: bool) -> IOResult {
        let old = {
            let mut state = self.state.lock(self.kit.kernel());
            if state.active != 0 && !auto_complete {
                return Err(IOReturn::NotReady);
            }
            core::mem::take(&mut *state).memory
        };
        if let Some(old) = old {
            old.end_dma();
        }
        Ok(())
    }

    /// Prepares `length` bytes (0 = all that follow) from `offset` for DMA; nests, for the same bytes only.
    ///
    /// # Errors
    /// NotReady: no descriptor, one that is not wired, or prepared already for other bytes. NoSpace: more than the device takes.
    /// Overrun: beyond the end of the memory.
    pub fn prepare(&self, offset: u64, length: u64) -> IOResult {
        let mut state = self.state.lock(self.kit.kernel());
        let memory = state.memory.as_ref().ok_or(IOReturn::NotReady)?;
        let rest = memory.length().checked_sub(offset).ok_or(IOReturn::Overrun)?;
        let length = if length == 0 { rest } else { length };
        if length > rest {
            return Err(IOReturn::Overrun);
        }
        if length > self.specification.transfer_limit() {
            return Err(IOReturn::NoSpace);
        }
        if !memory.is_wired() || (state.active != 0 && (state.offset, state.length) != (offset, length)) {
            return Err(IOReturn::NotReady);
        }
        let active = state.active.checked_add(1).ok_or(IOReturn::NoResources)?;
        (state.active, state.offset, state.length) = (active, offset, length);
        Ok(())
    }

    /// Takes one `prepare` back.
    ///
    /// # Errors
    /// NotReady: there is none (DC1).
    pub fn complete(&self) -> IOResult {
        let mut state = self.state.lock(self.kit.kernel());
        state.active = state.active.checked_sub(1).ok_or(IOReturn::NotReady)?;
        Ok(())
    }

    /// Fills `segments` from byte `offset` of what was prepared, and moves `offset` on; how many there are. Call again with the same
    /// `offset` for more, until it is [`DmaCommand::prepared_length`].
    ///
    /// # Errors
    /// NotReady: not prepared. BadArgument: no room for a segment. Overrun: nothing follows. MessageTooLarge: the device does not
    /// reach that far. NotAligned: it cannot begin there.
    pub fn generate_segments(&self, offset: &mut u64, segments: &mut [Segment]) -> IOResult<usize> {
        let (memory, first, length) = {
            let state = self.state.lock(self.kit.kernel());
            let memory = state.memory.clone().filter(|_| state.active != 0).ok_or(IOReturn::NotReady)?;
            (memory, state.offset, state.length)
        };
        if segments.is_empty() {
            return Err(IOReturn::BadArgument);
        }
        if *offset >= length {
            return Err(IOReturn::Overrun);
        }
        let mut count = 0;
        let mut at = *offset;
        for place in segments {
            if at == length {
                break;
            }
            let (address, bytes) = memory.physical_segment(first + at).ok_or(IOReturn::NotReady)?;
            let bytes = bytes.min(length - at).min(self.specification.segment_limit());
            *place = self.checked(address, bytes)?;
            at += bytes;
            count += 1;
        }
        *offset = at;
        Ok(count)
    }

    /// Bytes that are prepared; 0 if none.
    pub fn prepared_length(&self) -> u64 {
        let state = self.state.lock(self.kit.kernel());
        if state.active == 0 { 0 } else { state.length }
    }

    fn checked(&self, address: u64, length: u64) -> IOResult<Segment> {
        if !self.specification.reaches(address, length) {
            return Err(IOReturn::MessageTooLarge);
        }
        if address & (self.specification.alignment - 1) != 0 {
            return Err(IOReturn::NotAligned);
        }
        Ok(Segment { address, length })
    }
}

impl Drop for DmaCommand {
    fn drop(&mut self) {
        if let Some(memory) = self.state.get_mut().memory.take() {
            memory.end_dma();
        }
    }
}
