//! What the driver has between `start` and `stop`: work loop, event sources, the device, its queue.
//!
//! ```text
//! client thread ─► submit ─► gate: ring, doorbell, commandSleep ───────────────────┐
//! interrupt ─► filter ─► work loop ─► gate: used ring, complete each once, wake ────┘
//! ```

use super::driver::VirtioBlkDriver;
use super::layout::{DATA_BYTES, Layout};
use super::regs;
use super::ring::{Ask, Garbage, Ring};
use super::table::Table;
use super::transport::Transport;
use crate::family::pci::{PciDevice, Registers};
use crate::family::storage::Geometry;
use crate::interrupts::InterruptType;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Options, ServiceRef};
use crate::work_loop::{CommandGate, Gated, InterruptSource, TimerPriority, TimerSource, WorkLoop};
use alloc::sync::Arc;
use mach::{KernelRef, WaitEvent, WaitMode};

/// How long a request may take, in machine ns.
const TIMEOUT_NS: u64 = 2_000_000_000;

/// What the gate protects.
struct State {
    ring: Ring,
    table: Table,
    /// Calls between their first and their last use of the provider.
    calls: u32,
    /// Why nothing is started any more: Offline (going), NotResponding (the device was given up).
    closed: Option<IOReturn>,
    /// The last call closes the provider.
    closing: bool,
    /// The watchdog is armed.
    watched: bool,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    device: Arc<str>,
    work_loop: Arc<WorkLoop>,
    gate: Arc<CommandGate>,
    interrupt: Arc<InterruptSource>,
    watchdog: Arc<TimerSource>,
    transport: Transport,
    geometry: Geometry,
    /// What threads sleep on that wait for a free request.
    room: WaitEvent,
    state: Gated<State>,
}

fn parts_of(owner: &ServiceRef) -> Option<Arc<Parts>> {
    owner.driver_as::<VirtioBlkDriver>()?.parts().ok()
}

impl Parts {
    /// Sets the device up as far as the queue (virtio 1.2, 3.1.1); nothing runs yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Arc<Self>> {
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
        let work_loop = WorkLoop::new(me);
        let (interrupt, message) = Self::interrupt(me, provider, transport.isr())?;
        transport.set_queue(layout.size, at, message)?;
        let watchdog = TimerSource::new(me, TimerPriority::ThreadCall, |owner, _| {
            if let Some(parts) = parts_of(owner) {
                parts.watch();
            }
        });
        let table = Table::new((0..layout.requests).map(|_| kernel.new_event()));
        let state = State { ring, table, calls: 0, closed: None, closing: false, watched: false };
        Ok(Arc::new(Self {
            device: me.device().clone(),
            gate: CommandGate::new(me),
            room: kernel.new_event(),
            state: Gated::new(&work_loop, state),
            kernel,
            work_loop,
            interrupt,
            watchdog,
            transport,
            geometry,
        }))
    }

    /// The interrupt source, and whether it is a message of its own.
    fn interrupt(
        me: &ServiceRef,
        provider: &ServiceRef,
        isr: Registers,
    ) -> IOResult<(Arc<InterruptSource>, bool)> {
        let lines = provider.interrupts().ok_or(IOReturn::NoResources)?;
        let message = lines.interrupt_type(0)? == InterruptType::Edge;
        let source = InterruptSource::with_filter(
            me,
            provider,
            0,
            |owner, _| {
                if let Some(parts) = parts_of(owner) {
                    parts.interrupted();
                }
            },
            move |_, _| message || is_mine(isr.read8(0)),
        )?;
        Ok((source, message))
    }

    /// The work loop.
    pub fn work_loop(&self) -> &Arc<WorkLoop> {
        &self.work_loop
    }

    /// What the disk looks like.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Attaches the event sources, enables the interrupt, lets the device begin.
    pub fn begin(&self) -> IOResult {
        self.work_loop.add_event_source(&self.gate)?;
        self.work_loop.add_event_source(&self.watchdog)?;
        self.work_loop.add_event_source(&self.interrupt)?;
        self.interrupt.enable();
        self.transport.begin();
        Ok(())
    }

    /// Does what `ask` asks, on the calling client's thread; what is read goes to `into`. `me` is the driver.
    /// Offline if the device goes meanwhile, Timeout or NotResponding if it was given up, Error if it says so.
    pub fn submit(&self, me: &ServiceRef, ask: Ask<'_>, into: &mut [u8]) -> IOResult {
        self.call(me, || {
            let (request, event) = self.take_request()?;
            self.state.with(|s| s.ring.submit(request, ask));
            self.transport.notify();
            self.arm();
            let result = loop {
                if let Some(result) = self.state.with(|s| s.table.result(request)) {
                    break result;
                }
                self.gate.command_sleep(event, WaitMode::Uninterruptible, None);
            };
            let result = result.and_then(|()| self.collect(request, into));
            self.state.with(|s| s.table.free(request));
            self.gate.command_wakeup(self.room, true);
            result
        })
    }

    /// A free request; sleeps until there is one.
    fn take_request(&self) -> IOResult<(u16, WaitEvent)> {
        loop {
            let now = self.kernel.now();
            let taken = self.state.with(|s| match s.closed {
                Some(why) => Err(why),
                None => Ok(s.table.take(now)),
            })?;
            match taken {
                Some(request) => return Ok(request),
                None => {
                    self.gate.command_sleep(self.room, WaitMode::Uninterruptible, None);
                }
            }
        }
    }

    fn collect(&self, request: u16, into: &mut [u8]) -> IOResult {
        self.state.with(|s| match s.ring.status(request) {
            regs::S_OK => {
                s.ring.data(request, into);
                Ok(())
            }
            regs::S_UNSUPPORTED => Err(IOReturn::Unsupported),
            _ => Err(IOReturn::Error),
        })
    }

    /// Runs `action` in the gate as a call that uses the provider; the last one closes it if the driver waits for that.
    fn call(&self, me: &ServiceRef, action: impl FnOnce() -> IOResult) -> IOResult {
        let mut close = false;
        let result = self.gate.run_action(|| {
            self.state.with(|s| match s.closed {
                Some(why) => Err(why),
                None => {
                    s.calls += 1;
                    Ok(())
                }
            })?;
            let result = action();
            close = self.state.with(|s| {
                s.calls -= 1;
                s.calls == 0 && s.closing
            });
            result
        });
        if close && let Some(provider) = me.provider() {
            provider.close(me, Options::empty());
        }
        result
    }

    fn arm(&self) {
        let armed = self.state.with(|s| core::mem::replace(&mut s.watched, true));
        if !armed {
            // The timer has an action, which is all that arming can fail for.
            let _ = self.watchdog.set_timeout(TIMEOUT_NS);
        }
    }

    /// The interrupt's action: completes what the device is done with.
    fn interrupted(&self) {
        loop {
            let popped: Result<_, Garbage> = self.state.with(|s| {
                if s.closed.is_some() {
                    return Ok(None);
                }
                let flying = s.table.flying();
                let Some(id) = s.ring.pop(flying)? else { return Ok(None) };
                let request = s.table.used(id).ok_or(Garbage(id))?;
                Ok(s.table.complete(request, Ok(())))
            });
            match popped {
                Ok(Some(event)) => self.gate.command_wakeup(event, false),
                Ok(None) => return,
                Err(garbage) => {
                    self.give_up(
                        format_args!("used ring: {:#x} is not in flight", garbage.0),
                        IOReturn::Error,
                    );
                    return;
                }
            }
        }
    }

    /// The device cannot be trusted any more: it is stopped, and everything in flight fails with `why`.
    fn give_up(&self, what: core::fmt::Arguments<'_>, why: IOReturn) {
        self.kernel.log(format_args!("virtio-blk {}: {what}; the device is stopped", self.device));
        // One that does not even reset is silenced by bus mastering when the driver stops.
        let _ = self.transport.reset();
        self.transport.fail();
        let woken = self.state.with(|s| {
            s.closed = Some(IOReturn::NotResponding);
            s.table.fail_all(why)
        });
        self.wake(woken);
    }

    /// The watchdog's action: an interrupt may have been lost; a device that hangs is given up.
    fn watch(&self) {
        self.state.with(|s| s.watched = false);
        self.interrupted();
        let now = self.kernel.now();
        let late =
            |s: &mut State| s.table.oldest().is_some_and(|since| now.saturating_sub(since) >= TIMEOUT_NS);
        if self.state.with(late) {
            self.give_up(format_args!("no answer"), IOReturn::Timeout);
        }
        if self.state.with(|s| s.table.flying() != 0) {
            self.arm();
        }
    }

    fn wake(&self, events: impl IntoIterator<Item = WaitEvent>) {
        for event in events {
            self.gate.command_wakeup(event, false);
        }
        self.gate.command_wakeup(self.room, false);
    }

    /// The removal: nothing starts any more, everything in flight is Offline, every sleeper wakes; then no interrupt and no
    /// timer comes. A device that is still there is stopped first: it must not write into memory that is used again.
    pub fn go_offline(&self) {
        self.work_loop.run_action(|| {
            if !self.transport.is_gone() {
                // One that goes just now does not answer, and needs no stopping.
                let _ = self.transport.reset();
            }
            let woken = self.state.with(|s| {
                s.closed = Some(IOReturn::Offline);
                s.table.fail_all(IOReturn::Offline)
            });
            self.watchdog.cancel_timeout();
            self.wake(woken);
        });
        self.detach_interrupt();
    }

    /// A registered handler that is disabled would mute a shared line, so it goes altogether.
    fn detach_interrupt(&self) {
        // BadArgument is for sources of another loop.
        let _ = self.work_loop.remove_event_source(&self.interrupt);
    }

    /// Whether no call uses the provider; otherwise the last one will close it.
    pub fn close_when_idle(&self) -> bool {
        self.work_loop.run_action(|| {
            self.state.with(|s| {
                s.closing = true;
                s.calls == 0
            })
        })
    }

    /// Takes the event sources off the loop, which then goes with its last reference.
    pub fn end(&self) {
        self.detach_interrupt();
        let _ = self.work_loop.remove_event_source(&self.watchdog);
        let _ = self.work_loop.remove_event_source(&self.gate);
    }
}

/// What the ISR status says; all ones: the device is gone.
fn is_mine(isr: u8) -> bool {
    isr != 0xff && isr & regs::ISR_QUEUE != 0
}
