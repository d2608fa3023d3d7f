//! What the driver has between `start` and `stop`: work loop, event sources, the card, the clients' queues.
//!
//! ```text
//! card ─► ring, interrupt ─► filter: acknowledge ─► work loop ─► gate: ring to queues; an empty one wakes its readers
//! client thread ─► read: queue (no gate) ─ empty? ─► gate: commandSleep until it is not ─┘
//! ```

use super::card::Card;
use super::driver::DaqDriver;
use super::feed::{Feeds, Reader};
use super::regs;
use crate::driver::common::{self, Frame};
use crate::family::pci::{PciDevice, Registers};
use crate::interrupts::InterruptType;
use crate::ioreturn::{IOResult, IOReturn};
use crate::service::ServiceRef;
use crate::work_loop::{Gated, InterruptSource};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};
use mach::KernelRef;
use mach::ipc::SendRight;
use mach::vm::SharedMemory;

/// From one look of the watchdog to the next, machine ns: what a lost interrupt costs.
const WATCH_NS: u64 = 50_000_000;
/// How long a card that runs may be without a sample before it is given up, machine ns; a few periods come on top.
const SILENCE_NS: u64 = 1_000_000_000;

/// What the gate protects.
struct Stream {
    /// Samples taken out of the ring, modulo 2³².
    taken: u32,
    /// Machine time of the last of them, or of the start, ns.
    moved: u64,
    feeds: Feeds,
}

/// Everything of a started driver.
pub struct Parts {
    kernel: KernelRef,
    device: Arc<str>,
    frame: Frame,
    card: Card,
    /// Interrupt bits that the filters took, for the action.
    pending: Arc<AtomicU32>,
    stream: Gated<Stream>,
}

impl Parts {
    /// Sets the card up and makes the event sources; nothing runs yet.
    pub fn new(me: &ServiceRef, provider: &ServiceRef, device: &PciDevice) -> IOResult<Self> {
        let kernel = me.kernel().clone();
        let card = Card::new(me, device)?;
        let pending = Arc::new(AtomicU32::new(0));
        let interrupts = interrupts(me, provider, card.registers(), &pending)?;
        let frame = Frame::new(me, interrupts, WATCH_NS, DaqDriver::action(Self::watch));
        let stream = frame.gated(Stream { taken: 0, moved: 0, feeds: Feeds::default() });
        Ok(Self { device: me.device().clone(), kernel, frame, card, pending, stream })
    }

    /// The card.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// A queue for the user client with registry id `client`; the first one starts the card. `me` is the driver.
    /// Offline if the device is going, NotResponding if it was given up.
    pub fn subscribe(&self, me: &ServiceRef, client: u32) -> IOResult<Reader> {
        self.frame.call(me, || {
            let (first, reader) = self.stream.with(|s| {
                let first = s.feeds.is_empty();
                (first, s.feeds.add(&self.kernel, self.frame.gate(), client))
            });
            let reader = reader?;
            if first {
                let now = self.kernel.now();
                self.stream.with(|s| s.moved = now);
                self.card.run();
                self.frame.arm_watchdog();
            }
            Ok(reader)
        })
    }

    /// The user client wants no more samples: its sleepers return Aborted. The last one stops the card.
    pub fn unsubscribe(&self, reader: &Reader) {
        self.frame.work_loop().run_action(|| {
            let (was_last, feed) = self.stream.with(|s| {
                let feed = s.feeds.remove(reader.client());
                (feed.is_some() && s.feeds.is_empty(), feed)
            });
            drop(feed);
            self.frame.wake([reader.event()]);
            // As long as nothing is closed the provider is open, because closing it takes this gate first.
            if was_last && self.frame.closed().is_none() {
                self.card.stop();
                // The next client does not get what this one left.
                self.drain();
            }
        });
    }

    /// The memory of the queue of user client `client`, from which its task takes samples by itself. `me` is the driver.
    /// Offline if the device is going; Aborted if the client is; NoMemory.
    pub fn share(&self, me: &ServiceRef, client: u32) -> IOResult<SharedMemory> {
        self.frame.call(me, || self.stream.with(|s| s.feeds.share(&self.kernel, client)))
    }

    /// Where the task of user client `client` is told that its queue is no longer empty. `me` is the driver.
    pub fn tell(&self, me: &ServiceRef, client: u32, port: Arc<SendRight>) -> IOResult {
        let before = self.frame.call(me, || self.stream.with(|s| s.feeds.tell(&self.kernel, client, port)));
        before.map(drop)
    }

    /// Sleeps until there is something for `reader`, on its thread. `me` is the driver.
    /// Offline if the device goes meanwhile, NotResponding if it is given up; Aborted if the thread or its client is.
    pub fn wait(&self, me: &ServiceRef, reader: &Reader) -> IOResult {
        self.frame.call(me, || {
            loop {
                // The predicate, before each sleep: a wakeup only says that it may have changed.
                match self.stream.with(|s| s.feeds.has_nothing_for(reader.client())) {
                    Some(true) => {}
                    Some(false) => return Ok(()),
                    None => return Err(IOReturn::Aborted),
                }
                self.frame.alive()?;
                self.frame.sleep(reader.event(), None)?;
            }
        })
    }

    /// The interrupts' action.
    fn interrupted(&self) {
        let bits = self.pending.swap(0, Ordering::AcqRel);
        if self.frame.closed().is_some() {
            return;
        }
        let mistakes = if bits & regs::ERROR != 0 { self.card.mistakes() } else { 0 };
        if mistakes != 0 {
            self.give_up(format_args!("status {mistakes:#x}"));
        } else {
            self.drain();
        }
    }

    /// Takes what is in the ring to the clients' queues.
    fn drain(&self) {
        let now = self.kernel.now();
        let drained = self.stream.with(|s| {
            let drained = self.card.drain(&mut s.taken, |sample| s.feeds.push(sample))?;
            if drained != 0 {
                s.moved = now;
            }
            Ok(())
        });
        if let Err(super::card::Garbage) = drained {
            self.give_up(format_args!("its ring makes no sense"));
        }
    }

    /// The card cannot be trusted any more: it is stopped, and reading fails.
    fn give_up(&self, what: core::fmt::Arguments<'_>) {
        self.kernel.log(format_args!("daq {}: {what}; the card is stopped", self.device));
        self.card.silence();
        self.frame.close(IOReturn::NotResponding);
        self.wake_all();
    }

    fn wake_all(&self) {
        let events = self.stream.with(|s| s.feeds.events());
        self.frame.wake(events);
    }

    /// The watchdog's action: an interrupt may have been lost; a card that is silent for long is given up.
    fn watch(&self) {
        self.frame.watchdog_fired();
        if self.frame.closed().is_some() || self.stream.with(|s| s.feeds.is_empty()) {
            return;
        }
        self.card.acknowledge();
        self.drain();
        let patience = SILENCE_NS + 4 * u64::from(self.card.period());
        let silent = self.kernel.now().saturating_sub(self.stream.with(|s| s.moved));
        if silent >= patience {
            self.give_up(format_args!("no sample for {silent} ns"));
        }
        if self.frame.closed().is_none() {
            self.frame.arm_watchdog();
        }
    }
}

impl common::Parts for Parts {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn begin(&self) -> IOResult {
        self.frame.begin()?;
        self.card.enable_interrupts();
        Ok(())
    }

    /// A card that is still there is silenced first: it must not write into memory that is used again.
    fn go_offline(&self) {
        self.frame.go_offline(|| {
            self.card.silence();
            self.wake_all();
        });
    }
}

/// One source for each vector, or one for the line.
fn interrupts(
    me: &ServiceRef,
    provider: &ServiceRef,
    registers: &Registers,
    pending: &Arc<AtomicU32>,
) -> IOResult<Vec<Arc<InterruptSource>>> {
    let lines = provider.interrupts().ok_or(IOReturn::NoResources)?;
    let source = |index: i32, mask: u32| {
        let (registers, pending) = (registers.clone(), pending.clone());
        let is_mine = move |_: &ServiceRef| filter(&registers, &pending, mask);
        DaqDriver::interrupt(me, provider, index, Parts::interrupted, is_mine)
    };
    if lines.interrupt_type(0)? == InterruptType::Edge && lines.count() > 1 {
        Ok(vec![source(0, regs::DATA)?, source(1, regs::OVERRUN | regs::ERROR)?])
    } else {
        Ok(vec![source(0, regs::DATA | regs::OVERRUN | regs::ERROR)?])
    }
}

/// At primary interrupt level: takes what the card has to say of `mask`, so that it is quiet until it has more.
fn filter(registers: &Registers, pending: &AtomicU32, mask: u32) -> bool {
    let all = registers.read32(regs::INTERRUPT_STATUS);
    // All ones: the card is gone and the interrupt is somebody else's, or its last.
    if all & mask == 0 || all == u32::MAX {
        return false;
    }
    registers.write32(regs::INTERRUPT_STATUS, all & mask);
    pending.fetch_or(all & mask, Ordering::AcqRel);
    true
}
