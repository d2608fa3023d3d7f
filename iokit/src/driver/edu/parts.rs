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
use crate::driver::common::{self, Frame};
use crate::family::pci::{PciDevice, Registers};
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::Gated;
use alloc::sync::Arc;
use alloc::vec;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::{KernelRef, WaitMode};

/// How long an engine may take, in machine ns. QEMU's DMA takes 100 ms.
const TIMEOUT_NS: u64 = 1_000_000_000;

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    frame: Frame,
    card: Card,
    /// Interrupt bits that the filter took, for the action.
    pending: Arc<AtomicU32>,
    requests: Gated<Requests>,
    variant: Variant,
}

impl Parts {
    /// Maps the card and makes the event sources; nothing runs yet.
    pub fn new(
        me: &ServiceRef,
        provider: &ServiceRef,
        device: &PciDevice,
        variant: Variant,
    ) -> IOResult<Self> {
        let kernel = me.kernel().clone();
        let registers = device.map(me, 0)?;
        let buffer = device.dma_buffer(&kernel, Card::BUFFER_BYTES, 64, regs::DMA_LIMIT)?;
        let card = Card::new(registers.clone(), buffer)?;
        let pending = Arc::new(AtomicU32::new(0));
        let taken = pending.clone();
        let is_mine = move |_: &ServiceRef| filter(&registers, &taken);
        let interrupt = EduDriver::interrupt(me, provider, 0, Self::interrupted, is_mine)?;
        let frame = Frame::new(me, vec![interrupt], TIMEOUT_NS, EduDriver::action(Self::watch));
        let frame = frame.muted(variant == Variant::Mute);
        let requests = frame.gated(Requests::default());
        Ok(Self { kernel, frame, card, pending, requests, variant })
    }

    /// Does `op` on the card and waits for it, on the calling client's thread. `me` is the driver.
    /// Offline if the device goes meanwhile; Timeout if the card does not finish.
    pub fn submit(&self, me: &ServiceRef, op: Op) -> IOResult<Output> {
        let event = self.kernel.new_event();
        self.frame.call(me, || {
            let number = self.requests.with(|r| r.insert(op, event))?;
            self.pump();
            loop {
                if let Some(result) = self.requests.with(|r| r.take(number)) {
                    return result;
                }
                self.frame.gate().command_sleep(event, WaitMode::Uninterruptible, None);
                self.look_after_sleep();
            }
        })
    }

    /// The liveness check, on the calling client's thread.
    pub fn liveness(&self, me: &ServiceRef, value: u32) -> IOResult<u32> {
        self.frame.call(me, || self.card.liveness(value))
    }

    /// What the broken variant does: a call that was woken looks at the hardware, which its driver has closed.
    fn look_after_sleep(&self) {
        if self.variant == Variant::CloseEarly && self.frame.closed().is_some() {
            self.card.registers().read32(regs::STATUS);
        }
    }

    /// Starts every engine that has nothing to do; gated.
    fn pump(&self) {
        if self.frame.closed().is_some() {
            return;
        }
        for engine in Engine::ALL {
            let now = self.kernel.now();
            let work =
                self.requests.with(|r| r.start(engine, now).map(|(running, op)| (running, op.clone())));
            let Some((running, op)) = work else { continue };
            if running.waiting {
                self.begin_if_idle(engine, &op);
            } else {
                self.card.start(&op);
            }
            self.frame.arm_watchdog();
        }
    }

    /// Begins with what waits for an engine that was at something else, if that is over: an engine takes no second order while it works, and
    /// what it then says is about the first. Whether it began.
    fn begin_if_idle(&self, engine: Engine, op: &Op) -> bool {
        let idle = self.card.is_idle(engine);
        if idle {
            let now = self.kernel.now();
            self.requests.with(|r| r.begin(engine, now));
            self.card.start(op);
        }
        idle
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
        if self.frame.closed().is_some() {
            return false;
        }
        let running = self.requests.with(|r| r.running(engine).map(|(running, op)| (running, op.clone())));
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
                    self.requests.with(|r| r.turn(now));
                    self.card.turn(data.len());
                }
                true
            }
            Look::Done(output) => {
                let woken = self.requests.with(|r| r.finish(engine, Ok(output)));
                self.frame.wake(woken);
                true
            }
        }
    }

    /// The watchdog's action: an engine that is done but did not say so is settled, one that hangs is given up.
    fn watch(&self) {
        self.frame.watchdog_fired();
        let now = self.kernel.now();
        for engine in Engine::ALL {
            let late = self.requests.with(|r| {
                r.running(engine).is_some_and(|(running, _)| now.saturating_sub(running.since) >= TIMEOUT_NS)
            });
            if late && !self.settle(engine) {
                let woken = self.requests.with(|r| r.give_up(engine, IOReturn::Timeout));
                self.frame.wake(woken);
            }
        }
        self.pump();
        if self.requests.with(|r| r.is_working()) {
            self.frame.arm_watchdog();
        }
    }
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn go_offline(&self) {
        self.frame.go_offline(|| {
            let woken = self.requests.with(|r| r.fail_all(IOReturn::Offline));
            self.frame.wake(woken);
        });
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
