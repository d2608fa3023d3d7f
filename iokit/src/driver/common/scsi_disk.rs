//! A disk that takes SCSI commands, one at a time, whatever carries them.
//!
//! ```text
//! client's thread ─► gate ─► its turn ─► transport: command, data, status ─► next turn
//! ```

use super::scsi::{self, Block, Unit};
use super::{Disk, Frame, Parts, Request};
use crate::family::storage::Geometry;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use crate::work_loop::Gated;
use alloc::sync::{Arc, Weak};
use mach::{WaitEvent, WaitMode};

/// What a command moves.
pub enum Moves<'a> {
    /// No data.
    Nothing,
    /// Data from the disk.
    In(&'a mut [u8]),
    /// Data for the disk.
    Out(&'a [u8]),
}

impl Moves<'_> {
    /// Bytes of data.
    pub fn length(&self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::In(bytes) => bytes.len() as u32,
            Self::Out(bytes) => bytes.len() as u32,
        }
    }

    /// Whether the data come from the disk.
    pub fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }
}

/// What carries commands to a disk.
pub trait Transport: Send + Sync + 'static {
    /// Bytes of data of one command at the most.
    const DATA_BYTES: u32;

    /// The frame of the driver.
    fn frame(&self) -> &Frame;

    /// Before the first command. Gated; sleeps.
    fn begin(&self) -> IOResult;

    /// Carries a command there, and its data to or fro, with whatever recovery it takes. Gated; sleeps.
    fn carry(&self, command: Block, moves: Moves<'_>) -> IOResult;

    /// The device goes: [`Frame::go_offline`] with what is on its way; `wake` wakes who waits for his turn.
    fn go_offline(&self, wake: &dyn Fn());
}

/// Everything of a started driver of such a disk.
pub struct ScsiDisk<T> {
    me: Weak<Service>,
    transport: T,
    /// Somebody's command is on its way.
    taken: Gated<bool>,
    /// What threads sleep on that wait for their turn.
    turn: WaitEvent,
    geometry: spin::Once<Geometry>,
}

impl<T: Transport> ScsiDisk<T> {
    /// The disk behind `transport`, whose driver is `me`. Nothing is asked of it yet.
    pub fn new(me: &ServiceRef, transport: T) -> Self {
        let taken = transport.frame().gated(false);
        let turn = me.kernel().new_event();
        Self { me: Arc::downgrade(me), transport, taken, turn, geometry: spin::Once::new() }
    }

    /// A command, in its turn. Gated; sleeps.
    fn in_turn(&self, command: Block, moves: Moves<'_>) -> IOResult {
        let frame = self.frame();
        while self.taken.with(|taken| core::mem::replace(taken, true)) {
            frame.gate().command_sleep(self.turn, WaitMode::Uninterruptible, None);
            frame.alive()?;
        }
        let result = self.transport.carry(command, moves).map_err(|why| frame.closed().unwrap_or(why));
        self.taken.with(|taken| *taken = false);
        frame.gate().command_wakeup(self.turn, true);
        result
    }

    /// What carries the commands.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    fn count(&self, bytes: usize) -> IOResult<u16> {
        let blocks = bytes / self.geometry()?.block_bytes as usize;
        u16::try_from(blocks).map_err(|_| IOReturn::BadArgument)
    }
}

impl<T: Transport> Disk for ScsiDisk<T> {
    fn geometry(&self) -> IOResult<Geometry> {
        self.geometry.get().copied().ok_or(IOReturn::NotReady)
    }

    fn submit(&self, me: &ServiceRef, request: Request<'_>) -> IOResult {
        let (command, moves) = match request {
            Request::Read(block, into) => {
                (scsi::transfer(false, block, self.count(into.len())?), Moves::In(into))
            }
            Request::Write(block, from) => {
                (scsi::transfer(true, block, self.count(from.len())?), Moves::Out(from))
            }
            Request::Flush => (scsi::synchronize(), Moves::Nothing),
        };
        let flushes = matches!(moves, Moves::Nothing);
        self.frame().call(me, || match self.in_turn(command, moves) {
            // A device without a cache need not know the command.
            Err(IOReturn::Unsupported) if flushes => Ok(()),
            other => other,
        })
    }
}

impl<T: Transport> Unit for ScsiDisk<T> {
    fn ask(&self, command: Block, into: &mut [u8]) -> IOResult {
        self.in_turn(command, if into.is_empty() { Moves::Nothing } else { Moves::In(into) })
    }

    fn pause(&self, ns: u64) {
        let (frame, kernel) = (self.frame(), self.frame().kernel());
        let deadline = kernel.now().saturating_add(ns);
        while kernel.now() < deadline && frame.closed().is_none() {
            frame.gate().command_sleep(self.turn, WaitMode::Uninterruptible, Some(deadline));
        }
    }
}

impl<T: Transport> Parts for ScsiDisk<T> {
    fn frame(&self) -> &Frame {
        self.transport.frame()
    }

    /// Gets to know the disk.
    fn begin(&self) -> IOResult {
        self.frame().begin()?;
        let me = self.me.upgrade().ok_or(IOReturn::Offline)?;
        let geometry = self.frame().call(&me, || {
            self.transport.begin()?;
            scsi::look(self, T::DATA_BYTES)
        })?;
        self.geometry.call_once(|| geometry);
        Ok(())
    }

    fn go_offline(&self) {
        self.transport.go_offline(&|| self.frame().wake([self.turn]));
    }
}
