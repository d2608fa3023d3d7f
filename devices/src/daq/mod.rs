//! The data-acquisition card: samples at a set rate, by DMA into a ring (see [`crate::spec::daq`] and `docs/devices.md`).
//!
//! ```text
//! sample clock ─► tick ─► ring full? ─► lost, counted ───────► overrun interrupt (vector 1)
//!                              └─ no ─► entry, then index ─► enough ready? ─► data interrupt (vector 0)
//! ```
//!
//! The card has one clock and asks for one tick at a time. A tick that comes late takes the samples that are due by then, at most
//! [`BURST`] of them; if more are due the clock slips, so that no tick is long and none is in the past. For the rules of a plan, a tick is
//! one timer; each sample that is written is one DMA access, and each tick that wrote any is one more, for the index.

mod ring;
mod sample;
#[cfg(test)]
mod tests;

use crate::device::{BarSpec, Device, Identity};
use crate::env::{DmaError, Env};
use crate::spec::daq as spec;
use ring::{Put, Ring};

/// Samples that one tick takes at the most.
pub const BURST: u32 = 64;
/// Period at power-on unless told otherwise, ns.
pub const PERIOD_NS: u32 = 20_000;
/// Entries that a ring can have unless told otherwise.
pub const RING_MAX: u32 = 1024;

/// How the card signals interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signalling {
    /// An MSI-X capability with two vectors, and INTA# while it is not enabled.
    #[default]
    Msix,
    /// INTA# only.
    Intx,
}

/// What can be chosen about the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interrupts.
    pub signalling: Signalling,
    /// Period at power-on, ns; what the card cannot do becomes the nearest that it can.
    pub period: u64,
    /// Entries that a ring can have, a power of two.
    pub ring_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { signalling: Signalling::default(), period: PERIOD_NS.into(), ring_max: RING_MAX }
    }
}

/// The sample clock.
#[derive(Clone, Copy, Default)]
struct Clock {
    /// Machine time of the next sample.
    due: u64,
    /// A tick was asked for and has not come.
    armed: bool,
    /// Which run the clock is in: a tick with another number belongs to one before.
    run: u64,
}

/// The card.
pub struct Daq {
    settings: Settings,
    period: u32,
    running: bool,
    /// [`spec::STATUS_OVERRUN`] and [`spec::STATUS_MISTAKES`].
    status: u32,
    interrupts: u32,
    enabled: u32,
    ring: Ring,
    clock: Clock,
}

impl Daq {
    /// A card at power-on.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            period: nearest_period(settings.period),
            running: false,
            status: 0,
            interrupts: 0,
            enabled: 0,
            ring: Ring::default(),
            clock: Clock::default(),
        }
    }

    /// Registers go back to power-on. The tick that was asked for still comes; [`Daq::tick`] knows it by its number.
    fn clear(&mut self) {
        *self = Self { clock: self.clock, ..Self::new(self.settings) };
    }

    /// Sets interrupt bits; those that were not set before and are enabled are signalled.
    fn flag(&mut self, bits: u32, env: &mut dyn Env) {
        let fresh = bits & !self.interrupts;
        self.interrupts |= bits;
        signal(fresh & self.enabled, env);
    }

    fn acknowledge(&mut self, bits: u32, env: &mut dyn Env) {
        self.interrupts &= !bits;
        self.settle_line(env);
    }

    fn enable(&mut self, bits: u32, env: &mut dyn Env) {
        let fresh = bits & spec::INTERRUPTS & !self.enabled;
        self.enabled = bits & spec::INTERRUPTS;
        signal(fresh & self.interrupts, env);
        self.settle_line(env);
    }

    fn settle_line(&self, env: &mut dyn Env) {
        if self.interrupts & self.enabled == 0 {
            env.lower();
        }
    }

    fn mistake(&mut self, bit: u32, env: &mut dyn Env) {
        self.status |= bit;
        self.flag(spec::INTERRUPT_ERROR, env);
    }

    fn read_register(&self, offset: u64) -> u32 {
        let setup = &self.ring.setup;
        match offset {
            spec::ID => spec::ID_VALUE,
            spec::CONTROL => {
                if self.running {
                    spec::CONTROL_RUN
                } else {
                    0
                }
            }
            spec::STATUS => self.status | if self.running { spec::STATUS_RUNNING } else { 0 },
            spec::INTERRUPT_STATUS => self.interrupts,
            spec::INTERRUPT_ENABLE => self.enabled,
            spec::PERIOD => self.period,
            spec::RING_MAX => self.settings.ring_max,
            spec::RING_ENTRIES => setup.entries,
            spec::RING_BASE => setup.base as u32,
            offset if offset == spec::RING_BASE + 4 => (setup.base >> 32) as u32,
            spec::THRESHOLD => setup.threshold,
            spec::PRODUCER => self.ring.producer(),
            spec::CONSUMER => self.ring.consumer(),
            spec::LOST => self.ring.lost(),
            _ => u32::MAX,
        }
    }

    fn write_register(&mut self, offset: u64, value: u32, env: &mut dyn Env) {
        match offset {
            spec::CONTROL => self.control(value, env),
            spec::INTERRUPT_STATUS => self.acknowledge(value, env),
            spec::INTERRUPT_ENABLE => self.enable(value, env),
            spec::CONSUMER => self.consume(value, env),
            _ if !self.running => self.write_setup(offset, value),
            _ => {}
        }
    }

    fn consume(&mut self, index: u32, env: &mut dyn Env) {
        if !self.ring.consume(index) {
            self.mistake(spec::STATUS_BAD_INDEX, env);
        }
    }

    /// The registers that hold still while the card runs.
    fn write_setup(&mut self, offset: u64, value: u32) {
        let setup = &mut self.ring.setup;
        let low = u64::from(u32::MAX);
        match offset {
            spec::PERIOD => self.period = nearest_period(value.into()),
            spec::RING_ENTRIES => setup.entries = value,
            spec::RING_BASE => setup.base = setup.base & !low | u64::from(value),
            offset if offset == spec::RING_BASE + 4 => {
                setup.base = setup.base & low | u64::from(value) << 32;
            }
            spec::THRESHOLD => setup.threshold = value,
            _ => {}
        }
    }

    fn control(&mut self, value: u32, env: &mut dyn Env) {
        if value & spec::CONTROL_RESET != 0 {
            self.clear();
            env.lower();
        } else if value & spec::CONTROL_RUN == 0 {
            self.running = false;
        } else if !self.running {
            self.run(env);
        }
    }

    fn run(&mut self, env: &mut dyn Env) {
        self.status &= !spec::STATUS_MISTAKES;
        if !self.ring.setup.is_good(self.settings.ring_max) || !self.ring.fits() {
            self.mistake(spec::STATUS_BAD_SETUP, env);
            return;
        }
        self.running = true;
        self.clock.run = self.clock.run.wrapping_add(1);
        // A tick of the run before is still to come: it will set the clock going.
        if !self.clock.armed {
            self.start_clock(env);
        }
    }

    fn start_clock(&mut self, env: &mut dyn Env) {
        self.clock.due = env.now().saturating_add(self.period.into());
        self.arm(env);
    }

    fn arm(&mut self, env: &mut dyn Env) {
        self.clock.armed = true;
        env.at(self.clock.due, self.clock.run);
    }

    /// Takes the samples that are due.
    fn sample(&mut self, env: &mut dyn Env) -> Result<(), DmaError> {
        let now = env.now();
        let mut written = false;
        for _ in 0..BURST {
            if self.clock.due > now {
                break;
            }
            self.clock.due = self.clock.due.saturating_add(self.period.into());
            match self.ring.put(env)? {
                Put::Written => {
                    written = true;
                    self.status &= !spec::STATUS_OVERRUN;
                }
                Put::Lost if self.status & spec::STATUS_OVERRUN == 0 => {
                    self.status |= spec::STATUS_OVERRUN;
                    self.flag(spec::INTERRUPT_OVERRUN, env);
                }
                Put::Lost => {}
            }
        }
        if self.clock.due <= now {
            self.clock.due = now.saturating_add(self.period.into());
        }
        if written {
            self.ring.publish(env)?;
            if self.ring.is_due() {
                self.flag(spec::INTERRUPT_DATA, env);
            }
        }
        Ok(())
    }
}

/// Signals interrupt bits, each on its vector.
fn signal(bits: u32, env: &mut dyn Env) {
    if bits & spec::INTERRUPT_DATA != 0 {
        env.raise(spec::VECTOR_DATA);
    }
    if bits & !spec::INTERRUPT_DATA != 0 {
        env.raise(spec::VECTOR_TROUBLE);
    }
}

/// The period that the card can do and that is nearest to `ns`.
fn nearest_period(ns: u64) -> u32 {
    u32::try_from(ns).unwrap_or(u32::MAX).clamp(spec::PERIOD_LEAST, spec::PERIOD_MOST)
}

impl Device for Daq {
    fn identity(&self) -> Identity {
        Identity {
            vendor: spec::VENDOR,
            device: spec::DEVICE,
            class: spec::CLASS,
            revision: spec::REVISION,
            subsystem: (spec::VENDOR, spec::DEVICE),
            bars: vec![BarSpec { index: 0, size: spec::BAR_BYTES, wide: false, prefetchable: false }],
            msix_vectors: if self.settings.signalling == Signalling::Msix { spec::VECTORS } else { 0 },
            msi: false,
            intx: true,
            capabilities: Vec::new(),
        }
    }

    /// Registers take aligned accesses of 4 bytes, the ring's address also of 8; all others read all ones.
    fn read(&mut self, _bar: u8, offset: u64, into: &mut [u8], _env: &mut dyn Env) {
        into.fill(0xff);
        if is_wide(offset, into.len()) {
            into.copy_from_slice(&self.ring.setup.base.to_le_bytes());
        } else if is_register(offset, into.len()) {
            into.copy_from_slice(&self.read_register(offset).to_le_bytes());
        }
    }

    fn write(&mut self, _bar: u8, offset: u64, from: &[u8], env: &mut dyn Env) {
        if !is_wide(offset, from.len()) && !is_register(offset, from.len()) {
            return;
        }
        for (at, word) in (offset..).step_by(4).zip(from.chunks_exact(4)) {
            self.write_register(at, u32::from_le_bytes([word[0], word[1], word[2], word[3]]), env);
        }
    }

    fn tick(&mut self, token: u64, env: &mut dyn Env) {
        if !std::mem::take(&mut self.clock.armed) || !self.running {
            return;
        }
        if token != self.clock.run {
            self.start_clock(env);
            return;
        }
        match self.sample(env) {
            Ok(()) => self.arm(env),
            Err(_) => {
                self.running = false;
                self.mistake(spec::STATUS_FAULT, env);
            }
        }
    }

    fn reset(&mut self) {
        self.clear();
        // What was asked of the world before is void.
        self.clock = Clock::default();
    }
}

fn is_register(offset: u64, length: usize) -> bool {
    length == 4 && offset.is_multiple_of(4)
}

fn is_wide(offset: u64, length: usize) -> bool {
    length == 8 && offset == spec::RING_BASE
}
