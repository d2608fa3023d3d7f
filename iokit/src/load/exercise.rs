//! What is asked of each kind of device, and what must come back.

use super::camera::Frames;
use super::daq::Stream;
use super::disk::DiskWorker;
use super::hid::Reports;
use super::node::NodeWorker;
use super::pattern;
use super::serial::Line;
use crate::driver::edu::client as edu;
use crate::ioreturn::{IOResult, IOReturn};
use crate::user_client::{Arguments, Connection};
use alloc::sync::Arc;
use mach::KernelRef;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It came back right.
    Done,
    /// It came back right, and told of so many samples that were lost before it: the machine was too slow for the device.
    Overrun(u32),
    /// The device, or the port to it, is gone.
    Offline,
    /// It came back with this IOReturn.
    Error(u32),
    /// It came back with wrong data.
    Corrupt,
}

impl Outcome {
    pub(super) fn of(result: IOResult, right: bool) -> Self {
        match result {
            Ok(()) if right => Self::Done,
            Ok(()) => Self::Corrupt,
            Err(IOReturn::Offline | IOReturn::DeadPort) => Self::Offline,
            Err(other) => Self::Error(other.code()),
        }
    }
}

/// The kinds of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exercise {
    /// An edu card: factorials, copies, liveness checks.
    Edu,
    /// A disk: writes, and reads of what was written.
    Disk,
    /// A data-acquisition card: reads of the stream.
    Daq,
    /// A keyboard or a mouse: reads of its reports.
    Hid,
    /// A serial port: bytes there and back, or what it sends by itself.
    Serial,
    /// A plain FireWire node: writes, reads of what was written, locks.
    Node,
    /// A FireWire camera: reads of its stream.
    Camera,
}

/// The exercise of one client, with what its threads share.
pub(super) enum Shared {
    /// Nothing is shared.
    Edu,
    /// Nothing is shared; bytes of a request, if they are said.
    Disk(Option<u32>),
    /// What they have seen of the stream.
    Daq(Arc<Stream>),
    /// What they have seen of the reports.
    Hid(Arc<Reports>),
    /// Whose turn it is.
    Serial(Arc<Line>),
    /// Nothing is shared.
    Node,
    /// What they have seen of the stream.
    Camera(Arc<Frames>),
}

/// One thread's part of an exercise.
pub(super) enum Worker {
    /// Whose turn it is.
    Edu(u32),
    /// A part of the disk.
    Disk(DiskWorker),
    /// The client's stream.
    Daq(Arc<Stream>),
    /// The client's reports.
    Hid(Arc<Reports>),
    /// The client's line.
    Serial(Arc<Line>),
    /// A part of the memory.
    Node(NodeWorker),
    /// The client's stream.
    Camera(Arc<Frames>),
}

impl Exercise {
    /// The exercise of one client with `depth` threads; `size` bytes of a request of a disk.
    pub(super) fn shared(self, kernel: &KernelRef, depth: u32, size: Option<u32>) -> Shared {
        match self {
            Self::Edu => Shared::Edu,
            Self::Disk => Shared::Disk(size),
            Self::Daq => Shared::Daq(Stream::new(kernel, depth)),
            Self::Hid => Shared::Hid(Reports::new(kernel, depth)),
            Self::Serial => Shared::Serial(Line::new(kernel)),
            Self::Node => Shared::Node,
            Self::Camera => Shared::Camera(Frames::new(kernel, depth)),
        }
    }
}

impl Shared {
    /// The part of thread `number` (from 0) of the `threads` of a session.
    pub(super) fn worker(&self, number: u32, threads: u32) -> Worker {
        match self {
            Self::Edu => Worker::Edu(number),
            Self::Disk(size) => Worker::Disk(DiskWorker::new(number, threads, *size)),
            Self::Daq(stream) => Worker::Daq(stream.clone()),
            Self::Hid(reports) => Worker::Hid(reports.clone()),
            Self::Serial(line) => Worker::Serial(line.clone()),
            Self::Node => Worker::Node(NodeWorker::new(number)),
            Self::Camera(frames) => Worker::Camera(frames.clone()),
        }
    }

    /// All threads are through: what their work as a whole says, if there is more to it than its parts.
    pub(super) fn close(&self) -> Option<Outcome> {
        match self {
            Self::Edu | Self::Disk(_) | Self::Serial(_) | Self::Node => None,
            Self::Daq(stream) => Some(if stream.is_whole() { Outcome::Done } else { Outcome::Corrupt }),
            Self::Camera(frames) => Some(if frames.is_whole() { Outcome::Done } else { Outcome::Corrupt }),
            Self::Hid(reports) => Some(if reports.is_whole() { Outcome::Done } else { Outcome::Corrupt }),
        }
    }
}

impl Worker {
    /// Makes request `id` through `connection` and checks what comes back.
    pub(super) fn request(&mut self, connection: &Connection, id: u64) -> Outcome {
        match self {
            Self::Disk(worker) => worker.request(connection, id),
            Self::Daq(stream) => stream.request(connection),
            Self::Hid(reports) => reports.request(connection),
            Self::Serial(line) => line.request(connection, id),
            Self::Node(worker) => worker.request(connection, id),
            Self::Camera(frames) => frames.request(connection),
            Self::Edu(turn) => {
                let now = *turn % 4;
                *turn = turn.wrapping_add(1);
                match now {
                    0 | 2 => factorial(connection, id),
                    1 => copy(connection, id),
                    _ => liveness(connection, id),
                }
            }
        }
    }
}

fn factorial(connection: &Connection, id: u64) -> Outcome {
    let n = id % 16;
    let mut output = [0];
    let mut arguments = Arguments { scalar_input: &[n], scalar_output: &mut output, ..Arguments::default() };
    let result = connection.call(edu::FACTORIAL, &mut arguments);
    let expected = (1..=n as u32).fold(1u32, u32::wrapping_mul);
    Outcome::of(result, output[0] == u64::from(expected))
}

fn liveness(connection: &Connection, id: u64) -> Outcome {
    let value = id as u32;
    let mut output = [0];
    let input = [u64::from(value)];
    let mut arguments =
        Arguments { scalar_input: &input, scalar_output: &mut output, ..Arguments::default() };
    let result = connection.call(edu::LIVENESS, &mut arguments);
    Outcome::of(result, output[0] == u64::from(!value))
}

/// Bytes that a copy takes to the card and back.
const COPY_BYTES: usize = 96;

fn copy(connection: &Connection, id: u64) -> Outcome {
    let (mut there, mut back) = ([0; COPY_BYTES], [0; COPY_BYTES]);
    pattern::fill(&mut there, id);
    let mut arguments = Arguments { struct_input: &there, struct_output: &mut back, ..Arguments::default() };
    let result = connection.call(edu::COPY, &mut arguments);
    Outcome::of(result, there == back)
}
