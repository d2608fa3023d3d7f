//! What the driver has between `start` and `stop`: one command at a time, through two bulk pipes.
//!
//! ```text
//! client's thread ─► gate ─► its turn ─► command out ─► data ─► status in ─► next turn
//!                                  └ each a transfer that the thread sleeps for, with the gate open
//! ```

use super::wire::{self, Status};
use crate::driver::common::scsi::{self, Block, Unit};
use crate::driver::common::{self, Frame, UsbHabits};
use crate::family::storage::Geometry;
use crate::family::usb::standard::{CLASS, IN, TO_INTERFACE};
use crate::family::usb::{Data, Device, EndpointKind, Pipe, Setup, UsbInterface};
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::sync::Arc;
use alloc::vec;
use mach::{KernelRef, WaitEvent, WaitMode};

/// Bytes of data of one command at the most.
pub const DATA_BYTES: u32 = 16384;
/// Where the status wrapper and the data are in the buffer; the command wrapper is at its beginning.
const STATUS_AT: u64 = 64;
const DATA_AT: u64 = 128;
/// How long one stage of a command may take, machine ns.
const STAGE_NS: u64 = 2_000_000_000;
/// Attempts of a command that the device disturbed.
const TRIES: u32 = 3;

/// What a command moves.
enum Moves<'a> {
    Nothing,
    In(&'a mut [u8]),
    Out(&'a [u8]),
}

impl Moves<'_> {
    fn length(&self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::In(bytes) => bytes.len() as u32,
            Self::Out(bytes) => bytes.len() as u32,
        }
    }
}

/// How a command failed.
enum Failure {
    /// The device says no, and has sense data.
    Sense,
    /// The transport lost its way, like this: reset recovery, then once more.
    Disturbed(IOReturn),
    /// This.
    Given(IOReturn),
}

/// What the gate protects.
#[derive(Default)]
struct State {
    /// Somebody's command is on its way.
    taken: bool,
    tag: u32,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    me: alloc::sync::Weak<crate::service::Service>,
    frame: Frame,
    device: Arc<Device>,
    interface: u8,
    input: Pipe,
    output: Pipe,
    memory: Arc<MemoryDescriptor>,
    state: Gated<State>,
    /// What threads sleep on that wait for their turn.
    turn: WaitEvent,
    geometry: spin::Once<Geometry>,
    habits: Arc<dyn UsbHabits>,
}

impl Parts {
    /// Finds the pipes; nothing is asked of the device yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, habits: &Arc<dyn UsbHabits>) -> IOResult<Self> {
        let interface = UsbInterface::of(provider).ok_or(IOReturn::BadArgument)?;
        let pipe = |input| interface.find_pipe(EndpointKind::Bulk, input).ok_or(IOReturn::NotFound);
        let (input, output) = (pipe(true)?, pipe(false)?);
        let device = interface.device().clone();
        let work_loop = device.bus().host().work_loop().clone();
        let memory = device.buffer(DATA_AT + u64::from(DATA_BYTES))?;
        // The controller's watchdog watches over each transfer: this driver needs none.
        let frame = Frame::sharing(work_loop, me, vec![], STAGE_NS, |_| {});
        Ok(Self {
            kernel: me.kernel().clone(),
            me: Arc::downgrade(me),
            state: frame.gated(State::default()),
            turn: me.kernel().new_event(),
            frame,
            interface: interface.descriptor().number,
            device,
            input,
            output,
            memory,
            geometry: spin::Once::new(),
            habits: habits.clone(),
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
        self.frame.call(me, || match self.in_turn(scsi::synchronize(), Moves::Nothing) {
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
            if let Some(why) = self.frame.closed() {
                return Err(why);
            }
        }
        let result = self.command(command, moves).map_err(|why| self.frame.closed().unwrap_or(why));
        self.state.with(|s| s.taken = false);
        self.frame.gate().command_wakeup(self.turn, true);
        result
    }

    /// A command, with whatever recovery it takes.
    fn command(&self, command: Block, mut moves: Moves<'_>) -> IOResult {
        let mut last = IOReturn::NotResponding;
        for _ in 0..TRIES {
            match self.attempt(command, &mut moves) {
                Ok(()) => return Ok(()),
                Err(Failure::Given(why)) => return Err(why),
                Err(Failure::Sense) => {
                    if let Some(why) = self.sense()? {
                        return Err(why);
                    }
                }
                Err(Failure::Disturbed(why)) => {
                    last = why;
                    self.recover()?;
                }
            }
        }
        Err(last)
    }

    /// Why the last command failed. `None`: for no reason that counts.
    fn sense(&self) -> IOResult<Option<IOReturn>> {
        let mut sense = [0; scsi::SENSE_BYTES as usize];
        match self.attempt(scsi::request_sense(), &mut Moves::In(&mut sense)) {
            Ok(()) => Ok(scsi::why(&sense)),
            Err(Failure::Given(why)) => Err(why),
            Err(Failure::Sense) => Ok(Some(IOReturn::Error)),
            Err(Failure::Disturbed(_)) => {
                self.recover()?;
                Ok(Some(IOReturn::Error))
            }
        }
    }

    /// The three stages of a command (5.3).
    fn attempt(&self, (block, length): Block, moves: &mut Moves<'_>) -> Result<(), Failure> {
        let tag = self.state.with(|s| {
            s.tag = s.tag.wrapping_add(1);
            s.tag
        });
        let bytes = moves.length();
        let wrapper = wire::command(tag, bytes, matches!(moves, Moves::In(_)), &block[..length]);
        self.memory.write_bytes(0, &wrapper);
        match self.stage(&self.output, 0, wire::CBW_BYTES as u32) {
            Ok(_) => {}
            Err(IOReturn::PipeStalled) => return Err(Failure::Disturbed(IOReturn::NotResponding)),
            Err(why) => return Err(self.failed(why)),
        }
        let moved = self.data(moves)?;
        let Status::Passed(residue) = self.status(tag, bytes)? else { return Err(Failure::Sense) };
        // Less than was asked for is a failure of a disk.
        if moved < bytes || residue != 0 {
            return match moves {
                // Sense data, inquiries and modes may be shorter.
                Moves::In(into) if into.len() < 512 => Ok(()),
                _ => Err(Failure::Given(IOReturn::Error)),
            };
        }
        Ok(())
    }

    /// The data stage; bytes that were moved. A stall ends it, and the status says why (6.7.2, 6.7.3).
    fn data(&self, moves: &mut Moves<'_>) -> Result<u32, Failure> {
        let length = moves.length();
        if length == 0 {
            return Ok(0);
        }
        if let Moves::Out(from) = moves {
            self.memory.write_bytes(DATA_AT, from);
        }
        let pipe = if matches!(moves, Moves::Out(_)) { &self.output } else { &self.input };
        match self.stage(pipe, DATA_AT, length) {
            Ok(count) => {
                if let Moves::In(into) = moves {
                    let count = (count as usize).min(into.len());
                    self.memory.read_bytes(DATA_AT, &mut into[..count]);
                }
                Ok(count)
            }
            Err(IOReturn::PipeStalled) => {
                self.habits.end_halt(pipe).map_err(|why| self.failed(why))?;
                Ok(0)
            }
            Err(why) => Err(self.failed(why)),
        }
    }

    /// The status stage; a stall is cleared once (figure 2).
    fn status(&self, tag: u32, length: u32) -> Result<Status, Failure> {
        let mut count = self.stage(&self.input, STATUS_AT, wire::CSW_BYTES as u32);
        if count == Err(IOReturn::PipeStalled) {
            self.habits.end_halt(&self.input).map_err(|why| self.failed(why))?;
            count = self.stage(&self.input, STATUS_AT, wire::CSW_BYTES as u32);
        }
        let count = match count {
            Ok(count) => (count as usize).min(wire::CSW_BYTES),
            Err(IOReturn::PipeStalled) => return Err(Failure::Disturbed(IOReturn::NotResponding)),
            Err(why) => return Err(self.failed(why)),
        };
        let mut bytes = [0; wire::CSW_BYTES];
        self.memory.read_bytes(STATUS_AT, &mut bytes[..count]);
        match wire::status(&bytes[..count], tag, length) {
            Some(Status::PhaseError) | None => Err(Failure::Disturbed(IOReturn::NotResponding)),
            Some(status) => Ok(status),
        }
    }

    fn stage(&self, pipe: &Pipe, offset: u64, length: u32) -> IOResult<u32> {
        if let Some(why) = self.frame.closed() {
            return Err(why);
        }
        let me = self.me.upgrade().ok_or(IOReturn::Offline)?;
        let data = Data { memory: self.memory.clone(), offset, length };
        self.habits.transfer(&me, &self.frame, pipe, data, STAGE_NS)
    }

    /// Of a stage that did not end well: what that is for the command.
    fn failed(&self, why: IOReturn) -> Failure {
        match why {
            // A device that lost count of the data waits for ever for the rest of it.
            IOReturn::NotResponding | IOReturn::Overrun | IOReturn::Timeout => Failure::Disturbed(why),
            why => Failure::Given(why),
        }
    }

    /// Reset recovery (5.3.4).
    fn recover(&self) -> IOResult {
        let setup = Setup {
            kind: CLASS | TO_INTERFACE,
            request: wire::RESET,
            value: 0,
            index: u16::from(self.interface),
            length: 0,
        };
        // Each step is made even if the one before it failed: the next command has to begin somewhere.
        let reset = self.device.insist(setup);
        let input = self.habits.end_halt(&self.input);
        let output = self.habits.end_halt(&self.output);
        reset.and(input).and(output)
    }

    /// The highest unit; a device with only one may stall (3.2).
    fn last_unit(&self) -> IOResult<u8> {
        let setup = Setup {
            kind: IN | CLASS | TO_INTERFACE,
            request: wire::GET_MAX_LUN,
            value: 0,
            index: u16::from(self.interface),
            length: 1,
        };
        let mut last = [0];
        match self.device.request_bytes(setup, &mut last) {
            Ok(_) => Ok(last[0]),
            Err(IOReturn::PipeStalled) => Ok(0),
            Err(why) => Err(why),
        }
    }

    /// Gets to know the disk. Gated; sleeps.
    fn look(&self) -> IOResult<Geometry> {
        let _ = self.last_unit()?;
        scsi::look(self, DATA_BYTES)
    }
}

impl Unit for Parts {
    fn ask(&self, command: Block, into: &mut [u8]) -> IOResult {
        let moves = if into.is_empty() { Moves::Nothing } else { Moves::In(into) };
        self.in_turn(command, moves)
    }

    fn pause(&self, ns: u64) {
        let deadline = self.kernel.now().saturating_add(ns);
        self.frame.gate().command_sleep(self.turn, WaitMode::Uninterruptible, Some(deadline));
    }
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn begin(&self) -> IOResult {
        self.frame.begin()?;
        let me = self.me.upgrade().ok_or(IOReturn::Offline)?;
        let geometry = self.frame.call(&me, || self.look())?;
        self.geometry.call_once(|| geometry);
        Ok(())
    }

    /// Whoever waits for his turn wakes; what is in flight comes back with the device, or is aborted if that is still there.
    fn go_offline(&self) {
        self.frame.go_offline(|| {
            self.frame.wake([self.turn]);
            self.input.abort();
            self.output.abort();
        });
    }
}
