//! The block device (5.2).
//!
//! What rules of a plan can count: a notification reads the header of each new request (`dma.read`); when a request is due
//! (`timer.fire`, one for all that are due at once), its data move in accesses of up to 4 KiB (`dma.read` for a write, `dma.write` for a read),
//! and then its status byte is written (`dma.write`). The rings themselves are not counted. A completion that is delivered twice is a used element that is in
//! the ring two times, and an interrupt that is raised again later.

use super::chain::{self, Buffers, Segment};
use super::store::{BlockStore, StoreError};
use super::{Backend, Broken, VirtQueue};
use crate::env::{DmaError, Env};
use crate::spec::virtio as spec;
use std::collections::VecDeque;

/// Entries of the request queue.
const QUEUE_SIZE: u16 = 256;
/// Segments of a request, without header and status.
const SEGMENTS_MAX: u32 = 126;
/// Bytes of a segment.
const SEGMENT_BYTES_MAX: u32 = 32 << 10;
/// Bytes of a request that the device moves at most: every segment at its largest.
pub const MAX_REQUEST_BYTES: u64 = SEGMENTS_MAX as u64 * SEGMENT_BYTES_MAX as u64;
/// Bytes of one DMA access.
const BURST: usize = 4096;
/// Machine ns for each KiB moved, on top of the latency: 4 GiB/s.
const NS_PER_KIB: u64 = 250;
/// Latency unless told otherwise, in machine ns.
pub const LATENCY_NS: u64 = 15_000;
/// The token of an interrupt that comes again: no time at which a request is due.
const AGAIN: u64 = u64::MAX;
/// Interrupts that are to come again, at the most.
const AGAIN_MAX: u32 = 64;
/// Bytes of the device-specific configuration (5.2.4).
const CONFIG_BYTES: usize = 60;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Flush,
    Identify,
    Unsupported,
}

/// A request that has been taken and is not yet due.
struct Request {
    due: u64,
    head: u16,
    kind: Kind,
    sector: u64,
    buffers: Buffers,
    status_address: u64,
}

/// Why a request stops.
enum Stop {
    /// The request fails with this status.
    Status(u8),
    /// The card is off the bus: nobody will hear.
    Lost,
}

impl From<DmaError> for Stop {
    fn from(error: DmaError) -> Self {
        match error {
            DmaError::NoMemory(_) => Stop::Status(spec::BLK_S_IOERR),
            DmaError::Removed | DmaError::NotMaster => Stop::Lost,
        }
    }
}

impl From<StoreError> for Stop {
    fn from(_: StoreError) -> Self {
        Stop::Status(spec::BLK_S_IOERR)
    }
}

/// The device behind the transport.
pub struct Block {
    store: Box<dyn BlockStore>,
    latency: u64,
    id: [u8; spec::BLK_ID_BYTES],
    in_flight: VecDeque<Request>,
    spare: Vec<Buffers>,
    armed: Option<u64>,
    /// Interrupts that are to come again.
    again: u32,
}

impl Block {
    /// A disk with its data in `store`, that takes `latency` machine ns for a request and more for its data; `name` is its identification,
    /// cut to 20 bytes.
    pub fn new(store: Box<dyn BlockStore>, latency: u64, name: &str) -> Self {
        let mut id = [0; spec::BLK_ID_BYTES];
        for (into, from) in id.iter_mut().zip(name.bytes()) {
            *into = from;
        }
        Self { store, latency, id, in_flight: VecDeque::new(), spare: Vec::new(), armed: None, again: 0 }
    }

    fn sectors(&self) -> u64 {
        self.store.bytes() / spec::SECTOR_BYTES
    }

    /// Reads the header, and files the request under the time at which it is due. False if the card went off the bus meanwhile.
    fn accept(&mut self, head: u16, mut buffers: Buffers, env: &mut dyn Env) -> Result<bool, Broken> {
        let status_address = chain::take_last(&mut buffers.writable).ok_or(Broken)?;
        let Some(header) = read_header(&mut buffers.readable, env)? else { return Ok(false) };
        let word = |at: usize| [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let low = u32::from_le_bytes(word(8));
        let sector = u64::from(u32::from_le_bytes(word(12))) << 32 | u64::from(low);
        let kind = match u32::from_le_bytes(word(0)) {
            spec::BLK_T_IN => Kind::Read,
            spec::BLK_T_OUT => Kind::Write,
            spec::BLK_T_FLUSH => Kind::Flush,
            spec::BLK_T_GET_ID => Kind::Identify,
            _ => Kind::Unsupported,
        };
        let bytes = chain::total(&buffers.readable) + chain::total(&buffers.writable);
        let transfer = bytes.min(MAX_REQUEST_BYTES) / 1024 * NS_PER_KIB;
        let due = env.now().saturating_add(self.latency).saturating_add(transfer);
        self.file(Request { due, head, kind, sector, buffers, status_address }, env);
        Ok(true)
    }

    /// Keeps the requests in order of their times; one timer serves them all, so that a driver that resets the device over and over
    /// cannot pile up timers.
    fn file(&mut self, request: Request, env: &mut dyn Env) {
        let at = self.in_flight.partition_point(|other| other.due <= request.due);
        self.in_flight.insert(at, request);
        self.arm(env);
    }

    fn arm(&mut self, env: &mut dyn Env) {
        let Some(due) = self.in_flight.front().map(|request| request.due) else { return };
        if self.armed.is_none_or(|armed| due < armed) {
            self.armed = Some(due);
            env.at(due, due);
        }
    }

    /// Serves one request and hands it back.
    fn serve(&mut self, request: &Request, queue: &mut VirtQueue, env: &mut dyn Env) -> Result<bool, Broken> {
        let (status, written) = match self.execute(request, env) {
            Ok(written) => (spec::BLK_S_OK, written),
            Err(Stop::Status(status)) => (status, 0),
            Err(Stop::Lost) => return Ok(false),
        };
        match env.dma_write(request.status_address, &[status]) {
            Ok(()) => {}
            Err(DmaError::NoMemory(_)) => return Err(Broken),
            Err(_) => return Ok(false),
        }
        let Ok(memory) = env.memory() else { return Ok(false) };
        let again = env.twice();
        queue.complete(&memory, (request.head, written + 1), again.is_some(), env)?;
        if let Some(after) = again.filter(|_| self.again < AGAIN_MAX) {
            self.again += 1;
            env.at(env.now().saturating_add(after), AGAIN);
        }
        Ok(true)
    }

    /// Carries a request out: bytes written into the guest's buffers.
    fn execute(&mut self, request: &Request, env: &mut dyn Env) -> Result<u32, Stop> {
        match request.kind {
            Kind::Read => {
                let offset = self.range(request.sector, &request.buffers.writable)?;
                self.read(offset, &request.buffers.writable, env)
            }
            Kind::Write => {
                let offset = self.range(request.sector, &request.buffers.readable)?;
                self.write(offset, &request.buffers.readable, env)?;
                Ok(0)
            }
            Kind::Flush => {
                self.store.flush()?;
                Ok(0)
            }
            Kind::Identify => self.identify(&request.buffers.writable, env),
            Kind::Unsupported => Err(Stop::Status(spec::BLK_S_UNSUPP)),
        }
    }

    /// The byte offset of a request, if it lies within the disk and is not larger than a request may be.
    fn range(&self, sector: u64, segments: &[Segment]) -> Result<u64, Stop> {
        let bytes = chain::total(segments);
        let last = sector.checked_add(bytes / spec::SECTOR_BYTES);
        let legal = bytes.is_multiple_of(spec::SECTOR_BYTES)
            && bytes <= MAX_REQUEST_BYTES
            && last.is_some_and(|last| last <= self.sectors());
        if legal { Ok(sector * spec::SECTOR_BYTES) } else { Err(Stop::Status(spec::BLK_S_IOERR)) }
    }

    fn read(&mut self, mut offset: u64, segments: &[Segment], env: &mut dyn Env) -> Result<u32, Stop> {
        let mut burst = [0; BURST];
        let mut written = 0;
        for (address, length) in bursts(segments) {
            let bytes = &mut burst[..length];
            self.store.read(offset, bytes)?;
            env.dma_write(address, bytes)?;
            offset += length as u64;
            written += length as u32;
        }
        Ok(written)
    }

    fn write(&mut self, mut offset: u64, segments: &[Segment], env: &mut dyn Env) -> Result<(), Stop> {
        let mut burst = [0; BURST];
        for (address, length) in bursts(segments) {
            let bytes = &mut burst[..length];
            env.dma_read(address, bytes)?;
            self.store.write(offset, bytes)?;
            offset += length as u64;
        }
        Ok(())
    }

    fn identify(&self, segments: &[Segment], env: &mut dyn Env) -> Result<u32, Stop> {
        let mut rest = &self.id[..];
        for (address, length) in bursts(segments) {
            let (bytes, behind) = rest.split_at(length.min(rest.len()));
            if bytes.is_empty() {
                break;
            }
            env.dma_write(address, bytes)?;
            rest = behind;
        }
        Ok((self.id.len() - rest.len()) as u32)
    }
}

impl Backend for Block {
    fn device_type(&self) -> u16 {
        spec::TYPE_BLOCK
    }

    fn class(&self) -> [u8; 3] {
        [0x01, 0x00, 0x00]
    }

    fn features(&self) -> u64 {
        spec::BLK_F_SIZE_MAX | spec::BLK_F_SEG_MAX | spec::BLK_F_BLK_SIZE | spec::BLK_F_FLUSH
    }

    fn queue_sizes(&self) -> &'static [u16] {
        &[QUEUE_SIZE]
    }

    fn read_config(&self, offset: u64, into: &mut [u8]) {
        let mut bytes = [0; CONFIG_BYTES];
        bytes[0..8].copy_from_slice(&self.sectors().to_le_bytes());
        bytes[8..12].copy_from_slice(&SEGMENT_BYTES_MAX.to_le_bytes());
        bytes[12..16].copy_from_slice(&SEGMENTS_MAX.to_le_bytes());
        bytes[20..24].copy_from_slice(&(spec::SECTOR_BYTES as u32).to_le_bytes());
        for (at, byte) in (offset as usize..).zip(into) {
            *byte = bytes.get(at).copied().unwrap_or(0);
        }
    }

    fn reset(&mut self) {
        // A timer of before the reset is still under way and stays known.
        self.in_flight.clear();
        self.again = 0;
    }

    fn power_on(&mut self) {
        self.reset();
        self.armed = None;
    }

    fn notified(&mut self, _index: usize, queue: &mut VirtQueue, env: &mut dyn Env) -> Result<(), Broken> {
        let Ok(memory) = env.memory() else { return Ok(()) };
        if !queue.valid(&memory) {
            return Err(Broken);
        }
        for _ in 0..=QUEUE_SIZE {
            while let Some(chain) = queue.pop(&memory)? {
                if self.in_flight.len() >= usize::from(queue.size()) {
                    return Err(Broken);
                }
                let head = chain.head_index();
                let mut buffers = self.spare.pop().unwrap_or_default();
                buffers.collect(chain, usize::from(QUEUE_SIZE))?;
                if !self.accept(head, buffers, env)? {
                    // Nothing may touch the rings any more.
                    return Ok(());
                }
            }
            if !queue.listen(&memory)? {
                break;
            }
        }
        Ok(())
    }

    fn tick(&mut self, token: u64, queues: &mut [VirtQueue], env: &mut dyn Env) -> Result<u32, Broken> {
        if token == AGAIN {
            // The second says nothing new, and comes whatever the driver wants to hear of.
            let again = self.again.checked_sub(1);
            self.again = again.unwrap_or(0);
            return Ok(again.is_some().into());
        }
        if self.armed == Some(token) {
            self.armed = None;
        }
        let now = env.now();
        let Some(queue) = queues.first_mut() else { return Ok(0) };
        let mut handed_back = false;
        while self.in_flight.front().is_some_and(|request| request.due <= now) {
            let Some(request) = self.in_flight.pop_front() else { break };
            handed_back |= self.serve(&request, queue, env)?;
            self.spare.push(request.buffers);
        }
        self.arm(env);
        if !handed_back {
            return Ok(0);
        }
        let Ok(memory) = env.memory() else { return Ok(0) };
        Ok(queue.wants_interrupt(&memory)?.into())
    }
}

/// The header of a request (5.2.6), wherever the driver cut it; `None` if the card is off the bus.
fn read_header(
    readable: &mut Vec<Segment>,
    env: &mut dyn Env,
) -> Result<Option<[u8; spec::BLK_HEADER_BYTES]>, Broken> {
    let mut header = [0; spec::BLK_HEADER_BYTES];
    let mut at = 0;
    let mut failure = None;
    let complete = chain::take_front(readable, header.len(), |segment| {
        let length = segment.length as usize;
        if failure.is_none() {
            failure = env.dma_read(segment.address, &mut header[at..at + length]).err();
        }
        at += length;
    });
    match failure {
        Some(DmaError::NoMemory(_)) => Err(Broken),
        Some(_) => Ok(None),
        None if complete => Ok(Some(header)),
        None => Err(Broken),
    }
}

/// The DMA accesses for `segments`: (address, length), each at most [`BURST`].
fn bursts(segments: &[Segment]) -> impl Iterator<Item = (u64, usize)> + '_ {
    segments.iter().flat_map(|segment| {
        (0..segment.length).step_by(BURST).map(|at| {
            let length = (segment.length - at).min(BURST as u32);
            (segment.address.wrapping_add(at.into()), length as usize)
        })
    })
}
