//! A machine that goes back to its `boot.ready` as often as one likes.
//!
//! Until `boot.ready` the guest has reached no device: their state is what firmware left. So the snapshot holds the guest alone (memory,
//! processor, interrupt controllers, timers, serial port), and for each run the devices are built anew from the run's plan, with its faults, and firmware
//! does its work again. What the guest sees is what it saw the first time; what then happens is the plan's. Machine time goes back, too, although the
//! processor's counter goes on: the bench page says what the counter was at machine time zero ([`trace::ring::ZERO`]).

mod chips;
mod cpu;
mod memory;

use crate::clock::Clock;
use crate::console::Console;
use crate::guest::Guest;
use crate::machine::{Machine, Parts};
use crate::options::Options;
use crate::outcome::Outcome;
use crate::ring::Ring;
use crate::run::{build, drive};
use crate::serial::{Port, Room, SerialInterrupt};
use crate::trace_queue::TraceQueue;
use crate::watch::Watch;
use crate::{Ending, VmmError, symbols};
use chips::Chips;
use cpu::{CpuState, settle};
use devices::fault::plan::Plan;
use devices::platform::{Lent, Platform};
use kvm_ioctls::VcpuFd;
use memory::MemoryImage;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use trace::Event;
use vm_memory::{Bytes, GuestAddress};
use vm_superio::Serial;
use vm_superio::serial::SerialState;

/// A guest that has booted.
pub struct Snapshot {
    /// What every run begins with.
    begin: Beginning,
    /// The machine between two runs; `None` once one could not be taken apart.
    rest: Option<(Parts, VcpuFd)>,
    /// The plan that the guest was booted with.
    plan: Plan,
    image: Vec<u8>,
    options: Options,
}

/// The guest at `boot.ready`.
struct Beginning {
    memory: MemoryImage,
    cpu: CpuState,
    chips: Chips,
    serial: SerialState,
    pm1_enable: u16,
    ready_at: u64,
    tail: u64,
    /// Memory that devices may reach by then.
    lent: Lent,
    /// What it had said by then.
    events: Vec<Event>,
}

impl Snapshot {
    /// Boots `image` with the devices of `plan`, up to `boot.ready`.
    ///
    /// # Errors
    /// The machine cannot be built, has more than one processor or disks in files, ends before it is ready, or touches a device before.
    pub fn boot(plan: &Plan, image: &[u8], options: &Options) -> Result<Self, VmmError> {
        let wrong = |what: String| Err(VmmError::Snapshot(what));
        if plan.cpus != 1 {
            return wrong(format!("{} processors; a machine that goes back has one", plan.cpus));
        }
        if let Some(plug) = plan.plugs.iter().find(|plug| plug.options.contains_key("file")) {
            return wrong(format!("`{}` keeps its data in a file, which does not go back", plug.name));
        }
        let (machine, cpus) = build(plan, &Guest::Image(image), options, true)?;
        machine.pause_at_ready.store(true, Ordering::Release);
        let mut events = Vec::new();
        let limits = options.limits.stretched(machine.clock.slow_down());
        let watch = Watch::plan(plan.run_for, limits);
        let (outcome, cpus) = drive(&machine, cpus, watch, &mut |event| events.push(*event))?;
        let ready_at = machine.ready_at.load(Ordering::Acquire);
        if outcome.ending != Ending::Stopped || ready_at == u64::MAX {
            return wrong(format!("the guest is not ready: {}", outcome.ending));
        }
        if machine.touched.load(Ordering::Relaxed) {
            return wrong("the guest reaches its devices before boot.ready".to_owned());
        }
        let pm1_enable = machine.pm1_enable.load(Ordering::Relaxed);
        let parts = alone(machine)?.take_apart();
        let Some(mut vcpu) = cpus.into_iter().next() else { return wrong("no processor".to_owned()) };
        settle(&mut vcpu)?;
        let mut tail = 0;
        parts.trace.with_ring(|ring| tail = ring.tail());
        let begin = Beginning {
            cpu: CpuState::take(&vcpu)?,
            chips: Chips::take(&parts.vm)?,
            serial: parts.serial.state(),
            memory: MemoryImage::take(&parts.memory.mmap)?,
            pm1_enable,
            ready_at,
            tail,
            lent: parts.trace.lent(),
            events,
        };
        let (image, options) = (image.to_vec(), options.clone());
        Ok(Self { begin, rest: Some((parts, vcpu)), plan: plan.clone(), image, options })
    }

    /// Goes back to `boot.ready` and runs on with the rules of `plan`, whose devices and loads are those that the guest was booted
    /// with. `sink` gets every event, those of the boot first. `seed`: what the plan's probabilities are drawn from.
    ///
    /// # Errors
    /// The plan is about another machine, or the system refuses something; the snapshot is of no use then.
    pub fn run(&mut self, plan: &Plan, seed: u64, sink: &mut dyn FnMut(&Event)) -> Result<Outcome, VmmError> {
        if !same_machine(&self.plan, plan) {
            return Err(VmmError::Snapshot("the plan is about another machine".to_owned()));
        }
        let (machine, vcpu) = self.reset(plan, seed)?;
        let watch = Watch::plan(plan.run_for, self.options.limits.stretched(machine.clock.slow_down()));
        self.begin.events.iter().for_each(&mut *sink);
        let (mut outcome, cpus) = drive(&machine, vec![vcpu], watch, sink)?;
        symbols::name(&mut outcome.cpus, &self.image);
        if let Some(vcpu) = cpus.into_iter().next() {
            self.rest = Some((alone(machine)?.take_apart(), vcpu));
        }
        Ok(outcome)
    }

    /// A machine at `boot.ready` with the devices and rules of `plan`, about to go on.
    fn reset(&mut self, plan: &Plan, seed: u64) -> Result<(Arc<Machine>, VcpuFd), VmmError> {
        let mut platform = Platform::with_stores(plan, &mut crate::disk::open)?;
        platform.seed(seed);
        platform.firmware();
        platform.start_plan(self.begin.ready_at);
        let lost = || VmmError::Snapshot("the machine was lost in an earlier run".to_owned());
        let (parts, mut vcpu) = self.rest.take().ok_or_else(lost)?;
        // An access that the last run was left in would otherwise end in this one.
        settle(&mut vcpu)?;
        self.begin.memory.restore()?;
        parts.interrupts.silence();
        self.begin.chips.restore(&parts.vm)?;
        let gone_on = self.begin.cpu.restore(&vcpu)?;
        let serial = self.serial(&parts)?;
        let memory = &parts.memory;
        let ring = memory.bench.map(|base| Ring::resume(memory.mmap.clone(), base, self.begin.tail));
        if let Some(ring) = &ring {
            ring.set_zero(gone_on);
        }
        let clock = Clock::new(&vcpu, self.options.slow_down.max(1))?.since(gone_on);
        let trace = TraceQueue::resume(ring, self.begin.lent.clone());
        let machine = Machine::new(Parts { clock, platform, serial, trace, ..parts });
        machine.ready_at.store(self.begin.ready_at, Ordering::Release);
        machine.pm1_enable.store(self.begin.pm1_enable, Ordering::Relaxed);
        Ok((Arc::new(machine), vcpu))
    }

    fn serial(&self, parts: &Parts) -> Result<Port, VmmError> {
        let event = parts.interrupts.serial().try_clone();
        let copied = |error| VmmError::System { what: "cannot copy an eventfd", error };
        Serial::from_state(
            &self.begin.serial,
            SerialInterrupt(event.map_err(copied)?),
            Room::new(&parts.wake).map_err(copied)?,
            Console::new(false, self.options.tap.clone(), self.options.console_lines),
        )
        .map_err(|error| VmmError::Snapshot(format!("the serial port cannot be set: {error:?}")))
    }

    /// Goes back to `boot.ready` and does nothing there: for measuring.
    ///
    /// # Errors
    /// As [`Snapshot::run`].
    pub fn go_back(&mut self) -> Result<(), VmmError> {
        let plan = self.plan.clone();
        let (machine, vcpu) = self.reset(&plan, 0)?;
        self.rest = Some((alone(machine)?.take_apart(), vcpu));
        Ok(())
    }

    /// Pages of guest memory that the last run has changed: what going back costs is a matter of their number.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn changed_pages(&self) -> Result<u64, VmmError> {
        match self.rest {
            Some(_) => self.begin.memory.copied_pages(),
            None => Err(VmmError::Snapshot("the machine was lost in an earlier run".to_owned())),
        }
    }

    /// Reads guest memory between two runs, as the last one left it.
    ///
    /// # Errors
    /// There is no memory at that address, or no machine any more.
    pub fn read(&self, address: u64, into: &mut [u8]) -> Result<(), VmmError> {
        let wrong = || VmmError::Snapshot(format!("no memory at {address:#x}"));
        let (parts, _) = self.rest.as_ref().ok_or_else(wrong)?;
        parts.memory.mmap.read_slice(into, GuestAddress(address)).map_err(|_| wrong())
    }
}

/// Whether the guest that was booted with one plan is right for the other.
fn same_machine(booted: &Plan, plan: &Plan) -> bool {
    let hardware = |plan: &Plan| (plan.cpus, plan.memory, plan.plugs.clone());
    hardware(booted) == hardware(plan) && booted.guest_command_line() == plan.guest_command_line()
}

/// The machine, which nobody else has any more.
fn alone(machine: Arc<Machine>) -> Result<Machine, VmmError> {
    let held = |_| VmmError::Snapshot("somebody still holds the machine".to_owned());
    Arc::try_unwrap(machine).map_err(held)
}
