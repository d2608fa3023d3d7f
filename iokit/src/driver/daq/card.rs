//! The card as the driver's gated code sees it: set up, started and stopped; its ring, emptied.

use super::regs;
use super::sample::Sample;
use crate::family::pci::{PciDevice, Registers};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use mach::DmaBuffer;

/// Entries of the ring, if the card can have as many.
const ENTRIES: u32 = 256;
/// Entries that a card may say it can have: beyond, it is not believed.
const ENTRIES_LIMIT: u32 = 1 << 16;
/// How long a sample may lie in the ring before the card says so, ns: at a slow rate every sample makes an interrupt, at a fast one many make one.
const LATENCY_NS: u32 = 200_000;

/// The card's memory says what cannot be: more samples than there is room for, or one that is not the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Garbage;

/// Registers and ring.
pub struct Card {
    registers: Registers,
    memory: DmaBuffer,
    entries: u32,
    period: u32,
    threshold: u32,
}

impl Card {
    /// Resets the card and gives it a ring; it does not run yet. NotResponding if it is not such a card, or gone.
    pub fn new(me: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let registers = device.map(me, 0)?;
        if registers.read32(regs::ID) != regs::ID_VALUE {
            return Err(IOReturn::NotResponding);
        }
        registers.write32(regs::CONTROL, regs::RESET);
        let most = registers.read32(regs::RING_MAX);
        if !most.is_power_of_two() || !(2..=ENTRIES_LIMIT).contains(&most) {
            return Err(IOReturn::NotResponding);
        }
        let entries = most.min(ENTRIES);
        let period = registers.read32(regs::PERIOD).max(1);
        let threshold = (LATENCY_NS / period).clamp(1, entries / 2);
        let bytes = index_offset(entries) + regs::INDEX_BYTES;
        let memory = device.dma_buffer(me.kernel(), bytes, regs::RING_ALIGN, u64::MAX)?;
        memory.write_u32(index_offset(entries), 0);
        registers.write32(regs::RING_ENTRIES, entries);
        registers.write64(regs::RING_BASE, memory.address());
        registers.write32(regs::THRESHOLD, threshold);
        Ok(Self { registers, memory, entries, period, threshold })
    }

    /// The registers.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// ns from one sample to the next.
    pub fn period(&self) -> u32 {
        self.period
    }

    /// Entries of the ring.
    pub fn entries(&self) -> u32 {
        self.entries
    }

    /// Samples ready that make an interrupt.
    pub fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Lets the card interrupt.
    pub fn enable_interrupts(&self) {
        self.registers.write32(regs::INTERRUPT_ENABLE, regs::DATA | regs::OVERRUN | regs::ERROR);
    }

    /// Lets the card sample.
    pub fn run(&self) {
        self.registers.write32(regs::CONTROL, regs::RUN);
    }

    /// The card samples no more.
    pub fn stop(&self) {
        self.registers.write32(regs::CONTROL, 0);
    }

    /// The card does nothing any more, and has forgotten what it did: no DMA, no interrupt. One that is known to be gone needs no telling.
    pub fn silence(&self) {
        if !self.registers.is_gone() {
            self.registers.write32(regs::CONTROL, regs::RESET);
        }
    }

    /// Clears what the card has to say, as the filter does: it says it again if it is still so.
    pub fn acknowledge(&self) {
        self.registers.write32(regs::INTERRUPT_STATUS, regs::DATA | regs::OVERRUN | regs::ERROR);
    }

    /// The mistakes that the card reports; none from one that does not answer.
    pub fn mistakes(&self) -> u32 {
        match self.registers.read32(regs::STATUS) {
            u32::MAX => 0,
            status => status & regs::MISTAKES,
        }
    }

    /// Hands the samples that are in the ring to `each`, oldest first, and gives their entries back; how many. `taken`: those before.
    ///
    /// # Errors
    /// The card's memory makes no sense; what came before the mistake was handed over.
    pub fn drain(
        &self,
        taken: &mut u32,
        mut each: impl FnMut(&[u8; regs::SAMPLE_BYTES]),
    ) -> Result<u32, Garbage> {
        // The index first: the samples that it covers were written before it.
        let ready = self.memory.read_u32(index_offset(self.entries)).wrapping_sub(*taken);
        if ready > self.entries {
            return Err(Garbage);
        }
        for _ in 0..ready {
            let entry = u64::from(*taken & (self.entries - 1));
            let mut bytes = [0; regs::SAMPLE_BYTES];
            self.memory.read(entry * regs::SAMPLE_BYTES as u64, &mut bytes);
            let sample = Sample::decode(&bytes).ok_or(Garbage)?;
            if sample.index() != *taken {
                return Err(Garbage);
            }
            each(&bytes);
            *taken = taken.wrapping_add(1);
        }
        if ready != 0 {
            self.registers.write32(regs::CONSUMER, *taken);
        }
        Ok(ready)
    }
}

fn index_offset(entries: u32) -> u64 {
    u64::from(entries) * regs::SAMPLE_BYTES as u64
}
