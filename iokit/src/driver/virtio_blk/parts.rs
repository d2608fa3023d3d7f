//! What the driver has between `start` and `stop`: work loop, event sources, the device, its queue.
//!
//! ```text
//! client thread ─► submit ─► gate: ring, doorbell, commandSleep ───────────────────┐
//! interrupt ─► filter ─► work loop ─► gate: used ring, complete each once, wake ────┘
//! ```

use super::driver::VirtioBlkDriver;
use super::layout::{DATA_BYTES, Layout};
use super::regs;
use super::ring::{Garbage, Ring};
use super::table::Table;
use super::transport::Transport;
use crate::driver::common::{self, Frame, Request};
use crate::family::pci::PciDevice;
use crate::family::storage::Geometry;
use crate::interrupts::InterruptType;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::sync::Arc;
use alloc::vec;
use mach::{KernelRef, WaitEvent, WaitMode};

/// How long a request may take, in machine ns.
const TIMEOUT_NS: u64 = 2_000_000_000;

/// What the gate protects.
struct State {
    ring: Ring,
    table: Table,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    device: Arc<str>,
    frame: Frame,
    transport: Transport,
    geometry: Geometry,
    /// What threads sleep on that wait for a free request.
    room: WaitEvent,
    state: Gated<State>,
    /// Elements that the used ring holds.
    used_most: u16,
}

impl Parts {
    /// Sets the device up as far as the queue (virtio 1.2, 3.1.1); nothing runs yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let kernel = me.kernel().clone();
        let mut transport = Transport::find(device, me)?;
        let features = transport.negotiate(regs::F_RO | regs::F_FLUSH)?;
        let geometry = Geometry {
            blocks: transport.capacity(),
            block_bytes: regs::BLOCK_BYTES,
            request_bytes: DATA_BYTES,
            writable: features & regs::F_RO == 0,
        };
        let layout = Layout::new(transport.queue_limit()?).ok_or(IOReturn::Unsupported)?;
        let memory = device.dma_buffer(&kernel, layout.bytes(), 4096, u64::MAX)?;
        let at = layout.addresses(memory.address());
        let ring = Ring::new(memory, layout);
        let lines = provider.interrupts().ok_or(IOReturn::NoResources)?;
        let message = lines.interrupt_type(0)? == InterruptType::Edge;
        let isr = transport.isr();
        let is_mine = move |_: &ServiceRef| message || is_mine(isr.read8(0));
        let interrupt = VirtioBlkDriver::interrupt(me, provider, 0, Self::interrupted, is_mine)?;
        transport.set_queue(layout.size, at, message)?;
        let frame = Frame::new(me, vec![interrupt], TIMEOUT_NS, VirtioBlkDriver::action(Self::watch));
        let table = Table::new((0..layout.requests).map(|_| kernel.new_event()));
        let state = frame.gated(State { ring, table });
        let room = kernel.new_event();
        let device = me.device().clone();
        Ok(Self { device, kernel, frame, transport, geometry, room, state, used_most: layout.size })
    }

    /// A free request; sleeps until there is one.
    fn take_request(&self) -> IOResult<(u16, WaitEvent)> {
        loop {
            let now = self.kernel.now();
            self.frame.alive()?;
            match self.state.with(|s| s.table.take(now)) {
                Some(request) => return Ok(request),
                None => {
                    self.frame.gate().command_sleep(self.room, WaitMode::Uninterruptible, None);
                }
            }
        }
    }

    fn collect(&self, request: u16, ask: Request<'_>) -> IOResult {
        self.state.with(|s| match s.ring.status(request) {
            regs::S_OK => {
                if let Request::Read(_, into) = ask {
                    s.ring.data(request, into);
                }
                Ok(())
            }
            regs::S_UNSUPPORTED => Err(IOReturn::Unsupported),
            _ => Err(IOReturn::Error),
        })
    }

    /// The interrupt's action: completes what the device is done with. A chain of ours that is not in flight was told before: a device that says so twice is told
    /// apart from one that talks nonsense, because no chain goes out again between the two (the gate is held).
    fn interrupted(&self) {
        for _ in 0..=self.used_most {
            if self.frame.closed().is_some() {
                return;
            }
            let popped: Result<_, Garbage> = self.state.with(|s| {
                let Some(id) = s.ring.pop()? else { return Ok(None) };
                let request = s.table.used(id).ok_or(Garbage(id))?;
                Ok(Some(s.table.complete(request, Ok(()))))
            });
            match popped {
                Ok(Some(event)) => self.frame.wake(event),
                Ok(None) => return,
                Err(garbage) => {
                    self.give_up(
                        format_args!("used ring: {:#x} is no chain of ours", garbage.0),
                        IOReturn::Error,
                    );
                    return;
                }
            }
        }
        self.give_up(format_args!("used ring: it does not end"), IOReturn::Error);
    }

    /// The device cannot be trusted any more: it is stopped, and everything in flight fails with `why`.
    fn give_up(&self, what: core::fmt::Arguments<'_>, why: IOReturn) {
        self.kernel.log(format_args!("virtio-blk {}: {what}; the device is stopped", self.device));
        // One that does not even reset is silenced by bus mastering when the driver stops.
        let _ = self.transport.reset();
        self.transport.fail();
        self.frame.close(IOReturn::NotResponding);
        self.fail_all(why);
    }

    /// Fails what is in flight, and wakes everybody.
    fn fail_all(&self, why: IOReturn) {
        let woken = self.state.with(|s| s.table.fail_all(why));
        self.frame.wake(woken);
        self.frame.wake([self.room]);
    }

    /// The watchdog's action: an interrupt may have been lost; a device that hangs is given up.
    fn watch(&self) {
        self.frame.watchdog_fired();
        self.interrupted();
        let now = self.kernel.now();
        let late =
            |s: &mut State| s.table.oldest().is_some_and(|since| now.saturating_sub(since) >= TIMEOUT_NS);
        if self.state.with(late) {
            self.give_up(format_args!("no answer"), IOReturn::Timeout);
        }
        if self.state.with(|s| s.table.flying() != 0) {
            self.frame.arm_watchdog();
        }
    }
}

impl common::Disk for Parts {
    fn geometry(&self) -> IOResult<Geometry> {
        Ok(self.geometry)
    }

    fn submit(&self, me: &ServiceRef, ask: Request<'_>) -> IOResult {
        self.frame.call(me, || {
            let (request, event) = self.take_request()?;
            self.state.with(|s| s.ring.submit(request, &ask));
            self.transport.notify();
            self.frame.arm_watchdog();
            let result = loop {
                if let Some(result) = self.state.with(|s| s.table.result(request)) {
                    break result;
                }
                self.frame.gate().command_sleep(event, WaitMode::Uninterruptible, None);
            };
            let result = result.and_then(|()| self.collect(request, ask));
            self.state.with(|s| s.table.free(request));
            self.frame.gate().command_wakeup(self.room, true);
            result
        })
    }
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn begin(&self) -> IOResult {
        self.frame.begin()?;
        self.transport.begin();
        Ok(())
    }

    /// A device that is still there is stopped first: it must not write into memory that is used again.
    fn go_offline(&self) {
        self.frame.go_offline(|| {
            if !self.transport.is_gone() {
                // One that goes just now does not answer, and needs no stopping.
                let _ = self.transport.reset();
            }
            self.fail_all(IOReturn::Offline);
        });
    }
}

/// What the ISR status says; all ones: the device is gone.
fn is_mine(isr: u8) -> bool {
    isr != 0xff && isr & regs::ISR_QUEUE != 0
}
