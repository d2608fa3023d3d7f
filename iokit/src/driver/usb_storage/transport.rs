//! Carries commands through two bulk pipes.
//!
//! ```text
//! client's thread, gate ─┬► command out, data in, status in: one exchange ──────────────┬► what came of it
//!                        └► command out, data out: one exchange; status in: another one ┘
//! ```
//!
//! The thread sleeps for an exchange, with the gate open. The device answers NAK on the pipe in until it has its command (Bulk-Only Transport 1.0, 5.3); but there are
//! devices that halt the pipe if they are asked for the status before they have all the data that the host sends, so that waits.

use super::wire::{self, Status};
use crate::driver::common::scsi::{self, Block};
use crate::driver::common::{Frame, Moves, Transport, UsbFrame, UsbHabits};
use crate::family::usb::standard::IN;
use crate::family::usb::{Data, EndpointKind, Outcome, Pipe, Setup, Stage};
use crate::io::MemoryDescriptor;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Where the status wrapper and the data are in the buffer; the command wrapper is at its beginning.
const STATUS_AT: u64 = 64;
const DATA_AT: u64 = 128;
/// How long each stage may take from the beginning of its exchange on, machine ns.
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

/// A stage of a command (5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Command,
    Data,
    Status,
}

/// Devices, by vendor and product, that must not be asked for the status before the data from them are through. QEMU's (as of 7.2) sets such a request aside
/// and forgets it.
const FORGETFUL: &[(u16, u16)] = &[(0x46f4, 0x0001)];

/// The first exchange of a command that moves so many bytes; if it has no status, that is the second. `queues`: the status may be asked for before the data from the
/// device are through.
fn parts(bytes: u32, is_in: bool, queues: bool) -> &'static [Part] {
    match (bytes, is_in && queues) {
        (0, _) => &[Part::Command, Part::Status],
        (_, true) => &[Part::Command, Part::Data, Part::Status],
        (_, false) => &[Part::Command, Part::Data],
    }
}

/// What the first exchange has come to.
#[derive(Default)]
struct Start {
    /// Bytes of data that were moved.
    moved: u32,
    /// Bytes of the status, if it has come.
    status: Option<u32>,
    /// A halt was ended in place of the status.
    cleared: bool,
}

/// The two pipes of an interface.
pub struct BulkOnly {
    usb: UsbFrame,
    input: Pipe,
    output: Pipe,
    memory: Arc<MemoryDescriptor>,
    /// The status may be asked for before the data from the device are through.
    queues: bool,
    /// Of the last command.
    tag: Gated<u32>,
    /// The last reset recovery failed: the device may be anywhere in a command, and nothing is begun before one went well.
    astray: Gated<bool>,
}

impl BulkOnly {
    /// Finds the pipes; nothing is asked of the device yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, habits: &Arc<dyn UsbHabits>) -> IOResult<Self> {
        let (usb, interface) = UsbFrame::new(me, provider, habits)?;
        let pipe = |input| interface.find_pipe(EndpointKind::Bulk, input).ok_or(IOReturn::NotFound);
        let (input, output) = (pipe(true)?, pipe(false)?);
        let memory = usb.device().buffer(DATA_AT + u64::from(Self::DATA_BYTES))?;
        let (tag, astray) = (usb.frame().gated(0), usb.frame().gated(false));
        let descriptor = &usb.device().facts().descriptor;
        let queues = !FORGETFUL.contains(&(descriptor.vendor, descriptor.product));
        Ok(Self { usb, input, output, memory, queues, tag, astray })
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
        if let Moves::Out(from) = moves {
            self.memory.write_bytes(DATA_AT, from);
        }
        let start = self.start(bytes, moves.is_in())?;
        if let Moves::In(into) = moves {
            let count = (start.moved as usize).min(into.len());
            self.memory.read_bytes(DATA_AT, &mut into[..count]);
        }
        let count = match start.status {
            Some(count) => count,
            None => self.ask_status(start.cleared)?,
        };
        let Status::Passed(residue) = self.read_status(count, tag, bytes)? else {
            return Err(Failure::Sense);
        };
        // Less than was asked for is a failure of a disk.
        if start.moved < bytes || residue != 0 {
            return match moves {
                // Sense data, inquiries and modes may be shorter.
                Moves::In(into) if into.len() < 512 => Ok(()),
                _ => Err(Failure::Given(IOReturn::Error)),
            };
        }
        Ok(())
    }

    /// The command, and what can be begun with it. A stall ends the data, and the status says why (6.7.2, 6.7.3).
    fn start(&self, bytes: u32, is_in: bool) -> Result<Start, Failure> {
        let parts = parts(bytes, is_in, self.queues);
        let outcome = self.exchange(parts.iter().map(|part| self.stage(*part, bytes, is_in)).collect());
        let outcome = outcome.map_err(|why| self.failed(why))?;
        let of = |wanted| parts.iter().position(|part| *part == wanted).map(|n| outcome.moved[n]);
        let moved = of(Part::Data).unwrap_or(0);
        match outcome.failed.map(|(n, why)| (parts[n], why)) {
            None => Ok(Start { moved, status: of(Part::Status), cleared: false }),
            Some((Part::Command, IOReturn::PipeStalled)) => Err(Failure::Disturbed(IOReturn::NotResponding)),
            Some((part, IOReturn::PipeStalled)) => {
                self.end_halt(self.pipe(part, is_in))?;
                Ok(Start { moved, status: None, cleared: part == Part::Status })
            }
            Some((_, why)) => Err(self.failed(why)),
        }
    }

    /// The status stage by itself; bytes of the status. A stall is cleared once (figure 2), unless that has been done.
    fn ask_status(&self, cleared: bool) -> Result<u32, Failure> {
        for last in [cleared, true] {
            // The device has its command: if nobody can ask what became of it, it has to forget it.
            let outcome =
                self.exchange(vec![self.stage(Part::Status, 0, true)]).map_err(Failure::Disturbed)?;
            match outcome.failed {
                None => return Ok(outcome.moved[0]),
                Some((_, IOReturn::PipeStalled)) if !last => self.end_halt(&self.input)?,
                Some((_, IOReturn::PipeStalled)) => break,
                Some((_, why)) => return Err(self.failed(why)),
            }
        }
        Err(Failure::Disturbed(IOReturn::NotResponding))
    }

    /// The status that has come, with so many bytes.
    fn read_status(&self, count: u32, tag: u32, length: u32) -> Result<Status, Failure> {
        let count = (count as usize).min(wire::CSW_BYTES);
        let mut bytes = [0; wire::CSW_BYTES];
        self.memory.read_bytes(STATUS_AT, &mut bytes[..count]);
        match wire::status(&bytes[..count], tag, length) {
            Some(Status::PhaseError) | None => Err(Failure::Disturbed(IOReturn::NotResponding)),
            Some(status) => Ok(status),
        }
    }

    fn pipe(&self, part: Part, is_in: bool) -> &Pipe {
        match part {
            Part::Command => &self.output,
            Part::Data if !is_in => &self.output,
            Part::Data | Part::Status => &self.input,
        }
    }

    /// A stage of a command that moves so many bytes.
    fn stage(&self, part: Part, bytes: u32, is_in: bool) -> Stage {
        let (offset, length) = match part {
            Part::Command => (0, wire::CBW_BYTES as u32),
            Part::Data => (DATA_AT, bytes),
            Part::Status => (STATUS_AT, wire::CSW_BYTES as u32),
        };
        let data = Data { memory: self.memory.clone(), offset, length };
        Stage { pipe: self.pipe(part, is_in).clone(), data }
    }

    fn exchange(&self, stages: Vec<Stage>) -> IOResult<Outcome> {
        self.frame().alive()?;
        let me = self.usb.me()?;
        self.usb.habits().exchange(&me, self.frame(), &stages, STAGE_NS)
    }

    fn end_halt(&self, pipe: &Pipe) -> Result<(), Failure> {
        self.usb.habits().end_halt(pipe).map_err(|why| self.failed(why))
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
        let result = reset.and(input).and(output);
        self.astray.with(|astray| *astray = result.is_err());
        result
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
    const DATA_BYTES: u32 = 65536;

    fn frame(&self) -> &Frame {
        self.usb.frame()
    }

    fn begin(&self) -> IOResult {
        self.last_unit().map(drop)
    }

    fn carry(&self, command: Block, mut moves: Moves<'_>) -> IOResult {
        if self.astray.with(|astray| *astray) {
            self.recover()?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_begun_with_the_command_unless_data_must_be_through_before() {
        let all = [Part::Command, Part::Data, Part::Status];
        assert_eq!(parts(512, true, true), all);
        for (is_in, queues) in [(true, false), (false, true), (false, false)] {
            assert_eq!(parts(512, is_in, queues), &all[..2]);
        }
        for (is_in, queues) in [(true, true), (true, false), (false, true)] {
            assert_eq!(parts(0, is_in, queues), [Part::Command, Part::Status]);
        }
    }
}
