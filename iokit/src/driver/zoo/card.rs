//! The card's registers, as the driver's gated code uses them.
//!
//! Unlike the edu driver's card it does not own the DMA memory: a specimen may give that back too early.

use crate::driver::edu::regs;
use crate::family::pci::Registers;
use crate::ioreturn::{IOResult, IOReturn};
use mach::DmaBuffer;

use super::request::{Op, Output, Running};
use alloc::vec;

/// What the card says about its work.
pub enum Look {
    /// Still at it, or silent.
    Busy,
    /// The bytes are on the card: bring them back.
    Turn(usize),
    /// Done.
    Done(Output),
}

/// The card.
pub struct Card(Registers);

impl Card {
    /// Checks that a card is there and lets it interrupt. NotResponding if it is not an edu, or gone.
    pub fn new(registers: Registers) -> IOResult<Self> {
        if registers.read32(regs::IDENTIFICATION) as u16 != regs::IDENTIFICATION_LOW {
            return Err(IOReturn::NotResponding);
        }
        registers.write32(regs::STATUS, regs::STATUS_INTERRUPT);
        Ok(Self(registers))
    }

    /// The registers.
    pub fn registers(&self) -> &Registers {
        &self.0
    }

    /// Begins with `op`; `buffer` has room for the way there and the way back.
    pub fn start(&self, op: &Op, buffer: &DmaBuffer) {
        match op {
            Op::Factorial(n) => self.0.write32(regs::FACTORIAL, *n),
            Op::Copy(data) => {
                buffer.write(0, data);
                self.transfer(buffer.address(), regs::CARD_BUFFER, data.len(), 0);
            }
        }
    }

    /// Brings `bytes` bytes back.
    pub fn turn(&self, bytes: usize, buffer: &DmaBuffer) {
        let to = buffer.address() + regs::CARD_BUFFER_BYTES;
        self.transfer(regs::CARD_BUFFER, to, bytes, regs::DMA_TO_RAM);
    }

    fn transfer(&self, source: u64, destination: u64, bytes: usize, direction: u64) {
        self.0.write64(regs::DMA_SOURCE, source);
        self.0.write64(regs::DMA_DESTINATION, destination);
        self.0.write64(regs::DMA_COUNT, bytes as u64);
        self.0.write64(regs::DMA_COMMAND, regs::DMA_RUN | regs::DMA_INTERRUPT | direction);
    }

    /// Asks the card about its work: an interrupt alone proves nothing, there are spurious ones.
    pub fn look(&self, running: &Running, buffer: &DmaBuffer) -> Look {
        match &running.request.op {
            Op::Factorial(_) => self.look_factorial(),
            Op::Copy(data) => self.look_copy(running.returning, data.len(), buffer),
        }
    }

    fn look_factorial(&self) -> Look {
        // All ones, which is silence, has the computing bit too.
        if self.0.read32(regs::STATUS) & regs::STATUS_COMPUTING != 0 {
            return Look::Busy;
        }
        // No factorial is all ones: from 2! on they are even.
        match self.0.read32(regs::FACTORIAL) {
            u32::MAX => Look::Busy,
            value => Look::Done(Output::Number(value)),
        }
    }

    fn look_copy(&self, returning: bool, bytes: usize, buffer: &DmaBuffer) -> Look {
        if u64::from(self.0.read32(regs::DMA_COMMAND)) & regs::DMA_RUN != 0 {
            return Look::Busy;
        }
        if !returning {
            return Look::Turn(bytes);
        }
        let mut data = vec![0; bytes];
        buffer.read(regs::CARD_BUFFER_BYTES, &mut data);
        Look::Done(Output::Data(data))
    }

    /// Whether the card answers.
    pub fn answers(&self) -> bool {
        self.0.read32(regs::STATUS) != u32::MAX
    }

    /// The liveness check: `!value`. Offline if the card does not answer.
    pub fn liveness(&self, value: u32) -> IOResult<u32> {
        self.0.write32(regs::LIVENESS, value);
        let answer = self.0.read32(regs::LIVENESS);
        if answer == u32::MAX && !self.answers() {
            return Err(IOReturn::Offline);
        }
        Ok(answer)
    }
}
