//! Carries commands through two bulk pipes.
//!
//! ```text
//! client's thread, gate ─► command out ─► data ─► status in
//!                            └ each a transfer that the thread sleeps for, with the gate open
//! ```

use super::wire::{self, Status};
use crate::driver::common::scsi::{self, Block};
use crate::driver::common::{Frame, Moves, Transport, UsbFrame, UsbHabits};
use crate::family::usb::standard::IN;
use crate::family::usb::{Data, EndpointKind, Pipe, Setup};
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::sync::Arc;

/// Where the status wrapper and the data are in the buffer; the command wrapper is at its beginning.
const STATUS_AT: u64 = 64;
const DATA_AT: u64 = 128;
/// How long one stage of a command may take, machine ns.
const STAGE_NS: u64 = 2_000_000_000;
/// Attempts of a command that the device disturbed.
const TRIES: u32 = 3;

/// How a command failed.
enum Failure {
    /// The device says no, and has sense data.
    Sense,
    /// The transport lost its way, like this: reset recovery, then once more.
    Disturbed(IOReturn),
    /// This.
    Given(IOReturn),
}

/// The two pipes of an interface.
pub struct BulkOnly {
    usb: UsbFrame,
    input: Pipe,
    output: Pipe,
    memory: Arc<MemoryDescriptor>,
    /// Of the last command.
    tag: Gated<u32>,
}

impl BulkOnly {
    /// Finds the pipes; nothing is asked of the device yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, habits: &Arc<dyn UsbHabits>) -> IOResult<Self> {
        let (usb, interface) = UsbFrame::new(me, provider, habits)?;
        let pipe = |input| interface.find_pipe(EndpointKind::Bulk, input).ok_or(IOReturn::NotFound);
        let (input, output) = (pipe(true)?, pipe(false)?);
        let memory = usb.device().buffer(DATA_AT + u64::from(Self::DATA_BYTES))?;
        let tag = usb.frame().gated(0);
        Ok(Self { usb, input, output, memory, tag })
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
        let tag = self.tag.with(|tag| {
            *tag = tag.wrapping_add(1);
            *tag
        });
        let bytes = moves.length();
        let wrapper = wire::command(tag, bytes, moves.is_in(), &block[..length]);
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
                self.usb.habits().end_halt(pipe).map_err(|why| self.failed(why))?;
                Ok(0)
            }
            Err(why) => Err(self.failed(why)),
        }
    }

    /// The status stage; a stall is cleared once (figure 2).
    fn status(&self, tag: u32, length: u32) -> Result<Status, Failure> {
        let mut count = self.stage(&self.input, STATUS_AT, wire::CSW_BYTES as u32);
        if count == Err(IOReturn::PipeStalled) {
            self.usb.habits().end_halt(&self.input).map_err(|why| self.failed(why))?;
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
        self.frame().alive()?;
        let me = self.usb.me()?;
        let data = Data { memory: self.memory.clone(), offset, length };
        self.usb.habits().transfer(&me, self.frame(), pipe, data, STAGE_NS)
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
        // Each step is made even if the one before it failed: the next command has to begin somewhere.
        let reset = self.usb.device().insist(self.usb.setup(wire::RESET, 0, 0));
        let input = self.usb.habits().end_halt(&self.input);
        let output = self.usb.habits().end_halt(&self.output);
        reset.and(input).and(output)
    }

    /// The highest unit; a device with only one may stall (3.2).
    fn last_unit(&self) -> IOResult<u8> {
        let setup = self.usb.setup(wire::GET_MAX_LUN, 0, 1);
        let setup = Setup { kind: IN | setup.kind, ..setup };
        let mut last = [0];
        match self.usb.device().request_bytes(setup, &mut last) {
            Ok(_) => Ok(last[0]),
            Err(IOReturn::PipeStalled) => Ok(0),
            Err(why) => Err(why),
        }
    }
}

impl Transport for BulkOnly {
    const DATA_BYTES: u32 = 16384;

    fn frame(&self) -> &Frame {
        self.usb.frame()
    }

    fn begin(&self) -> IOResult {
        self.last_unit().map(drop)
    }

    fn carry(&self, command: Block, mut moves: Moves<'_>) -> IOResult {
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

    /// What is on its way comes back with the device, or is aborted if that is still there.
    fn go_offline(&self, wake: &dyn Fn()) {
        self.usb.go_offline([&self.input, &self.output], |_| wake());
    }
}
