//! Carries commands by SBP-2.
//!
//! ```text
//! client's thread, gate ─► ORB in memory, its address to the agent ─► sleep
//!                          disk: ORB, data, status block ─► address space ─► wake
//! ```
//!
//! A bus reset aborts what the disk was at. The next attempt waits until the disk is found again, takes its login up (or logs in anew, if that was too
//! late), and makes the command once more. A login is taken up when it is needed, not before.
//!
//! Whoever is asked to go while the disk is still there logs out: then the disk does nothing more for this login, and another may log in at once.

use super::wire::{self, Function, Status};
use crate::driver::common::scsi::{self, Block};
use crate::driver::common::{FireHabits, Frame, Moves, Transport};
use crate::driver::zoo;
use crate::family::firewire::standard::{LOCAL_BUS, REGISTERS};
use crate::family::firewire::{Ask, Device, FireWireUnit, Generation};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::sync::Arc;
use alloc::vec;
use mach::{DmaBuffer, KernelRef};

/// Where things are in the buffer.
const COMMAND_AT: u64 = 0;
const MANAGEMENT_AT: u64 = 64;
const LOGIN_AT: u64 = 128;
const DATA_AT: u64 = 256;
/// How long one attempt of a command, and of a login, may take, machine ns.
const COMMAND_NS: u64 = 2_000_000_000;
const LOGIN_NS: u64 = 500_000_000;
/// How long a logout may take: so long a disk that says nothing holds up its own termination.
const LOGOUT_NS: u64 = 100_000_000;
/// How long a command may take with all of its attempts.
const PATIENCE_NS: u64 = 10_000_000_000;
/// Attempts that fail for another reason than a bus reset.
const TRIES: u32 = 4;
/// What is on its way when an agent is reset has landed after this, machine ns.
const SETTLE_NS: u64 = 1_000_000;

/// A login.
#[derive(Clone, Copy)]
struct Login {
    id: u16,
    agent: u64,
    generation: Generation,
}

/// What the gate protects.
#[derive(Default)]
struct State {
    login: Option<Login>,
    /// The ORB that waits for its status.
    waits: u64,
    status: Option<Status>,
    fifo: Option<u64>,
    /// The login is being ended.
    leaving: bool,
}

/// The side that has commands for a disk.
pub struct Initiator {
    kernel: KernelRef,
    habits: Arc<dyn FireHabits>,
    frame: Frame,
    device: Arc<Device>,
    management: u64,
    unit: u16,
    memory: DmaBuffer,
    state: Arc<Gated<State>>,
}

impl Initiator {
    /// Finds out where the agent is; nothing is asked of the disk yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self> {
        let unit = FireWireUnit::of(provider).ok_or(IOReturn::BadArgument)?;
        let agent = unit.directory().value(wire::KEY_MANAGEMENT_AGENT).ok_or(IOReturn::Unsupported)?;
        let device = unit.device().clone();
        let memory = device.bus().link().buffer(DATA_AT + u64::from(Self::DATA_BYTES), 64)?;
        // The controller's watchdog watches over each request: this driver needs none.
        let frame = Frame::sharing(device.work_loop().clone(), me, vec![], COMMAND_NS, |_| {});
        Ok(Self {
            kernel: me.kernel().clone(),
            habits: zoo::fire::habits(provider),
            state: Arc::new(frame.gated(State::default())),
            frame,
            management: REGISTERS + 4 * u64::from(agent),
            unit: unit.directory().value(wire::KEY_LOGICAL_UNIT).unwrap_or(0) as u16,
            device,
            memory,
        })
    }

    /// The agent is reset, and what it has on its way lands: whatever it was at does nothing more (6.4.2).
    fn recover(&self) {
        let Some(login) = self.state.with(|s| s.login) else { return };
        // A bus reset has reset it, too (9.3).
        if self.device.generation() == Ok(login.generation) {
            let reset = Ask::Write(&[0; 4]);
            // If it cannot be reset, the next attempt fails and begins here again.
            let _ = self.device.ask(login.generation, login.agent + wire::AGENT_RESET, reset);
        }
        self.pause(SETTLE_NS);
    }

    /// The login, which is taken up after a bus reset, or begun; so many bus resets have `aborted` the command that it is for.
    fn log_in(&self, aborted: u32, deadline: u64) -> IOResult<Login> {
        let generation = match self.state.with(|s| s.login) {
            Some(login) => self.habits.generation(&self.device, login.generation, aborted, deadline)?,
            None => self.device.join(deadline)?,
        };
        let login = self.state.with(|s| s.login);
        if let Some(login) = login {
            if login.generation == generation {
                return Ok(login);
            }
            self.device.set_physical(generation, true)?;
            match self.manage(generation, Function::Reconnect(login.id)) {
                Ok(()) => {
                    let login = Login { generation, ..login };
                    self.state.with(|s| s.login = Some(login));
                    return Ok(login);
                }
                Err(IOReturn::NotPermitted) => self.state.with(|s| s.login = None),
                Err(why) => return Err(why),
            }
        }
        self.device.set_physical(generation, true)?;
        match self.manage(generation, Function::LogIn(self.unit)) {
            Ok(()) => {}
            Err(why @ (IOReturn::NotPermitted | IOReturn::Timeout)) => {
                // A login that nobody knows of may be in the way: a bus reset ends it, unless somebody takes it up (8.2).
                self.device.bus().link().reset_bus()?;
                return Err(if why == IOReturn::NotPermitted { IOReturn::Aborted } else { why });
            }
            Err(why) => return Err(why),
        }
        let mut answer = [0; wire::LOGIN_BYTES];
        self.memory.read(LOGIN_AT, &mut answer);
        let (id, agent) = wire::login(&answer);
        let login = Login { id, agent, generation };
        self.state.with(|s| s.login = Some(login));
        Ok(login)
    }

    /// The disk is told that nobody has commands for it any more, if it is there and has a login of this generation. What is under way is Offline. Takes
    /// the gate; sleeps. True: it has said yes.
    pub fn log_out(&self) -> bool {
        self.frame.work_loop().run_action(|| {
            let Ok(generation) = self.device.generation() else { return false };
            let login = self.state.with(|s| s.login.take()).filter(|login| login.generation == generation);
            let Some(login) = login.filter(|_| !self.device.bus().link().is_gone()) else { return false };
            self.frame.close(IOReturn::Offline);
            self.state.with(|s| s.leaving = true);
            self.device.wake();
            self.order(generation, Function::LogOut(login.id), LOGOUT_NS).is_ok()
        })
    }

    /// A management ORB. NotPermitted: the disk refuses.
    fn manage(&self, generation: Generation, function: Function) -> IOResult {
        self.frame.alive()?;
        self.order(generation, function, LOGIN_NS)
    }

    fn order(&self, generation: Generation, function: Function, patience: u64) -> IOResult {
        let fifo = self.state.with(|s| s.fifo).ok_or(IOReturn::NotReady)?;
        let response = (self.memory.address() + LOGIN_AT) as u32;
        self.memory.write(MANAGEMENT_AT, &wire::management(function, response, fifo));
        let status = self.point(generation, self.management, MANAGEMENT_AT, patience)?;
        if (status.response, status.code) == (0, 0) { Ok(()) } else { Err(IOReturn::NotPermitted) }
    }

    /// Gives the address of an ORB to `agent`, and waits for the status; who logs out does so although nothing is started any more.
    fn point(&self, generation: Generation, agent: u64, orb: u64, patience: u64) -> IOResult<Status> {
        let orb = self.memory.address() + orb;
        self.state.with(|s| (s.waits, s.status) = (orb, None));
        self.device.ask(generation, agent, Ask::Write(&orb.to_be_bytes()))?;
        let deadline = self.kernel.now().saturating_add(patience);
        loop {
            // Whoever logs out waits for another status than those who are put off by it.
            if let Some(status) = self.state.with(|s| s.status.take_if(|status| status.orb == orb)) {
                return Ok(status);
            }
            if !self.state.with(|s| s.leaving && s.waits == orb) {
                self.frame.alive()?;
            }
            // A bus reset has aborted it (9.3); the disk may be gone.
            if self.device.generation()? != generation {
                return Err(IOReturn::BusReset);
            }
            if self.kernel.now() >= deadline {
                return Err(IOReturn::Timeout);
            }
            self.device.sleep(deadline);
        }
    }

    /// One attempt of a command.
    fn attempt(&self, login: &Login, (block, length): Block, moves: &mut Moves<'_>) -> IOResult {
        if let Moves::Out(from) = moves {
            self.memory.write(DATA_AT, from);
        }
        let data = ((self.memory.address() + DATA_AT) as u32, moves.length() as u16);
        let way = (self.device.speed(), self.device.payload());
        let node = LOCAL_BUS << 6 | u16::from(self.device.bus().local());
        let orb = wire::command(node, data, moves.is_in(), way, &block[..length]);
        self.memory.write(COMMAND_AT, &orb);
        let agent = login.agent + wire::ORB_POINTER;
        let status = self.point(login.generation, agent, COMMAND_AT, COMMAND_NS)?;
        if status.response != 0 || status.code != 0 || status.dead {
            return Err(IOReturn::NotResponding);
        }
        if let Some(key) = status.sense {
            // The unit only wanted to be heard, if there is no reason.
            return Err(scsi::why(&[0, 0, key]).unwrap_or(IOReturn::Aborted));
        }
        if let Moves::In(into) = moves {
            self.memory.read(DATA_AT, into);
        }
        Ok(())
    }

    /// Waits for so long, machine ns, unless the disk goes. Gated; sleeps.
    fn pause(&self, ns: u64) {
        let deadline = self.kernel.now().saturating_add(ns);
        while self.kernel.now() < deadline && self.frame.alive().is_ok() && !self.device.is_gone() {
            self.device.sleep(deadline);
        }
    }
}

impl Transport for Initiator {
    const DATA_BYTES: u32 = 16384;

    fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Takes the addresses to which the disk writes status blocks.
    fn begin(&self) -> IOResult {
        let (state, device) = (Arc::downgrade(&self.state), Arc::downgrade(&self.device));
        let fifo = self.device.bus().allocate(
            wire::STATUS_BYTES as u64,
            Arc::new(move |_, _, bytes| {
                let (Some(state), Some(device)) = (state.upgrade(), device.upgrade()) else { return };
                let status = wire::status(bytes);
                // What is about another ORB is late: nobody waits for it any more.
                state.with(|s| {
                    s.status = status.filter(|status| status.orb == s.waits).or(s.status);
                });
                device.wake();
            }),
        )?;
        self.state.with(|s| s.fifo = Some(fifo));
        Ok(())
    }

    fn carry(&self, command: Block, mut moves: Moves<'_>) -> IOResult {
        let deadline = self.kernel.now().saturating_add(PATIENCE_NS);
        let (mut tries, mut aborted) = (TRIES, 0u32);
        loop {
            self.frame.alive()?;
            let result =
                self.log_in(aborted, deadline).and_then(|login| self.attempt(&login, command, &mut moves));
            match result {
                // Whoever was aborted by a bus reset begins anew, as long as there is patience.
                Err(IOReturn::BusReset) if self.kernel.now() < deadline => {
                    aborted = aborted.saturating_add(1)
                }
                Err(IOReturn::NotResponding | IOReturn::Timeout | IOReturn::Busy | IOReturn::Aborted)
                    if tries > 1 =>
                {
                    tries -= 1;
                    self.recover();
                }
                Err(IOReturn::BusReset) => return Err(IOReturn::Timeout),
                other => return other,
            }
        }
    }

    /// A disk that is still there does not reach memory any more, and is not heard.
    fn go_offline(&self, wake: &dyn Fn()) {
        self.frame.go_offline(|| {
            if let Ok(generation) = self.device.generation() {
                let _ = self.device.set_physical(generation, false);
            }
            let fifo = self.state.with(|s| s.fifo.take());
            if let Some(fifo) = fifo {
                self.device.bus().free(fifo);
            }
            wake();
            self.device.wake();
        });
    }
}
