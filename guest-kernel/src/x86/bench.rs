//! The bench page: events for the host (`trace::ring`).
//!
//! One event at a time is stamped, stored and published, under a lock: records are complete and in order of time, and when the
//! doorbell rings, everything before that event is there to be read.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use guest_kernel::boot_info::number;
use trace::ring::{
    ARMED, BENCH_BYTES, COMMAND, Command, HEAD, KILL, RECORDS, RING_EVENTS, SCARCE_AFTER, SCARCE_BELOW,
    SCARCE_STATE, TAIL, ZERO,
};
use trace::{EVENT_BYTES, EVENT_WORDS, Event, KINDS, Kind, Lending, Place, Scarcity, Subject};

use super::lock::Masked;
use super::{cpu, paging};

/// Turns to wait for another CPU's event when the kernel panics.
const PATIENCE: u32 = 100_000;

/// The page and its doorbell.
#[derive(Debug)]
pub struct Bench {
    page: Page,
    doorbell: u16,
    lock: Masked<()>,
}

/// Where it is mapped: [`BENCH_BYTES`], for good.
#[derive(Clone, Copy, Debug)]
struct Page(u64);

/// When and where something was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Machine time, ns.
    pub time: u64,
    /// The running thread and the CPU.
    pub place: Place,
}

/// A record in the ring.
type Record = [AtomicU64; EVENT_WORDS];

/// Stores the first words of a record.
#[inline]
fn put<const N: usize>(record: &Record, words: [u64; N]) {
    for (place, word) in record.iter().zip(words) {
        place.store(word, Ordering::Relaxed);
    }
}

impl Stamp {
    /// `event`, recorded then and there.
    #[inline]
    pub fn of(self, event: &Event) -> Event {
        self.place.stamp(event, self.time)
    }
}

impl Bench {
    /// The bench that `bench=0xADDR,0xPORT` names; `None` if the words are wrong or the address cannot be used.
    pub fn new(words: &str) -> Option<Self> {
        let (base, port) = words.split_once(',')?;
        let base = number(base)?;
        let end = base.checked_add(BENCH_BYTES as u64)?;
        let usable = base >= 4096 && base % 4096 == 0 && end <= 1 << 32;
        let usable = usable && paging::map_shared(base, BENCH_BYTES as u64).is_ok();
        usable.then_some(Self {
            page: Page(base),
            doorbell: u16::try_from(number(port)?).ok()?,
            lock: Masked::new(()),
        })
    }

    /// Stamps, publishes, and rings if somebody waits for this kind. The stamp's time.
    pub fn record(&self, event: &Event, stamp: impl Fn() -> Stamp) -> u64 {
        let write = |record: &Record| {
            let event = stamp().of(event);
            put(record, event.words());
            event.time
        };
        match self.publish(event.kind, write) {
            Some(time) => time,
            None => self.record_later(event, stamp),
        }
    }

    /// The same of an event without a text. Inlined into its only caller, which is called for nearly every event.
    #[inline(always)]
    pub fn record_brief(&self, kind: Kind, subject: Subject, arg: u64, stamp: impl Fn() -> Stamp) -> u64 {
        let write = |record: &Record| {
            let Stamp { time, place } = stamp();
            put(record, subject.record(kind, arg, time, place));
            time
        };
        match self.publish(kind, write) {
            Some(time) => time,
            None => self.record_brief_later(kind, subject, arg, stamp),
        }
    }

    /// [`Self::record_brief`], once there is room. Out of line, as [`Self::record_later`].
    #[cold]
    #[inline(never)]
    fn record_brief_later(&self, kind: Kind, subject: Subject, arg: u64, stamp: impl Fn() -> Stamp) -> u64 {
        self.record_later(&subject.event(kind, arg), stamp)
    }

    /// Publishes what `write` stores, and rings if somebody waits for `kind`; what `write` says. `None`: there is no room.
    #[inline(always)]
    fn publish<T>(&self, kind: Kind, write: impl FnOnce(&Record) -> T) -> Option<T> {
        let page = self.page;
        let guard = self.lock.lock();
        let number = page.head();
        if !page.has_room(number) {
            return None;
        }
        let said = write(page.record(number));
        page.publish(number);
        let armed = page.is_armed(kind);
        drop(guard);
        if armed {
            self.ring();
        }
        Some(said)
    }

    /// [`Self::record`], once there is room. Its last step, so that the usual way has nothing to keep over a call.
    #[cold]
    #[inline(never)]
    fn record_later(&self, event: &Event, stamp: impl Fn() -> Stamp) -> u64 {
        self.wait_for_room();
        self.record(event, stamp)
    }

    /// Publishes which memory devices may reach. Nobody is rung up: the host looks when a device has reached some.
    pub fn lend(&self, lending: Lending) {
        let _guard = self.lock.lock();
        self.wait_for_room();
        let number = self.page.head();
        put(self.page.record(number), lending.words());
        self.page.publish(number);
    }

    /// The same when other CPUs were stopped, maybe while they held the lock: what they had not published yet is lost.
    pub fn record_in_panic(&self, event: &Event, stamp: impl FnOnce() -> Stamp) {
        let _guard = self.lock.lock_for(PATIENCE);
        self.wait_for_room();
        let number = self.page.head();
        put(self.page.record(number), stamp().of(event).words());
        self.page.publish(number);
        self.ring();
    }

    /// What the host asks.
    pub fn command(&self) -> Command {
        Command::from_word(self.page.half(COMMAND).swap(0, Ordering::AcqRel))
    }

    /// The slots whose clients the host wants dead, if there are any.
    pub fn kill(&self) -> Option<Command> {
        let slots = self.page.half(KILL).swap(0, Ordering::AcqRel);
        (slots != 0).then_some(Command::Kill(slots))
    }

    /// Whether the host lets one more allocation have memory.
    pub fn has_memory(&self) -> bool {
        let (after, below) = (self.page.half(SCARCE_AFTER), self.page.half(SCARCE_BELOW));
        Scarcity { after, below, state: self.page.word(SCARCE_STATE) }.allows()
    }

    /// The counter's value at machine time zero, as the host has it now.
    pub fn zero(&self) -> &'static AtomicU64 {
        self.page.word(ZERO)
    }

    fn wait_for_room(&self) {
        while !self.page.has_room(self.page.head()) {
            self.ring();
            core::hint::spin_loop();
        }
    }

    #[cold]
    fn ring(&self) {
        // SAFETY: the host named this port for this purpose.
        unsafe { cpu::outb(self.doorbell, 1) }
    }
}

impl Page {
    /// The number of the next record.
    #[inline]
    fn head(self) -> u64 {
        self.word(HEAD).load(Ordering::Relaxed)
    }

    /// Whether the host has taken out what was in the place of this record.
    #[inline]
    fn has_room(self, number: u64) -> bool {
        number.wrapping_sub(self.word(TAIL).load(Ordering::Acquire)) < RING_EVENTS as u64
    }

    /// Says that a record is there.
    #[inline]
    fn publish(self, number: u64) {
        self.word(HEAD).store(number.wrapping_add(1), Ordering::Release);
    }

    /// Where the record with this number goes.
    #[inline]
    fn record(self, number: u64) -> &'static Record {
        let record = RECORDS + number as usize % RING_EVENTS * EVENT_BYTES;
        // SAFETY: the record is 8-aligned, and ends within BENCH_BYTES of the page, which `Bench::new` mapped for good and which is shared with the
        // host only; the host may write it at any time, so atomically.
        unsafe { &*((self.0 + record as u64) as *const Record) }
    }

    #[inline]
    fn is_armed(self, kind: Kind) -> bool {
        const { assert!(ARMED + KINDS <= RECORDS) };
        let address = self.0 + (ARMED + kind as usize) as u64;
        // SAFETY: a byte of the header: numbers of kinds are below KINDS.
        unsafe { &*(address as *const AtomicU8) }.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn word(self, offset: usize) -> &'static AtomicU64 {
        // SAFETY: offsets are 8-aligned and within the header; the page is mapped for good, and the host writes it at any time, so atomically.
        unsafe { &*((self.0 + offset as u64) as *const AtomicU64) }
    }

    fn half(self, offset: usize) -> &'static AtomicU32 {
        // SAFETY: as for `word`; the offsets are 4-aligned.
        unsafe { &*((self.0 + offset as u64) as *const AtomicU32) }
    }
}
