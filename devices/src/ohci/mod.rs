//! An OHCI-1394 1.1 controller, with its bus behind it ([`crate::firewire`]).
//!
//! ```text
//!  registers ─► contexts: descriptors by DMA ─► AT, IT ─► Bus ─► nodes
//!                                               AR, IR ◄──────────┘
//!                              memory ◄── physical requests
//! ```
//!
//! Everything that takes time is one of: a packet of a transmit context, a happening on the bus, a cycle. The controller asks for one tick at
//! a time, for the earliest of them; a tick does what is due, at most [`WORK`] things, and asks again.

mod clock;
mod context;
mod cycles;
mod interrupt;
mod iso_receive;
mod iso_transmit;
mod physical;
mod receive;
mod registers;
mod reset;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transmit;

use crate::device::{BarSpec, Device, Identity, News};
use crate::env::{DmaError, Env};
use crate::firewire::csr::Resources;
use crate::firewire::phy::PhyFacts;
use crate::firewire::{Bus, HOST};
use crate::spec::ieee1394 as bus;
use crate::spec::ohci as spec;
use clock::Clock;
use interrupt::Interrupts;
use iso_receive::IsoReceive;
use iso_transmit::IsoTransmit;
use receive::Receive;
use registers::Registers;
use transmit::Transmit;

/// Things that one tick does at the most.
pub const WORK: usize = 128;
/// The physical address space that a 32-bit controller reaches.
const REACH: u64 = 1 << 32;

/// How the controller signals interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signalling {
    /// An MSI capability, and INTA# while it is not enabled.
    #[default]
    Msi,
    /// INTA# only.
    Intx,
}

/// What can be chosen about the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interrupts.
    pub signalling: Signalling,
    /// EUI-64.
    pub guid: u64,
    /// Its PHY.
    pub phy: PhyFacts,
    /// Nanoseconds from a cable that is put in to the bus reset. (The standard has 336 ms.)
    pub debounce: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signalling: Signalling::default(),
            guid: 0x0257_4700_0000_0001,
            phy: PhyFacts { ports: 3, contender: true, ..PhyFacts::default() },
            debounce: 1_000_000,
        }
    }
}

/// The controller.
pub struct Ohci {
    settings: Settings,
    /// The bus, with the nodes on it.
    bus: Bus,
    registers: Registers,
    interrupts: Interrupts,
    clock: Clock,
    resources: Resources,
    /// The node ID register.
    node_id: u32,
    generation: u32,
    self_id_bytes: u32,
    self_id_error: bool,
    /// A bus reset that the request receive context had no room to tell of.
    reset_untold: Option<u32>,
    /// Requests, responses.
    transmit: [Transmit; 2],
    /// Requests, responses.
    receive: [Receive; 2],
    iso_transmit: [IsoTransmit; spec::TRANSMIT_CONTEXTS],
    iso_receive: [IsoReceive; spec::RECEIVE_CONTEXTS],
    /// When the next cycle wants to be looked at.
    cycle_due: Option<u64>,
    /// The cycle that was looked at last.
    cycle_seen: u64,
    /// Every cycle matters now, not only when the seconds change.
    every_cycle: bool,
    /// When the tick that was asked for comes.
    armed: Option<u64>,
}

impl Ohci {
    /// A controller at power-on, alone on its bus.
    pub fn new(settings: Settings) -> Self {
        Self::with_bus(settings, Bus::new(settings.phy, settings.debounce))
    }

    /// A controller at power-on on a bus that [`Bus::new`] was given its PHY for.
    pub fn with_bus(settings: Settings, bus: Bus) -> Self {
        Self {
            settings,
            bus,
            registers: Registers::default(),
            interrupts: Interrupts::default(),
            clock: Clock::default(),
            resources: Resources::default(),
            node_id: u32::from(bus::LOCAL_BUS) << 6 | 0x3f,
            generation: 0,
            self_id_bytes: 0,
            self_id_error: false,
            reset_untold: None,
            transmit: Default::default(),
            receive: Default::default(),
            iso_transmit: Default::default(),
            iso_receive: Default::default(),
            cycle_due: None,
            cycle_seen: 0,
            every_cycle: false,
            armed: None,
        }
    }

    /// The bus. After a change that takes time, [`Ohci::attend`] must be called.
    pub fn bus(&mut self) -> &mut Bus {
        &mut self.bus
    }

    /// Asks for the tick that the bus wants, after it was changed from outside.
    pub fn attend(&mut self, env: &mut dyn Env) {
        self.arm(env);
    }

    /// Everything that software can see goes back to power-on; the bus and its nodes stay (5.7, softReset).
    fn soft_reset(&mut self, env: &mut dyn Env) {
        let now = env.now();
        let (settings, guid_address) = (self.settings, self.registers.guid_address);
        let spare = Bus::new(settings.phy, settings.debounce);
        let bus = std::mem::replace(&mut self.bus, spare);
        let armed = self.armed;
        let (node_id, generation) = (self.node_id, self.generation);
        *self = Self::with_bus(settings, bus);
        self.registers.guid_address = guid_address;
        (self.armed, self.node_id, self.generation) = (armed, node_id, generation);
        self.bus.host_phy().powered = false;
        self.clock.run(false, now);
        env.lower();
    }

    /// The link has power and is enabled.
    fn link_works(&self) -> bool {
        let both = spec::HC_LPS | spec::HC_LINK_ENABLE;
        self.registers.hc_control & both == both
    }

    /// Data is kept in memory in the order of the bus, unless software has switched the swapping off, whereupon each quadlet is turned round.
    fn swap(&self, data: &mut [u8]) {
        if self.registers.hc_control & spec::HC_NO_SWAP != 0 {
            data.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        }
    }

    /// When something is due next.
    fn next(&self) -> Option<u64> {
        let transmit = self.transmit.iter().filter_map(Transmit::due);
        transmit.chain(self.bus.next()).chain(self.cycle_due).min()
    }

    /// Does what is due.
    fn work(&mut self, env: &mut dyn Env) {
        let now = env.now();
        for _ in 0..WORK {
            let Some(next) = self.next().filter(|&next| next <= now) else { break };
            if let Some(which) = (0..2).find(|&which| self.transmit[which].due() == Some(next)) {
                self.finish_transmit(which, env);
            } else if self.cycle_due == Some(next) {
                self.run_cycles(env);
            } else if let Some(Some(output)) = self.bus.step(now) {
                self.heard(output, env);
            }
        }
        self.arm(env);
    }

    /// Asks for a tick at the next time, unless one comes by then.
    fn arm(&mut self, env: &mut dyn Env) {
        let Some(next) = self.next() else { return };
        let next = next.max(env.now());
        if self.armed.is_none_or(|armed| armed > next) {
            self.armed = Some(next);
            env.at(next, 0);
        }
    }
}

/// An error if an access of `length` bytes at `offset` leaves the addresses that the controller drives.
fn mapped(offset: u64, length: usize) -> Result<(), DmaError> {
    let end = offset.checked_add(length as u64);
    if end.is_some_and(|end| end <= REACH) { Ok(()) } else { Err(DmaError::NoMemory(offset)) }
}

impl Device for Ohci {
    fn identity(&self) -> Identity {
        Identity {
            vendor: spec::VENDOR,
            device: spec::DEVICE,
            class: spec::CLASS,
            revision: 1,
            subsystem: (spec::VENDOR, spec::DEVICE),
            bars: vec![BarSpec { index: 0, size: spec::BAR_BYTES, wide: false, prefetchable: false }],
            msix_vectors: 0,
            msi: self.settings.signalling == Signalling::Msi,
            intx: true,
            capabilities: Vec::new(),
        }
    }

    fn read(&mut self, _bar: u8, offset: u64, into: &mut [u8], env: &mut dyn Env) {
        into.fill(0xff);
        // Registers are read as whole quadlets (4.2).
        if let (Ok(quadlet), true) = (<&mut [u8; 4]>::try_from(into), offset.is_multiple_of(4)) {
            *quadlet = self.read_register(offset, env).to_le_bytes();
        }
    }

    fn write(&mut self, _bar: u8, offset: u64, from: &[u8], env: &mut dyn Env) {
        if let (Ok(quadlet), true) = (<[u8; 4]>::try_from(from), offset.is_multiple_of(4)) {
            self.write_register(offset, u32::from_le_bytes(quadlet), env);
            self.arm(env);
        }
    }

    fn news(&mut self, news: News, env: &mut dyn Env) {
        let now = env.now();
        let node = |unit: usize| unit + 1;
        match news {
            News::Attach(unit) => self.bus.plug(node(unit), now),
            News::Detach(unit) => self.bus.pull(node(unit), now),
            News::BusReset { unit, root } => self.bus.reset_by(unit.map_or(HOST, node), root, now),
            News::Current { .. } => {}
        }
        self.arm(env);
    }

    fn tick(&mut self, _token: u64, env: &mut dyn Env) {
        if self.armed.is_some_and(|armed| armed <= env.now()) {
            self.armed = None;
        }
        self.work(env);
    }

    fn reset(&mut self) {
        let spare = Bus::new(self.settings.phy, self.settings.debounce);
        let mut bus = std::mem::replace(&mut self.bus, spare);
        bus.power_on();
        *self = Self::with_bus(self.settings, bus);
    }
}

/// Who begins a reset that the controller asks for.
fn by_host() -> Vec<usize> {
    vec![HOST]
}
