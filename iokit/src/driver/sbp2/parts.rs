//! What the driver has between `start` and `stop`: one command at a time.
//!
//! ```text
//! client's thread ─► gate ─► its turn ─► ORB in memory, its address to the agent ─► sleep
//!                                        disk: ORB, data, status block ─► address space ─► wake
//! ```
//!
//! A bus reset aborts what the disk was at. The next attempt waits until the disk is found again, takes its login up (or logs in anew, if that was too
//! late), and makes the command once more. A login is taken up when it is needed, not before.

use super::driver::Sbp2Driver;
use super::wire::{self, Function, Status};
use crate::driver::common::scsi::{self, Block, Unit};
use crate::driver::common::{self, Frame};
use crate::family::firewire::standard::{LOCAL_BUS, REGISTERS};
use crate::family::firewire::{Ask, Device, FireWireUnit, Generation};
use crate::family::storage::Geometry;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use mach::{DmaBuffer, KernelRef, WaitEvent, WaitMode};

/// Bytes of data of one command at the most.
pub const DATA_BYTES: u32 = 16384;
/// Where things are in the buffer.
const COMMAND_AT: u64 = 0;
const MANAGEMENT_AT: u64 = 64;
const LOGIN_AT: u64 = 128;
const DATA_AT: u64 = 256;
/// How long one attempt of a command, and of a login, may take, machine ns.
const COMMAND_NS: u64 = 2_000_000_000;
const LOGIN_NS: u64 = 500_000_000;
/// How long a command may take with all of its attempts.
const PATIENCE_NS: u64 = 10_000_000_000;
/// Attempts that fail for another reason than a bus reset.
const TRIES: u32 = 4;
/// What is on its way when an agent is reset has landed after this, machine ns.
const SETTLE_NS: u64 = 1_000_000;

/// What a command moves.
enum Moves<'a> {
    In(&'a mut [u8]),
    Out(&'a [u8]),
}

impl Moves<'_> {
    fn length(&self) -> u16 {
        match self {
            Self::In(bytes) => bytes.len() as u16,
            Self::Out(bytes) => bytes.len() as u16,
        }
    }
}

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
    /// Somebody's command is on its way.
    taken: bool,
    login: Option<Login>,
    /// The ORB that waits for its status.
    waits: u64,
    status: Option<Status>,
    fifo: Option<u64>,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    me: Weak<crate::service::Service>,
    frame: Frame,
    device: Arc<Device>,
    management: u64,
    unit: u16,
    memory: DmaBuffer,
    state: Arc<Gated<State>>,
    /// What threads sleep on that wait for their turn.
    turn: WaitEvent,
    geometry: spin::Once<Geometry>,
}

impl Parts {
    /// Finds out where the agent is; nothing is asked of the disk yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef) -> IOResult<Self> {
        let unit = FireWireUnit::of(provider).ok_or(IOReturn::BadArgument)?;
        let agent = unit.directory().value(wire::KEY_MANAGEMENT_AGENT).ok_or(IOReturn::Unsupported)?;
        let device = unit.device().clone();
        let memory = device.bus().link().buffer(DATA_AT + u64::from(DATA_BYTES), 64)?;
        // The controller's watchdog watches over each request: this driver needs none.
        let frame = Frame::sharing(device.work_loop().clone(), me, vec![], COMMAND_NS, |_| {});
        Ok(Self {
            kernel: me.kernel().clone(),
            me: Arc::downgrade(me),
            state: Arc::new(frame.gated(State::default())),
            turn: me.kernel().new_event(),
            frame,
            management: REGISTERS + 4 * u64::from(agent),
            unit: unit.directory().value(wire::KEY_LOGICAL_UNIT).unwrap_or(0) as u16,
            device,
            memory,
            geometry: spin::Once::new(),
        })
    }

    /// What the disk looks like; known from the end of the start on.
    pub fn geometry(&self) -> Option<Geometry> {
        self.geometry.get().copied()
    }

    /// Reads whole blocks. `me` is the driver.
    pub fn read(&self, me: &ServiceRef, block: u64, into: &mut [u8]) -> IOResult {
        let command = scsi::transfer(false, block, self.count(into.len())?);
        self.frame.call(me, || self.in_turn(command, Moves::In(into)))
    }

    /// Writes whole blocks. `me` is the driver.
    pub fn write(&self, me: &ServiceRef, block: u64, from: &[u8]) -> IOResult {
        let command = scsi::transfer(true, block, self.count(from.len())?);
        self.frame.call(me, || self.in_turn(command, Moves::Out(from)))
    }

    /// What was written is on the medium afterwards. `me` is the driver.
    pub fn flush(&self, me: &ServiceRef) -> IOResult {
        self.frame.call(me, || match self.in_turn(scsi::synchronize(), Moves::Out(&[])) {
            // A device without a cache need not know the command.
            Err(IOReturn::Unsupported) => Ok(()),
            other => other,
        })
    }

    fn count(&self, bytes: usize) -> IOResult<u16> {
        let geometry = self.geometry.get().ok_or(IOReturn::NotReady)?;
        u16::try_from(bytes / geometry.block_bytes as usize).map_err(|_| IOReturn::BadArgument)
    }

    /// A command, in its turn. Gated; sleeps.
    fn in_turn(&self, command: Block, moves: Moves<'_>) -> IOResult {
        while self.state.with(|s| core::mem::replace(&mut s.taken, true)) {
            self.frame.gate().command_sleep(self.turn, WaitMode::Uninterruptible, None);
            self.alive()?;
        }
        let result = self.command(command, moves).map_err(|why| self.frame.closed().unwrap_or(why));
        self.state.with(|s| s.taken = false);
        self.frame.gate().command_wakeup(self.turn, true);
        result
    }

    fn alive(&self) -> IOResult {
        self.frame.closed().map_or(Ok(()), Err)
    }

    /// A command, with whatever recovery it takes.
    fn command(&self, command: Block, mut moves: Moves<'_>) -> IOResult {
        let deadline = self.kernel.now().saturating_add(PATIENCE_NS);
        let mut tries = TRIES;
        loop {
            self.alive()?;
            let result = self.log_in(deadline).and_then(|login| self.attempt(&login, command, &mut moves));
            match result {
                // Whoever was aborted by a bus reset begins anew, as long as there is patience.
                Err(IOReturn::BusReset) if self.kernel.now() < deadline => {}
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

    /// The agent is reset, and what it has on its way lands: whatever it was at does nothing more (6.4.2).
    fn recover(&self) {
        let Some(login) = self.state.with(|s| s.login) else { return };
        let reset = Ask::Write(&[0; 4]);
        // If it cannot be reset, the next attempt fails and begins here again.
        let _ = self.device.ask(login.generation, login.agent + wire::AGENT_RESET, reset);
        self.pause(SETTLE_NS);
    }

    /// The login, which is taken up after a bus reset, or begun.
    fn log_in(&self, deadline: u64) -> IOResult<Login> {
        let generation = self.device.join(deadline)?;
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

    /// A management ORB. NotPermitted: the disk refuses.
    fn manage(&self, generation: Generation, function: Function) -> IOResult {
        let fifo = self.state.with(|s| s.fifo).ok_or(IOReturn::NotReady)?;
        let response = (self.memory.address() + LOGIN_AT) as u32;
        self.memory.write(MANAGEMENT_AT, &wire::management(function, response, fifo));
        let status = self.point(generation, self.management, MANAGEMENT_AT, LOGIN_NS)?;
        if (status.response, status.code) == (0, 0) { Ok(()) } else { Err(IOReturn::NotPermitted) }
    }

    /// Gives the address of an ORB to `agent`, and waits for the status.
    fn point(&self, generation: Generation, agent: u64, orb: u64, patience: u64) -> IOResult<Status> {
        let orb = self.memory.address() + orb;
        self.state.with(|s| (s.waits, s.status) = (orb, None));
        self.device.ask(generation, agent, Ask::Write(&orb.to_be_bytes()))?;
        let deadline = self.kernel.now().saturating_add(patience);
        loop {
            if let Some(status) = self.state.with(|s| s.status.take()) {
                return Ok(status);
            }
            self.alive()?;
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
        let data = ((self.memory.address() + DATA_AT) as u32, moves.length());
        let way = (self.device.speed(), self.device.payload());
        let node = LOCAL_BUS << 6 | u16::from(self.device.bus().local());
        let orb = wire::command(node, data, matches!(moves, Moves::In(_)), way, &block[..length]);
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

    /// Takes the addresses to which the disk writes status blocks.
    fn listen(&self) -> IOResult {
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
}

impl Unit for Parts {
    fn ask(&self, command: Block, into: &mut [u8]) -> IOResult {
        self.in_turn(command, Moves::In(into))
    }

    fn pause(&self, ns: u64) {
        let deadline = self.kernel.now().saturating_add(ns);
        while self.kernel.now() < deadline && self.alive().is_ok() && !self.device.is_gone() {
            self.device.sleep(deadline);
        }
    }
}

/// The parts of the driver that `service` is.
pub fn parts_of(service: &ServiceRef) -> IOResult<Arc<Parts>> {
    service.driver_as::<Sbp2Driver>().ok_or(IOReturn::Offline)?.parts()
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn begin(&self) -> IOResult {
        self.frame.begin()?;
        let me = self.me.upgrade().ok_or(IOReturn::Offline)?;
        let geometry = self.frame.call(&me, || {
            self.listen()?;
            scsi::look(self, DATA_BYTES)
        });
        match geometry {
            Ok(geometry) => {
                self.geometry.call_once(|| geometry);
                Ok(())
            }
            Err(why) => {
                common::Parts::go_offline(self);
                Err(why)
            }
        }
    }

    /// Whoever waits wakes; a disk that is still there does not reach memory any more, and is not heard.
    fn go_offline(&self) {
        self.frame.go_offline(|| {
            if let Ok(generation) = self.device.generation() {
                let _ = self.device.set_physical(generation, false);
            }
            let fifo = self.state.with(|s| s.fifo.take());
            if let Some(fifo) = fifo {
                self.device.bus().free(fifo);
            }
            self.frame.wake([self.turn]);
            self.device.wake();
        });
    }
}
