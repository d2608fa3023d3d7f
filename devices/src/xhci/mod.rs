//! The xHCI 1.2 host controller.
//!
//! ```text
//! doorbell ─► agenda ─► tick ─► command: slots, contexts            ─► event ─► interrupter ─► interrupt
//!                          └──► endpoint: TD ─► packets ─► USB tree ─┘
//! ```
//!
//! A write to a doorbell does nothing by itself: what it asks for is planned, and done by ticks. A tick does a bounded part of it, and plans the
//! rest for when the bus has carried what was moved. So a ring that a guest has tied into a loop costs it time, and nobody else.
//!
//! Everything that the controller reads and writes in memory is one access of [`Env`], and so a site for the rules of a plan: a TRB, a context, a
//! piece of a packet, an event. Memory that is not there is a host system error, which halts the controller (4.24.1).

mod agenda;
mod command;
mod context;
mod endpoint;
mod event;
mod port;
mod registers;
mod ring;
mod slot;
mod td;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transfer;

use crate::device::{BarSpec, Device, Doorbell, Identity, News};
use crate::env::{DmaError, Env};
use crate::spec::xhci as spec;
use crate::usb::{Plugged, Tree};
use agenda::{Agenda, Job};
use event::Interrupter;
use port::Port;
use ring::Cursor;
use slot::Slot;

/// Jobs that one tick does at the most.
const JOBS: usize = 16;
/// Machine ns of a command.
const COMMAND_NS: u64 = 2_000;
/// Time of a reset unless told otherwise (USB 2.0, 7.1.7.5, TDRST), in machine ns.
pub const RESET_NS: u64 = 10_000_000;
/// From a doorbell to the first packet unless told otherwise, in machine ns.
pub const LATENCY_NS: u64 = 10_000;

/// How the controller signals interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signalling {
    /// An MSI-X capability with a vector for each interrupter, and INTA# while it is not enabled.
    #[default]
    Msix,
    /// An MSI capability with one vector, and INTA# while it is not enabled.
    Msi,
    /// INTA# only.
    Intx,
}

/// What can be chosen about the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Interrupts.
    pub signalling: Signalling,
    /// Connectors, 1–15; each is a USB 2 and a SuperSpeed port.
    pub ports: u8,
    /// Interrupters, 1–16.
    pub interrupters: u16,
    /// Contexts have 64 bytes, not 32.
    pub wide_contexts: bool,
    /// Pages that the driver must give away.
    pub scratchpads: u8,
    /// Machine ns of a port's reset.
    pub reset_ns: u64,
    /// Machine ns from a doorbell to the first packet.
    pub latency_ns: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            signalling: Signalling::default(),
            ports: 4,
            interrupters: 4,
            wide_contexts: false,
            scratchpads: 2,
            reset_ns: RESET_NS,
            latency_ns: LATENCY_NS,
        }
    }
}

/// The controller cannot go on: memory did not answer, or the card is off the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fallen;

/// The command ring (4.9.3).
#[derive(Clone, Copy, Default)]
struct CommandRing {
    cursor: Cursor,
    running: bool,
}

/// The controller.
pub struct Xhci {
    settings: Settings,
    tree: Tree,
    command: u32,
    status: u32,
    notifications: u32,
    commands: CommandRing,
    contexts: u64,
    config: u32,
    ports: Vec<Port>,
    interrupters: Vec<Interrupter>,
    /// By number; 0 is nobody's.
    slots: Vec<Option<Box<Slot>>>,
    agenda: Agenda,
    /// Machine time at which the frame counter was zero.
    frames_from: u64,
}

impl Xhci {
    /// A controller at power-on with its devices.
    pub fn new(settings: Settings, plugged: Vec<Plugged>) -> Self {
        let ports = settings.ports.clamp(1, 15);
        let interrupters = settings.interrupters.clamp(1, 16);
        let mut controller = Self {
            settings: Settings { ports, interrupters, ..settings },
            tree: Tree::new(plugged),
            command: 0,
            status: 0,
            notifications: 0,
            commands: CommandRing::default(),
            contexts: 0,
            config: 0,
            ports: Vec::new(),
            interrupters: Vec::new(),
            slots: Vec::new(),
            agenda: Agenda::default(),
            frames_from: 0,
        };
        controller.power_on();
        controller.agenda = Agenda::default();
        controller
    }

    /// Everything goes back to the state after power-on, but for what is plugged in (4.2, 5.4.1.1). A tick that was asked for may still come.
    fn power_on(&mut self) {
        self.command = 0;
        self.status = spec::STS_HALTED;
        self.notifications = 0;
        self.commands = CommandRing::default();
        self.contexts = 0;
        self.config = 0;
        self.interrupters = (0..self.settings.interrupters).map(|_| Interrupter::new()).collect();
        self.slots = (0..=spec::SLOTS).map(|_| None).collect();
        self.agenda.cancel_all(|_| true);
        self.fresh_ports();
    }

    fn is_running(&self) -> bool {
        self.command & spec::CMD_RUN != 0 && self.status & spec::STS_HALTED == 0
    }

    /// Reads memory, in pieces that an access may have.
    fn fetch(&mut self, address: u64, into: &mut [u8], env: &mut dyn Env) -> Result<(), Fallen> {
        let done = env.dma_read(address, into);
        done.map_err(|error| self.fall(error))
    }

    /// Writes memory.
    fn store(&mut self, address: u64, from: &[u8], env: &mut dyn Env) -> Result<(), Fallen> {
        let done = env.dma_write(address, from);
        done.map_err(|error| self.fall(error))
    }

    /// A host system error: memory did not answer (4.24.1). A card that is gone has nobody to tell.
    fn fall(&mut self, error: DmaError) -> Fallen {
        if error != DmaError::Removed {
            self.status |= spec::STS_HSE;
            self.halt();
        }
        Fallen
    }

    /// The controller stops (5.4.1.1, R/S = 0).
    fn halt(&mut self) {
        self.command &= !spec::CMD_RUN;
        self.status |= spec::STS_HALTED;
        self.commands.running = false;
        self.agenda.cancel_all(|job| matches!(job, Job::Command | Job::Endpoint(..)));
    }

    /// The controller starts, and tells what has happened at its ports.
    fn start(&mut self, env: &mut dyn Env) -> Result<(), Fallen> {
        self.command |= spec::CMD_RUN;
        self.status &= !spec::STS_HALTED;
        self.frames_from = env.now();
        self.restart_events(env)?;
        for index in 0..self.ports.len() {
            self.tell_port(index, env)?;
        }
        Ok(())
    }

    /// There is room in every event ring again: what waited for it goes on.
    fn go_on(&mut self, env: &mut dyn Env) {
        if self.is_running() {
            if self.commands.running {
                self.agenda.plan(Job::Command, env.now());
            }
            self.kick_all(env.now());
        }
    }

    /// Does one job. An error has been told already.
    fn work(&mut self, job: Job, env: &mut dyn Env) -> Result<(), Fallen> {
        match job {
            Job::Port(index) => self.end_reset(index.into(), env),
            Job::Interrupter(index) => {
                self.interrupt(index, env);
                Ok(())
            }
            // What makes events waits for room in the rings; `go_on` wakes it.
            Job::Command | Job::Endpoint(..) if self.is_blocked() || !self.is_running() => Ok(()),
            Job::Command => self.next_command(env),
            Job::Endpoint(slot, endpoint) => self.serve(slot, endpoint, env),
        }
    }

    /// Asks for the tick that the agenda needs.
    fn arm(&mut self, env: &mut dyn Env) {
        if let Some(time) = self.agenda.arm() {
            env.at(time.max(env.now()), time);
        }
    }
}

impl Device for Xhci {
    fn identity(&self) -> Identity {
        let vectors =
            if self.settings.signalling == Signalling::Msix { self.settings.interrupters } else { 0 };
        Identity {
            vendor: spec::VENDOR,
            device: spec::DEVICE,
            class: spec::CLASS,
            revision: 1,
            subsystem: (spec::VENDOR, spec::DEVICE),
            bars: vec![BarSpec { index: 0, size: spec::BAR_BYTES, wide: true, prefetchable: false }],
            msix_vectors: vectors,
            msi: self.settings.signalling == Signalling::Msi,
            intx: true,
            capabilities: Vec::new(),
        }
    }

    fn read(&mut self, _bar: u8, offset: u64, into: &mut [u8], env: &mut dyn Env) {
        self.read_registers(offset, into, env.now());
    }

    fn write(&mut self, _bar: u8, offset: u64, from: &[u8], env: &mut dyn Env) {
        self.write_registers(offset, from, env);
        self.arm(env);
    }

    fn tick(&mut self, token: u64, env: &mut dyn Env) {
        self.agenda.ticked(token);
        let now = env.now();
        for _ in 0..JOBS {
            let Some(job) = self.agenda.take(now) else { break };
            if self.work(job, env).is_err() {
                break;
            }
        }
        self.arm(env);
    }

    fn reset(&mut self) {
        self.power_on();
        // What was asked of the world before is void.
        self.agenda = Agenda::default();
    }

    /// One doorbell a slot. None may be collected: their order, and what they name, matters.
    fn doorbells(&self) -> Vec<Doorbell> {
        let bell = |index: u8| Doorbell {
            bar: 0,
            offset: spec::DOORBELLS + u64::from(index) * 4,
            width: 4,
            value: None,
            collect: false,
        };
        (0..=spec::SLOTS).map(bell).collect()
    }

    fn news(&mut self, news: News, env: &mut dyn Env) {
        // An error has been told already.
        let _ = match news {
            News::Attach(unit) if unit < self.tree.len() => self.attached(unit, env),
            News::Detach(unit) if unit < self.tree.len() => self.detached(unit, env),
            News::Current { hub: None, port, over } => self.current(port, over, env),
            News::Current { hub: Some(hub), port, over } => {
                self.tree.current(hub, port, over);
                Ok(())
            }
            News::Attach(_) | News::Detach(_) | News::BusReset { .. } => Ok(()),
        };
        // A hub may have something to say now, and who waits for a device that has gone must hear of it.
        self.kick_all(env.now());
        self.arm(env);
    }
}
