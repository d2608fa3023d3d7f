//! Mass storage (Bulk-Only Transport 1.0): command block, data, command status.
//!
//! ```text
//! OUT 31 bytes ─► SCSI command ─► data IN or OUT ─► IN 13 bytes
//!                       └ refused: the data endpoint halts until the host clears it, then the status is sent
//! ```
//!
//! A command block that is not valid halts both endpoints until the host does a reset recovery (5.3.4, 6.6.1).

pub mod scsi;

use super::descriptor::{Configuration, Descriptors};
use super::gadget::{Gadget, Reply, Setup, Speed, Stalled};
use crate::spec::usb as spec;
use crate::virtio::store::BlockStore;
use scsi::{Disk, Work};

/// Bulk endpoint to the host.
const IN: u8 = 1;
/// Bulk endpoint to the device.
const OUT: u8 = 2;

/// Where the data of a command come from or go to.
enum Data {
    /// The answer of a command, and how much of it is sent.
    Answer(Vec<u8>, usize),
    /// Blocks of the disk, from this byte on.
    Read(u64),
    /// The same.
    Write(u64),
}

/// A command that was taken.
struct Command {
    tag: u32,
    /// Bytes that the host will still send or take.
    host_left: u32,
    /// Bytes that the device will still send or take.
    device_left: u64,
    /// Bytes that were moved.
    residue: u32,
    status: u8,
    data: Option<Data>,
}

/// What the endpoints expect.
enum Phase {
    Command,
    DataIn(Command),
    DataOut(Command),
    /// The status is to be sent.
    Status(Command),
    /// Only a reset recovery helps.
    Broken,
}

/// The device.
pub struct Storage {
    disk: Disk,
    speed: Speed,
    serial: String,
    latency: u64,
    phase: Phase,
    /// Machine time at which the device has done what it is at.
    ready: u64,
    in_halted: bool,
    out_halted: bool,
}

impl Storage {
    /// A stick with its data in `store`, that takes `latency` machine ns for a command before its data move; `name` is its serial number.
    pub fn new(store: Box<dyn BlockStore>, latency: u64, speed: Speed, name: &str) -> Self {
        Self {
            disk: Disk::new(store, "stick", name),
            speed,
            serial: name.into(),
            latency,
            phase: Phase::Command,
            ready: 0,
            in_halted: false,
            out_halted: false,
        }
    }

    /// A packet where a command block is expected.
    fn command(&mut self, packet: &[u8], now: u64) -> Reply {
        let Some(wrapper) = Wrapper::parse(packet) else {
            self.phase = Phase::Broken;
            return Reply::Stall;
        };
        self.ready = now.saturating_add(self.latency);
        let mut command = Command {
            tag: wrapper.tag,
            host_left: wrapper.length,
            device_left: 0,
            residue: wrapper.length,
            status: spec::CSW_PASSED,
            data: None,
        };
        match self.disk.execute(&wrapper.block, wrapper.unit) {
            Ok(Work::Done) => {}
            Ok(Work::Send(answer)) => {
                command.device_left = answer.len() as u64;
                command.data = Some(Data::Answer(answer, 0));
            }
            Ok(Work::Read { offset, bytes }) => {
                command.device_left = bytes;
                command.data = Some(Data::Read(offset));
            }
            Ok(Work::Write { offset, bytes }) => {
                command.device_left = bytes;
                command.data = Some(Data::Write(offset));
            }
            Err(scsi::Refused) => command.status = spec::CSW_FAILED,
        }
        self.begin(command, wrapper.to_host);
        Reply::Done(packet.len())
    }

    /// The thirteen cases of 6.7: what the host expects and what the device will do.
    fn begin(&mut self, mut command: Command, to_host: bool) {
        let writes = matches!(command.data, Some(Data::Write(_)));
        let mismatch = command.device_left > 0 && command.host_left > 0 && writes == to_host;
        if mismatch || command.device_left > u64::from(command.host_left) {
            command.status = spec::CSW_PHASE;
        }
        if mismatch {
            command.data = None;
            command.device_left = 0;
        }
        self.phase = match (command.host_left, to_host) {
            (0, _) => Phase::Status(command),
            (_, true) => Phase::DataIn(command),
            (_, false) => Phase::DataOut(command),
        };
    }

    /// The next packet of data to the host.
    fn send(&mut self, mut command: Command, packet: &mut [u8]) -> Reply {
        let most = u64::from(command.host_left).min(command.device_left).min(packet.len() as u64) as usize;
        let moved = match &mut command.data {
            Some(Data::Answer(answer, sent)) => {
                packet[..most].copy_from_slice(&answer[*sent..*sent + most]);
                *sent += most;
                true
            }
            Some(Data::Read(offset)) => {
                let read = self.disk.read(*offset, &mut packet[..most]);
                *offset += most as u64;
                read
            }
            _ => false,
        };
        if most == 0 || !moved {
            // Less than the host expects: the pipe halts (6.7.2), and the status says how much.
            if most > 0 {
                command.status = spec::CSW_FAILED;
            }
            self.in_halted = true;
            self.phase = Phase::Status(command);
            return Reply::Stall;
        }
        command.count(most);
        // A short packet ends the data as well as a halt.
        let ends = command.host_left == 0 || most < packet.len();
        self.phase = if ends { Phase::Status(command) } else { Phase::DataIn(command) };
        Reply::Done(most)
    }

    /// A packet of data to the device.
    fn take(&mut self, mut command: Command, packet: &[u8], now: u64) -> Reply {
        let most = u64::from(command.host_left).min(command.device_left).min(packet.len() as u64) as usize;
        let moved = match &mut command.data {
            Some(Data::Write(offset)) if most > 0 => {
                let written = self.disk.write(*offset, &packet[..most]);
                *offset += most as u64;
                if !written {
                    command.status = spec::CSW_FAILED;
                }
                written
            }
            _ => false,
        };
        if moved {
            command.count(most);
        }
        if !moved || packet.len() > most {
            self.out_halted = true;
            self.phase = Phase::Status(command);
            return Reply::Stall;
        }
        self.ready = now.saturating_add(self.latency);
        self.phase = if command.host_left == 0 { Phase::Status(command) } else { Phase::DataOut(command) };
        Reply::Done(most)
    }

    /// The command status wrapper (5.2).
    fn status(&mut self, command: &Command, packet: &mut [u8]) -> Reply {
        let mut bytes = [0; spec::CSW_BYTES];
        bytes[..4].copy_from_slice(&spec::CSW_SIGNATURE.to_le_bytes());
        bytes[4..8].copy_from_slice(&command.tag.to_le_bytes());
        bytes[8..12].copy_from_slice(&command.residue.to_le_bytes());
        bytes[12] = command.status;
        let length = packet.len().min(bytes.len());
        packet[..length].copy_from_slice(&bytes[..length]);
        Reply::Done(length)
    }
}

impl Command {
    fn count(&mut self, bytes: usize) {
        self.host_left = self.host_left.saturating_sub(bytes as u32);
        self.residue = self.residue.saturating_sub(bytes as u32);
        self.device_left = self.device_left.saturating_sub(bytes as u64);
    }
}

/// A command block wrapper (5.1) that is valid and meaningful (6.2).
struct Wrapper {
    tag: u32,
    length: u32,
    to_host: bool,
    unit: u8,
    block: [u8; 16],
}

impl Wrapper {
    fn parse(packet: &[u8]) -> Option<Self> {
        let bytes: &[u8; spec::CBW_BYTES] = packet.try_into().ok()?;
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut block = [0; 16];
        block.copy_from_slice(&bytes[15..]);
        let valid = word(0) == spec::CBW_SIGNATURE && bytes[13] < 16 && (1..=16).contains(&bytes[14]);
        valid.then(|| Self {
            tag: word(4),
            length: word(8),
            to_host: bytes[12] & spec::REQUEST_IN != 0,
            unit: bytes[13],
            block,
        })
    }
}

impl Gadget for Storage {
    fn speed(&self) -> Speed {
        self.speed
    }

    fn descriptors(&self, speed: Speed) -> Descriptors {
        let packet = match speed {
            Speed::Super => 1024,
            Speed::High => 512,
            Speed::Full | Speed::Low => 64,
        };
        let class = [spec::CLASS_STORAGE, spec::STORAGE_SCSI, spec::STORAGE_BULK_ONLY];
        Descriptors {
            vendor: spec::VENDOR,
            product: 0x0104,
            class: [0; 3],
            name: "Workgate stick",
            serial: self.serial.clone(),
            configuration: Configuration::new(speed)
                .interface(class)
                .endpoint(IN | spec::REQUEST_IN, spec::BULK, packet, 0)
                .endpoint(OUT, spec::BULK, packet, 0),
        }
    }

    fn control(&mut self, setup: &Setup, data: &mut Vec<u8>, _now: u64) -> Result<(), Stalled> {
        match (setup.class(), setup.recipient(), setup.request) {
            (spec::TYPE_CLASS, spec::TO_INTERFACE, spec::STORAGE_MAX_LUN) if setup.is_in() => {
                data.push(0);
                Ok(())
            }
            (spec::TYPE_CLASS, spec::TO_INTERFACE, spec::STORAGE_RESET) if !setup.is_in() => {
                // Halts stay until the host clears them (BOT 3.1).
                self.in_halted |= matches!(self.phase, Phase::Broken);
                self.out_halted |= matches!(self.phase, Phase::Broken);
                self.phase = Phase::Command;
                Ok(())
            }
            _ => Err(Stalled),
        }
    }

    fn input(&mut self, _endpoint: u8, packet: &mut [u8], now: u64) -> Reply {
        if self.in_halted {
            return Reply::Stall;
        }
        if now < self.ready && !matches!(self.phase, Phase::Command | Phase::Broken) {
            return Reply::Nak(Some(self.ready));
        }
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::DataIn(command) => self.send(command, packet),
            Phase::Status(command) => self.status(&command, packet),
            Phase::Command => Reply::Nak(None),
            Phase::DataOut(command) => {
                self.phase = Phase::DataOut(command);
                Reply::Nak(None)
            }
            Phase::Broken => {
                self.phase = Phase::Broken;
                Reply::Stall
            }
        }
    }

    fn output(&mut self, _endpoint: u8, packet: &[u8], now: u64) -> Reply {
        if self.out_halted {
            return Reply::Stall;
        }
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Command => self.command(packet, now),
            Phase::DataOut(command) => self.take(command, packet, now),
            // The host is out of step: it has not taken what is for it.
            phase @ (Phase::DataIn(_) | Phase::Status(_)) => {
                self.phase = phase;
                Reply::Nak(None)
            }
            Phase::Broken => {
                self.phase = Phase::Broken;
                Reply::Stall
            }
        }
    }

    fn reset(&mut self) {
        self.disk.reset();
        self.phase = Phase::Command;
        self.ready = 0;
        self.in_halted = false;
        self.out_halted = false;
    }

    /// A device that halts in the data stage is through with the data: the status says that the command failed (6.7.2, 6.7.3).
    fn stalled(&mut self, endpoint: u8) {
        let to_host = endpoint & spec::REQUEST_IN != 0;
        self.phase = match (std::mem::replace(&mut self.phase, Phase::Command), to_host) {
            (Phase::DataIn(command), true) | (Phase::DataOut(command), false) => {
                self.disk.interrupted();
                Phase::Status(Command { status: spec::CSW_FAILED, ..command })
            }
            (phase, _) => phase,
        };
    }

    fn resume(&mut self, endpoint: u8) {
        if endpoint & spec::REQUEST_IN != 0 { self.in_halted = false } else { self.out_halted = false }
    }
}
