//! What the driver has between `start` and `stop`: work loop, event sources, the card, the requests.
//!
//! ```text
//! client thread ─► submit ─► gate: queue, start engine, commandSleep ─────────────────┐
//! interrupt ─► filter: read and acknowledge status ─► work loop ─► gate: result, wake ─┘
//! ```

use super::card::{Card, Look};
use super::driver::{EduDriver, Variant};
use super::regs;
use super::requests::{Engine, Op, Output, Requests};
use crate::family::pci::{PciDevice, Registers};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Options, ServiceRef};
use crate::work_loop::{CommandGate, Gated, InterruptSource, TimerPriority, TimerSource, WorkLoop};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::{KernelRef, WaitEvent, WaitMode};

/// How long an engine may take, in machine ns. QEMU's DMA takes 100 ms.
const TIMEOUT_NS: u64 = 1_000_000_000;

/// What the gate protects.
#[derive(Default)]
struct State {
    requests: Requests,
    /// Calls between their first and their last use of the provider.
    calls: u32,
    /// The device is going: nothing is started any more.
    offline: bool,
    /// The last call closes the provider.
    closing: bool,
    /// The watchdog is armed.
    watched: bool,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    work_loop: Arc<WorkLoop>,
    gate: Arc<CommandGate>,
    interrupt: Arc<InterruptSource>,
    watchdog: Arc<TimerSource>,
    card: Card,
    /// Interrupt bits that the filter took, for the action.
    pending: Arc<AtomicU32>,
    state: Gated<State>,
    variant: Variant,
}

fn parts_of(owner: &ServiceRef) -> Option<Arc<Parts>> {
    owner.driver_as::<EduDriver>()?.parts().ok()
}

impl Parts {
    /// Maps the card and makes the event sources; nothing runs yet.
    pub fn new(
        me: &ServiceRef,
        provider: &ServiceRef,
        device: &PciDevice,
        variant: Variant,
    ) -> IOResult<Arc<Self>> {
        let kernel = me.kernel().clone();
        let registers = device.map(me, 0)?;
        let buffer = device.dma_buffer(&kernel, Card::BUFFER_BYTES, 64, regs::DMA_LIMIT)?;
        let card = Card::new(registers.clone(), buffer)?;
        let work_loop = WorkLoop::new(me);
        let pending = Arc::new(AtomicU32::new(0));
        let taken = pending.clone();
        let interrupt = InterruptSource::with_filter(
            me,
            provider,
            0,
            |owner, _| {
                if let Some(parts) = parts_of(owner) {
                    parts.interrupted();
                }
            },
            move |_, _| filter(&registers, &taken),
        )?;
        let watchdog = TimerSource::new(me, TimerPriority::ThreadCall, |owner, _| {
            if let Some(parts) = parts_of(owner) {
                parts.watch();
            }
        });
        let gate = CommandGate::new(me);
        let state = Gated::new(&work_loop, State::default());
        Ok(Arc::new(Self { kernel, work_loop, gate, interrupt, watchdog, card, pending, state, variant }))
    }

    /// The work loop.
    pub fn work_loop(&self) -> &Arc<WorkLoop> {
        &self.work_loop
    }

    /// Attaches the event sources and enables the interrupt.
    pub fn begin(&self) -> IOResult {
        self.work_loop.add_event_source(&self.gate)?;
        self.work_loop.add_event_source(&self.watchdog)?;
        self.work_loop.add_event_source(&self.interrupt)?;
        self.interrupt.enable();
        Ok(())
    }

    /// Does `op` on the card and waits for it, on the calling client's thread. `me` is the driver.
    /// Offline if the device goes meanwhile; Timeout if the card does not finish.
    pub fn submit(&self, me: &ServiceRef, op: Op) -> IOResult<Output> {
        let event = self.kernel.new_event();
        self.call(me, || {
            let number = self.state.with(|s| s.requests.insert(op, event))?;
            self.pump();
            loop {
                if let Some(result) = self.state.with(|s| s.requests.take(number)) {
                    return result;
                }
                self.gate.command_sleep(event, WaitMode::Uninterruptible, None);
                self.look_after_sleep();
            }
        })
    }

    /// The liveness check, on the calling client's thread.
    pub fn liveness(&self, me: &ServiceRef, value: u32) -> IOResult<u32> {
        self.call(me, || self.card.liveness(value))
    }

    /// Runs `action` in the gate as a call that uses the provider; the last one closes it if the driver waits for that.
    fn call<R>(&self, me: &ServiceRef, action: impl FnOnce() -> IOResult<R>) -> IOResult<R> {
        let mut close = false;
        let result = self.gate.run_action(|| {
            if self.state.with(|s| s.offline) {
                return Err(IOReturn::Offline);
            }
            self.state.with(|s| s.calls += 1);
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

    /// What the broken variant does: a call that was woken looks at the hardware, which its driver has closed.
    fn look_after_sleep(&self) {
        if self.variant == Variant::CloseEarly && self.state.with(|s| s.offline) {
            self.card.registers().read32(regs::STATUS);
        }
    }

    /// Starts every engine that has nothing to do; gated.
    fn pump(&self) {
        for engine in Engine::ALL {
            let now = self.kernel.now();
            let work = self.state.with(|s| {
                if s.offline { None } else { s.requests.start(engine, now).map(|(r, op)| (r, op.clone())) }
            });
            let Some((running, op)) = work else { continue };
            if running.waiting {
                self.begin_if_idle(engine, &op);
            } else {
                self.card.start(&op);
            }
            self.arm();
        }
    }

    /// Begins with what waits for an engine that was at something else, if that is over: an engine takes no second order while it works, and
    /// what it then says is about the first. Whether it began.
    fn begin_if_idle(&self, engine: Engine, op: &Op) -> bool {
        let idle = self.card.is_idle(engine);
        if idle {
            let now = self.kernel.now();
            self.state.with(|s| s.requests.begin(engine, now));
            self.card.start(op);
        }
        idle
    }

    fn arm(&self) {
        let armed = self.state.with(|s| core::mem::replace(&mut s.watched, true));
        if !armed {
            // The timer has an action, which is all that arming can fail for.
            let _ = self.watchdog.set_timeout(TIMEOUT_NS);
        }
    }

    /// The interrupt's action: the engines that the filter heard of.
    fn interrupted(&self) {
        let bits = self.pending.swap(0, Ordering::AcqRel);
        if bits & regs::INTERRUPT_FACTORIAL != 0 {
            self.settle(Engine::Factorial);
        }
        if bits & regs::INTERRUPT_DMA != 0 {
            self.settle(Engine::Dma);
        }
        self.pump();
    }

    /// Looks at an engine's work and takes it one step further; whether it moved.
    fn settle(&self, engine: Engine) -> bool {
        let running = self.state.with(|s| {
            if s.offline { None } else { s.requests.running(engine).map(|(r, op)| (r, op.clone())) }
        });
        let Some((running, op)) = running else { return false };
        if running.waiting {
            return self.begin_if_idle(engine, &op);
        }
        match self.card.look(engine, running, &op) {
            // Silence: if the device is gone, the removal will say so and fail what is in flight; if not, the watchdog will.
            Look::Busy | Look::Silent => false,
            Look::Turn => {
                if let Op::Copy(data) = &op {
                    let now = self.kernel.now();
                    self.state.with(|s| s.requests.turn(now));
                    self.card.turn(data.len());
                }
                true
            }
            Look::Done(output) => {
                let woken = self.state.with(|s| s.requests.finish(engine, Ok(output)));
                self.wake(woken);
                true
            }
        }
    }

    /// The watchdog's action: an engine that is done but did not say so is settled, one that hangs is given up.
    fn watch(&self) {
        self.state.with(|s| s.watched = false);
        let now = self.kernel.now();
        for engine in Engine::ALL {
            let late = self.state.with(|s| {
                s.requests.running(engine).is_some_and(|(r, _)| now.saturating_sub(r.since) >= TIMEOUT_NS)
            });
            if late && !self.settle(engine) {
                let woken = self.state.with(|s| s.requests.give_up(engine, IOReturn::Timeout));
                self.wake(woken);
            }
        }
        self.pump();
        if self.state.with(|s| s.requests.is_working()) {
            self.arm();
        }
    }

    fn wake(&self, events: impl IntoIterator<Item = WaitEvent>) {
        for event in events {
            self.gate.command_wakeup(event, false);
        }
    }

    /// The removal: nothing starts any more, everything in flight is Offline, every sleeper wakes; then no interrupt and no
    /// timer comes.
    pub fn go_offline(&self) {
        self.work_loop.run_action(|| {
            let woken = self.state.with(|s| {
                s.offline = true;
                s.requests.fail_all(IOReturn::Offline)
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

/// At primary interrupt level: takes what the card has to say, so that it is quiet until it has more.
fn filter(registers: &Registers, pending: &AtomicU32) -> bool {
    let bits = registers.read32(regs::INTERRUPT_STATUS);
    // All ones: the card is gone and the interrupt is somebody else's, or its last.
    if bits == 0 || bits == u32::MAX {
        return false;
    }
    registers.write32(regs::INTERRUPT_ACKNOWLEDGE, bits);
    pending.fetch_or(bits, Ordering::AcqRel);
    true
}
