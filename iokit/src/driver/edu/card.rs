//! The card as the driver's gated code sees it: starts engines, reads results.

use super::regs;
use super::requests::{Engine, Op, Output, Running};
use crate::family::pci::Registers;
use crate::ioreturn::{IOResult, IOReturn};
use alloc::vec;
use mach::DmaBuffer;

/// What an engine says about its work.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Still at it.
    Busy,
    /// The bytes are on the card: bring them back.
    Turn,
    /// Done.
    Done(Output),
    /// The card does not answer.
    Silent,
}

/// Registers and DMA memory.
pub struct Card {
    registers: Registers,
    /// The first half goes to the card, the second comes back.
    buffer: DmaBuffer,
}

impl Card {
    /// Bytes of DMA memory that a card needs.
    pub const BUFFER_BYTES: u64 = 2 * regs::CARD_BUFFER_BYTES;

    /// Checks that a card is there and lets it interrupt. NotResponding if it is not an edu, or gone.
    pub fn new(registers: Registers, buffer: DmaBuffer) -> IOResult<Self> {
        let id = registers.read32(regs::IDENTIFICATION);
        if id as u16 != regs::IDENTIFICATION_LOW {
            return Err(IOReturn::NotResponding);
        }
        registers.write32(regs::STATUS, regs::STATUS_INTERRUPT);
        Ok(Self { registers, buffer })
    }

    /// The registers.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// Lets the card begin with `op`.
    pub fn start(&self, op: &Op) {
        match op {
            Op::Factorial(n) => self.registers.write32(regs::FACTORIAL, *n),
            Op::Copy(data) => {
                self.buffer.write(0, data);
                self.transfer(self.buffer.address(), regs::CARD_BUFFER, data.len(), 0);
            }
        }
    }

    /// Lets the card bring `bytes` bytes back.
    pub fn turn(&self, bytes: usize) {
        let to = self.buffer.address() + regs::CARD_BUFFER_BYTES;
        self.transfer(regs::CARD_BUFFER, to, bytes, regs::DMA_TO_RAM);
    }

    fn transfer(&self, source: u64, destination: u64, bytes: usize, direction: u64) {
        self.registers.write64(regs::DMA_SOURCE, source);
        self.registers.write64(regs::DMA_DESTINATION, destination);
        self.registers.write64(regs::DMA_COUNT, bytes as u64);
        self.registers.write64(regs::DMA_COMMAND, regs::DMA_RUN | regs::DMA_INTERRUPT | direction);
    }

    /// Whether the engine does nothing. One that does not answer is not known to.
    pub fn is_idle(&self, engine: Engine) -> bool {
        match engine {
            Engine::Factorial => {
                let status = self.registers.read32(regs::STATUS);
                status != u32::MAX && status & regs::STATUS_COMPUTING == 0
            }
            Engine::Dma => {
                let command = self.registers.read32(regs::DMA_COMMAND);
                command != u32::MAX && u64::from(command) & regs::DMA_RUN == 0
            }
        }
    }

    /// Asks the engine about its work: an interrupt alone proves nothing, there are spurious ones.
    pub fn look(&self, engine: Engine, running: Running, op: &Op) -> Look {
        match (engine, op) {
            (Engine::Factorial, _) => self.look_factorial(),
            (Engine::Dma, Op::Copy(data)) => self.look_dma(running, data.len()),
            (Engine::Dma, Op::Factorial(_)) => Look::Busy,
        }
    }

    fn look_factorial(&self) -> Look {
        let status = self.registers.read32(regs::STATUS);
        if status == u32::MAX {
            return Look::Silent;
        }
        if status & regs::STATUS_COMPUTING != 0 {
            return Look::Busy;
        }
        // No factorial is all ones: from 2! on they are even.
        match self.registers.read32(regs::FACTORIAL) {
            u32::MAX => Look::Silent,
            value => Look::Done(Output::Number(value)),
        }
    }

    fn look_dma(&self, running: Running, bytes: usize) -> Look {
        let command = self.registers.read32(regs::DMA_COMMAND);
        if command == u32::MAX {
            return Look::Silent;
        }
        if u64::from(command) & regs::DMA_RUN != 0 {
            return Look::Busy;
        }
        if !running.returning {
            return Look::Turn;
        }
        let mut data = vec![0; bytes];
        self.buffer.read(regs::CARD_BUFFER_BYTES, &mut data);
        Look::Done(Output::Data(data))
    }

    /// The liveness check: `!value`. Offline if the card does not answer.
    pub fn liveness(&self, value: u32) -> IOResult<u32> {
        self.registers.write32(regs::LIVENESS, value);
        let answer = self.registers.read32(regs::LIVENESS);
        if answer == u32::MAX && self.registers.read32(regs::IDENTIFICATION) == u32::MAX {
            return Err(IOReturn::Offline);
        }
        Ok(answer)
    }
}
