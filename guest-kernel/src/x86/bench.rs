//! The bench page: events for the host (`trace::ring`).
//!
//! One event at a time is claimed, stamped and published, under a lock: records are complete and in order of time, and when the
//! doorbell rings, everything before that event is there to be read.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use guest_kernel::boot_info::number;
use guest_kernel::record::{LAST_WORD, words};
use trace::ring::{
    ARMED, BENCH_BYTES, COMMAND, Command, HEAD, KILL, RECORDS, RING_EVENTS, SCARCE_AFTER, SCARCE_BELOW,
    SCARCE_STATE, TAIL, ZERO,
};
use trace::{EVENT_BYTES, EVENT_WORDS, Event, Lending, Scarcity};

use super::lock::Masked;
use super::{cpu, paging};

/// Words of a record.
const WORDS: usize = EVENT_WORDS;
/// Turns to wait for another CPU's event when the kernel panics.
const PATIENCE: u32 = 100_000;

/// The page and its doorbell.
#[derive(Debug)]
pub struct Bench {
    base: u64,
    doorbell: u16,
    lock: Masked<()>,
}

impl Bench {
    /// The bench that `bench=0xADDR,0xPORT` names; `None` if the words are wrong or the address cannot be used.
    pub fn new(words: &str) -> Option<Self> {
        let (base, port) = words.split_once(',')?;
        let base = number(base)?;
        let end = base.checked_add(BENCH_BYTES as u64)?;
        let usable = base >= 4096 && base % 4096 == 0 && end <= 1 << 32;
        let usable = usable && paging::map_shared(base, BENCH_BYTES as u64).is_ok();
        usable.then_some(Self { base, doorbell: u16::try_from(number(port)?).ok()?, lock: Masked::new(()) })
    }

    /// Stamps, publishes, and rings if somebody waits for this kind.
    pub fn record(&self, event: &mut Event, stamp: impl FnOnce(&mut Event)) {
        let guard = self.lock.lock();
        self.publish(event, stamp);
        let armed = self.is_armed(event);
        drop(guard);
        if armed {
            self.ring();
        }
    }

    /// Publishes which memory devices may reach. Nobody is rung up: the host looks when a device has reached some.
    pub fn lend(&self, lending: Lending) {
        let _guard = self.lock.lock();
        let number = self.claim();
        let mut words = lending.words();
        words[LAST_WORD] |= u64::from(number.wrapping_add(1) as u32) << 32;
        self.store(number, words);
    }

    /// The same when other CPUs were stopped, maybe while they held the lock.
    pub fn record_in_panic(&self, event: &mut Event, stamp: impl FnOnce(&mut Event)) {
        let _guard = self.lock.lock_for(PATIENCE);
        self.take_back();
        self.publish(event, stamp);
        self.ring();
    }

    /// Whoever was recording when the kernel panicked has claimed a record and will never publish it: the host, which waits for that one, would read nothing
    /// behind it.
    fn take_back(&self) {
        let claimed = self.word(HEAD).load(Ordering::Relaxed);
        let Some(last) = claimed.checked_sub(1) else { return };
        if self.place(last)[LAST_WORD].load(Ordering::Relaxed) >> 32 != claimed & u64::from(u32::MAX) {
            self.word(HEAD).store(last, Ordering::Relaxed);
        }
    }

    /// What the host asks.
    pub fn command(&self) -> Command {
        Command::from_word(self.half(COMMAND).swap(0, Ordering::AcqRel))
    }

    /// The slots whose clients the host wants dead, if there are any.
    pub fn kill(&self) -> Option<Command> {
        let slots = self.half(KILL).swap(0, Ordering::AcqRel);
        (slots != 0).then_some(Command::Kill(slots))
    }

    /// Whether the host lets one more allocation have memory.
    pub fn has_memory(&self) -> bool {
        let (after, below) = (self.half(SCARCE_AFTER), self.half(SCARCE_BELOW));
        Scarcity { after, below, state: self.word(SCARCE_STATE) }.allows()
    }

    /// The counter's value at machine time zero, as the host has it now.
    pub fn zero(&self) -> &'static AtomicU64 {
        // SAFETY: the header is memory of the bench page, which is mapped for good; the offset is 8-aligned; the host writes it at any
        // time, so atomically.
        unsafe { &*((self.base + ZERO as u64) as *const AtomicU64) }
    }

    fn half(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: the header is memory of the bench page, the offsets are 4-aligned; the host writes it at any time, so atomically.
        unsafe { &*((self.base + offset as u64) as *const AtomicU32) }
    }

    #[inline]
    fn publish(&self, event: &mut Event, stamp: impl FnOnce(&mut Event)) {
        let number = self.claim();
        stamp(event);
        self.store(number, words(event, number.wrapping_add(1) as u32));
    }

    /// The number of the next record, once there is room for it.
    #[inline]
    fn claim(&self) -> u64 {
        let number = self.word(HEAD).load(Ordering::Relaxed);
        while number.wrapping_sub(self.word(TAIL).load(Ordering::Acquire)) >= RING_EVENTS as u64 {
            self.ring();
            core::hint::spin_loop();
        }
        self.word(HEAD).store(number.wrapping_add(1), Ordering::Relaxed);
        number
    }

    /// Publishes a record: the word with its number last.
    #[inline]
    fn store(&self, number: u64, words: [u64; WORDS]) {
        let place = self.place(number);
        let put = |n: usize| place[n].store(words[n], Ordering::Relaxed);
        (0..LAST_WORD).for_each(put);
        (LAST_WORD + 1..WORDS).for_each(put);
        place[LAST_WORD].store(words[LAST_WORD], Ordering::Release);
    }

    /// Where the record with this number goes.
    #[inline]
    fn place(&self, number: u64) -> &[AtomicU64; WORDS] {
        let record = RECORDS + number as usize % RING_EVENTS * EVENT_BYTES;
        // SAFETY: the record is 8-aligned, and ends within BENCH_BYTES of the page, which `new` mapped for good and which is shared with the host
        // only; the host may write it at any time, so atomically.
        unsafe { &*((self.base + record as u64) as *const [AtomicU64; WORDS]) }
    }

    fn is_armed(&self, event: &Event) -> bool {
        let kind = event.kind as usize;
        if kind >= 256 {
            return false;
        }
        let address = self.base + (ARMED + kind / 8) as u64;
        // SAFETY: a byte of the header.
        unsafe { &*(address as *const AtomicU8) }.load(Ordering::Relaxed) >> (kind % 8) & 1 != 0
    }

    fn ring(&self) {
        // SAFETY: the host named this port for this purpose.
        unsafe { cpu::outb(self.doorbell, 1) }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: offsets are 8-aligned and within BENCH_BYTES of the page, which `new` mapped and which is shared with the host only.
        unsafe { &*((self.base + offset as u64) as *const AtomicU64) }
    }
}
