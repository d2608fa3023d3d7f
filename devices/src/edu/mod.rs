//! The educational device, register-compatible with QEMU's `edu` (see [`crate::spec::edu`]).
//!
//! Two engines, a factorial and a DMA copy between RAM and a buffer of 4 KiB, that take time and raise interrupts. QEMU's
//! DMA takes 100 ms; here both times are settable and short. A DMA transfer moves its first half when half of its time is over and the
//! rest at the end, so that a card that is pulled in between leaves half of the data, as on a bus. For the rules of a plan, that is two DMA accesses and two
//! timers; a factorial is one timer. A completion that is delivered twice is a bit of the interrupt status that is set, and an interrupt that is raised, once
//! more; the data move once.

#[cfg(test)]
mod tests;

use crate::device::{BarSpec, Device, Identity};
use crate::env::Env;
use crate::spec::edu as spec;

/// Time of a factorial unless told otherwise, in machine ns.
pub const FACTORIAL_NS: u64 = 10_000;
/// Time of a DMA transfer unless told otherwise, in machine ns.
pub const DMA_NS: u64 = 20_000;

const TOKEN_FACTORIAL: u64 = 0;
const TOKEN_DMA_HALF: u64 = 1;
const TOKEN_DMA_END: u64 = 2;
const TOKEN_FACTORIAL_AGAIN: u64 = 3;
const TOKEN_DMA_AGAIN: u64 = 4;
/// Completions of one engine that are to be told again, at the most.
const AGAIN_MAX: u32 = 64;

/// How the device signals interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signalling {
    /// An MSI capability, and INTA# while MSI is not enabled: QEMU's.
    #[default]
    Msi,
    /// INTA# only.
    Intx,
    /// An MSI-X capability with one vector, and INTA# while it is not enabled.
    Msix,
}

/// What can be chosen about the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interrupts.
    pub signalling: Signalling,
    /// Machine ns of a factorial.
    pub factorial: u64,
    /// Machine ns of a DMA transfer.
    pub dma: u64,
    /// Address bits that the DMA engine drives; all by default, 28 in QEMU.
    pub dma_mask: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { signalling: Signalling::Msi, factorial: FACTORIAL_NS, dma: DMA_NS, dma_mask: u64::MAX }
    }
}

/// The registers of the DMA engine.
#[derive(Clone, Copy, Default)]
struct Dma {
    source: u64,
    destination: u64,
    count: u64,
    command: u64,
}

/// The device.
pub struct Edu {
    settings: Settings,
    liveness: u32,
    factorial: u32,
    status: u32,
    irq_status: u32,
    dma: Dma,
    /// Completions that are to be told again: of the factorial, of the DMA engine.
    again: [u32; 2],
    buffer: Box<[u8; spec::BUFFER_BYTES]>,
}

impl Edu {
    /// A device at power-on.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            liveness: 0,
            factorial: 0,
            status: 0,
            irq_status: 0,
            dma: Dma::default(),
            again: [0; 2],
            buffer: Box::new([0; spec::BUFFER_BYTES]),
        }
    }

    fn raise(&mut self, bits: u32, env: &mut dyn Env) {
        self.irq_status |= bits;
        if self.irq_status != 0 {
            env.raise(0);
        }
    }

    /// An engine is done: tells so, and has itself told to do it again if the completion is delivered twice.
    fn announce(&mut self, bits: u32, env: &mut dyn Env) {
        self.raise(bits, env);
        let (engine, token) =
            if bits == spec::IRQ_DMA { (1, TOKEN_DMA_AGAIN) } else { (0, TOKEN_FACTORIAL_AGAIN) };
        if let Some(after) = env.twice().filter(|_| self.again[engine] < AGAIN_MAX) {
            self.again[engine] += 1;
            env.at(env.now().saturating_add(after), token);
        }
    }

    /// What was told before is told again, unless the card was reset since.
    fn announce_again(&mut self, engine: usize, bits: u32, env: &mut dyn Env) {
        if let Some(left) = self.again[engine].checked_sub(1) {
            self.again[engine] = left;
            self.raise(bits, env);
        }
    }

    fn acknowledge(&mut self, bits: u32, env: &mut dyn Env) {
        self.irq_status &= !bits;
        if self.irq_status == 0 {
            env.lower();
        }
    }

    fn read_register(&self, offset: u64) -> u64 {
        match offset {
            spec::IDENTIFICATION => spec::IDENTIFICATION_VALUE.into(),
            spec::LIVENESS => self.liveness.into(),
            spec::FACTORIAL => self.factorial.into(),
            spec::STATUS => self.status.into(),
            spec::IRQ_STATUS => self.irq_status.into(),
            spec::DMA_SOURCE => self.dma.source,
            spec::DMA_DESTINATION => self.dma.destination,
            spec::DMA_COUNT => self.dma.count,
            spec::DMA_COMMAND => self.dma.command,
            _ => u64::MAX,
        }
    }

    fn write_register(&mut self, offset: u64, value: u64, env: &mut dyn Env) {
        let word = value as u32;
        let idle = self.dma.command & spec::DMA_RUN == 0;
        match offset {
            spec::LIVENESS => self.liveness = !word,
            spec::FACTORIAL => self.start_factorial(word, env),
            spec::STATUS => {
                let kept = self.status & !spec::STATUS_INTERRUPT;
                self.status = kept | word & spec::STATUS_INTERRUPT;
            }
            spec::IRQ_RAISE => self.raise(word, env),
            spec::IRQ_ACKNOWLEDGE => self.acknowledge(word, env),
            spec::DMA_SOURCE if idle => self.dma.source = value,
            spec::DMA_DESTINATION if idle => self.dma.destination = value,
            spec::DMA_COUNT if idle => self.dma.count = value,
            spec::DMA_COMMAND if idle && value & spec::DMA_RUN != 0 => self.start_dma(value, env),
            _ => {}
        }
    }

    fn start_factorial(&mut self, n: u32, env: &mut dyn Env) {
        if self.status & spec::STATUS_COMPUTING != 0 {
            return;
        }
        self.factorial = n;
        self.status |= spec::STATUS_COMPUTING;
        env.at(env.now().saturating_add(self.settings.factorial), TOKEN_FACTORIAL);
    }

    fn finish_factorial(&mut self, env: &mut dyn Env) {
        if self.status & spec::STATUS_COMPUTING == 0 {
            return;
        }
        self.factorial = factorial(self.factorial);
        self.status &= !spec::STATUS_COMPUTING;
        if self.status & spec::STATUS_INTERRUPT != 0 {
            self.announce(spec::IRQ_FACTORIAL, env);
        }
    }

    fn start_dma(&mut self, command: u64, env: &mut dyn Env) {
        self.dma.command = command;
        let now = env.now();
        env.at(now.saturating_add(self.settings.dma / 2), TOKEN_DMA_HALF);
        env.at(now.saturating_add(self.settings.dma), TOKEN_DMA_END);
    }

    fn finish_dma(&mut self, env: &mut dyn Env) {
        if self.dma.command & spec::DMA_RUN == 0 {
            return;
        }
        self.transfer(false, env);
        self.dma.command &= !spec::DMA_RUN;
        if self.dma.command & spec::DMA_INTERRUPT != 0 {
            self.announce(spec::IRQ_DMA, env);
        }
    }

    /// Moves the first or the second half. A transfer that leaves the buffer moves nothing; memory that does not answer leaves what was
    /// there: the device has no way to report either.
    fn transfer(&mut self, first: bool, env: &mut dyn Env) {
        let Dma { source, destination, count, command } = self.dma;
        if command & spec::DMA_RUN == 0 {
            return;
        }
        let to_ram = command & spec::DMA_TO_RAM != 0;
        let (buffer, ram) = if to_ram { (source, destination) } else { (destination, source) };
        let Some(start) = buffer_index(buffer, count) else { return };
        let half = count as usize / 2;
        let (from, to) = if first { (0, half) } else { (half, count as usize) };
        if from == to {
            return;
        }
        let ram = (ram & self.settings.dma_mask).wrapping_add(from as u64);
        let bytes = &mut self.buffer[start + from..start + to];
        // What the bus refuses is lost without a trace: there is no error bit.
        let _ = if to_ram { env.dma_write(ram, bytes) } else { env.dma_read(ram, bytes) };
    }
}

impl Device for Edu {
    fn identity(&self) -> Identity {
        let signalling = self.settings.signalling;
        Identity {
            vendor: spec::VENDOR,
            device: spec::DEVICE,
            class: [0x00, 0xff, 0x00],
            revision: spec::REVISION,
            subsystem: (0x1af4, 0x1100),
            bars: vec![BarSpec { index: 0, size: spec::BAR_BYTES, wide: false, prefetchable: false }],
            msix_vectors: u16::from(signalling == Signalling::Msix),
            msi: signalling == Signalling::Msi,
            intx: true,
            capabilities: Vec::new(),
        }
    }

    fn read(&mut self, _bar: u8, offset: u64, into: &mut [u8], _env: &mut dyn Env) {
        let value = if width_allowed(offset, into.len()) { self.read_register(offset) } else { u64::MAX };
        let length = into.len().min(8);
        into[..length].copy_from_slice(&value.to_le_bytes()[..length]);
    }

    fn write(&mut self, _bar: u8, offset: u64, from: &[u8], env: &mut dyn Env) {
        if width_allowed(offset, from.len()) {
            let mut bytes = [0; 8];
            bytes[..from.len()].copy_from_slice(from);
            self.write_register(offset, u64::from_le_bytes(bytes), env);
        }
    }

    fn tick(&mut self, token: u64, env: &mut dyn Env) {
        match token {
            TOKEN_FACTORIAL => self.finish_factorial(env),
            TOKEN_DMA_HALF => self.transfer(true, env),
            TOKEN_DMA_END => self.finish_dma(env),
            TOKEN_FACTORIAL_AGAIN => self.announce_again(0, spec::IRQ_FACTORIAL, env),
            TOKEN_DMA_AGAIN => self.announce_again(1, spec::IRQ_DMA, env),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.liveness = 0;
        self.factorial = 0;
        self.status = 0;
        self.irq_status = 0;
        self.dma = Dma::default();
        self.again = [0; 2];
        self.buffer.fill(0);
    }
}

/// Registers below 0x80 take 4 bytes; from there on, 4 or 8.
fn width_allowed(offset: u64, length: usize) -> bool {
    length == 4 || length == 8 && offset >= spec::WIDE_FROM
}

/// The index in the buffer of the `count` bytes at `address`, if they lie within.
fn buffer_index(address: u64, count: u64) -> Option<usize> {
    let start = address.checked_sub(spec::BUFFER_ADDRESS)?;
    let end = start.checked_add(count)?;
    (end <= spec::BUFFER_BYTES as u64).then_some(start as usize)
}

/// n! modulo 2³². From 34! on it is zero: 2³² divides it.
fn factorial(n: u32) -> u32 {
    (1..=n.min(34)).fold(1, u32::wrapping_mul)
}
