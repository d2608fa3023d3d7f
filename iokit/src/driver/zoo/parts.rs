//! What a specimen has between `start` and `stop`, and what all of them do alike.

use super::card::{Card, Look};
use super::driver::ZooDriver;
use super::habits::Habits;
use super::request::{Op, Output, Queue, Request};
use crate::driver::common::{Frame, Parts};
use crate::driver::edu::regs;
use crate::family::pci::PciDevice;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::{Service, ServiceRef};
use crate::work_loop::Gated;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::{DmaBuffer, KernelRef};

/// Bytes of DMA memory: the way to the card, and the way back.
const BUFFER_BYTES: u64 = 2 * regs::CARD_BUFFER_BYTES;

/// A started specimen.
pub struct Zoo {
    kernel: KernelRef,
    /// The driver, which has these parts.
    me: Weak<Service>,
    frame: Frame,
    card: Card,
    /// `None` only after a specimen gave it back too early.
    buffer: Gated<Option<DmaBuffer>>,
    /// Interrupt bits that the filter took, for the action.
    pending: AtomicU32,
    queue: Gated<Queue>,
    habits: Arc<dyn Habits>,
}

impl Zoo {
    /// Maps the card and makes the event sources; nothing runs yet.
    pub fn new(
        me: &ServiceRef,
        provider: &ServiceRef,
        device: &PciDevice,
        habits: Arc<dyn Habits>,
    ) -> IOResult<Self> {
        let kernel = me.kernel().clone();
        let card = Card::new(device.map(me, 0)?)?;
        let buffer = device.dma_buffer(&kernel, BUFFER_BYTES, 64, regs::DMA_LIMIT)?;
        let is_mine = |me: &ServiceRef| ZooDriver::parts_of(me).is_ok_and(|zoo| zoo.habits.filter(&zoo));
        let interrupt = ZooDriver::interrupt(me, provider, 0, Self::interrupted, is_mine)?;
        let watch = ZooDriver::action(|zoo| {
            zoo.frame.watchdog_fired();
            zoo.habits.watch(zoo);
        });
        let frame = Frame::new(me, vec![interrupt], habits.patience(), watch);
        let (buffer, queue) = (frame.gated(Some(buffer)), frame.gated(Queue::default()));
        let (me, pending) = (Arc::downgrade(me), AtomicU32::new(0));
        Ok(Self { kernel, me, frame, card, buffer, pending, queue, habits })
    }

    /// The kernel.
    pub fn kernel(&self) -> &KernelRef {
        &self.kernel
    }

    /// The driver, while it lives.
    pub fn me(&self) -> Option<ServiceRef> {
        self.me.upgrade()
    }

    /// The card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// What was asked for and has not come back.
    pub fn queue(&self) -> &Gated<Queue> {
        &self.queue
    }

    /// The habits.
    pub fn habits(&self) -> &dyn Habits {
        &*self.habits
    }

    /// Does `op` on the card and waits for it, on the calling client's thread. `me` is the driver.
    pub fn submit(&self, me: &ServiceRef, op: Op) -> IOResult<Output> {
        let request = Request::new(me, op);
        let result = self.habits.transact(self, me, &request);
        self.habits.let_go(&request, &result);
        result
    }

    /// Puts a request at the end of the queue, with a reference for the queue. Gated.
    pub fn enqueue(&self, request: &Arc<Request>) {
        request.object.retain();
        self.queue.with(|q| q.waiting.push_back(request.clone()));
        self.pump();
    }

    /// Sleeps until the request has come back. Gated.
    pub fn wait(&self, request: &Request) -> IOResult<Output> {
        loop {
            if let Some(result) = request.completion.take() {
                return result;
            }
            self.habits.sleep(self, request);
            self.habits.woken(self);
        }
    }

    /// Gives the card its next work, if it has none. Gated.
    pub fn pump(&self) {
        while self.frame.closed().is_none() {
            let now = self.kernel.now();
            let Some(request) = self.queue.with(|q| q.begin(now)) else { return };
            if self.habits.start(self, &request) {
                self.frame.arm_watchdog();
                return;
            }
        }
    }

    /// Lets the card begin with `request`. Gated.
    pub fn start(&self, request: &Request) {
        self.with_buffer(|buffer| self.card.start(&request.op, buffer));
    }

    /// Lends the DMA memory, if there is any. Gated.
    fn with_buffer<R>(&self, f: impl FnOnce(&DmaBuffer) -> R) -> Option<R> {
        self.buffer.with(|buffer| buffer.as_ref().map(f))
    }

    /// Takes the DMA memory out, to give it back. Gated.
    pub fn take_buffer(&self) -> Option<DmaBuffer> {
        self.buffer.with(Option::take)
    }

    /// The interrupt's action.
    fn interrupted(&self) {
        self.pending.store(0, Ordering::Release);
        self.settle();
        self.pump();
    }

    /// Looks at the card's work and takes it one step further; whether it moved. Gated.
    pub fn settle(&self) -> bool {
        match self.look() {
            Look::Busy => false,
            Look::Turn(bytes) => {
                self.turn(bytes);
                true
            }
            Look::Done(output) => {
                self.habits.done(self, output);
                true
            }
        }
    }

    /// Looks at the card's work. Gated.
    pub fn look(&self) -> Look {
        let running = self.queue.with(|q| q.running.clone());
        match running.filter(|_| self.frame.closed().is_none()) {
            Some(running) => {
                self.with_buffer(|buffer| self.card.look(&running, buffer)).unwrap_or(Look::Busy)
            }
            None => Look::Busy,
        }
    }

    /// The copy's bytes are on the card: they come back now. Gated.
    pub fn turn(&self, bytes: usize) {
        let now = self.kernel.now();
        self.queue.with(|q| {
            if let Some(running) = &mut q.running {
                (running.returning, running.since) = (true, now);
            }
        });
        self.with_buffer(|buffer| self.card.turn(bytes, buffer));
    }

    /// The running request comes back with `result`, and the card is free. Gated.
    pub fn finish(&self, result: IOResult<Output>) {
        if let Some(running) = self.queue.with(|q| q.running.take()) {
            self.complete(&running.request, result);
        }
    }

    /// A request that is on no list any more comes back: wakes its thread, drops the queue's reference. Gated.
    pub fn complete(&self, request: &Request, result: IOResult<Output>) {
        if request.completion.complete(result) {
            request.object.release();
            self.frame.wake([request.event]);
        }
    }

    /// The watchdog: what is done but did not say so is settled, what hangs is given up. Gated.
    pub fn give_up_if_late(&self) {
        let (now, patience) = (self.kernel.now(), self.habits.patience());
        let late = |since: u64| now.saturating_sub(since) >= patience;
        if self.queue.with(|q| q.running.as_ref().is_some_and(|r| late(r.since))) && !self.settle() {
            // A card that has gone is not late, and nobody may have said yet that it has.
            self.finish(Err(if self.card.answers() { IOReturn::Timeout } else { IOReturn::Offline }));
        }
        self.pump_and_watch();
    }

    /// [`Zoo::pump`], and the watchdog again if the card works. Gated.
    pub fn pump_and_watch(&self) {
        self.pump();
        if self.frame.closed().is_none() && self.queue.with(|q| q.running.is_some()) {
            self.frame.arm_watchdog();
        }
    }

    /// Everything that was asked for comes back as Offline. Gated.
    pub fn fail_all(&self) {
        while let Some(request) = self.queue.with(Queue::pop) {
            self.complete(&request, Err(IOReturn::Offline));
        }
    }

    /// At primary interrupt level: takes what the card has to say, so that it is quiet until it has more.
    pub fn acknowledge(&self) -> bool {
        let registers = self.card.registers();
        let bits = registers.read32(regs::INTERRUPT_STATUS);
        // All ones: the card is gone and the interrupt is somebody else's, or its last.
        if bits == 0 || bits == u32::MAX {
            return false;
        }
        registers.write32(regs::INTERRUPT_ACKNOWLEDGE, bits);
        self.pending.fetch_or(bits, Ordering::AcqRel);
        true
    }
}

impl Parts for Zoo {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn begin(&self) -> IOResult {
        self.frame.begin()?;
        let me = self.me.upgrade().ok_or(IOReturn::Offline)?;
        self.habits.begin(self, &me)
    }

    fn go_offline(&self) {
        self.frame.go_offline(|| self.habits.fail(self));
    }
}
