//! A queue from one producer to one consumer, without a lock (DQ1).
//!
//! Entries lie in a ring of words: a word with the length, then the bytes. Head and tail count words since the beginning and never go
//! back, so full and empty are told apart. What one side writes and the other reads:
//!
//! - The producer writes the entry, then moves `tail` (release); the consumer looks at `tail` (acquire), then reads the entry.
//! - The consumer reads the entry, then moves `head` (release); the producer looks at `head` (acquire), then writes over it.
//! - *Who notifies whom*: the producer moves `tail`, then looks whether `head` is where `tail` was: the queue was empty. The consumer
//!   moves `head`, then looks at `tail` before it waits. Each writes first and looks then, all four in one total order (SeqCst), so at
//!   least one of the two sees the other: a consumer that waits is always notified.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use mach::{KernelRef, WaitEvent, WaitMode, WaitResult, seam::Point};

/// Most bytes of one entry.
pub const ENTRY_MAX: usize = 1 << 20;
/// Most words of a queue.
const WORDS_MAX: usize = 1 << 20;
/// Bytes of a word.
const WORD: usize = 8;

/// The ring has no entry where one must be: somebody else wrote to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// What is called when the queue is no longer empty, on the producer's thread or at its interrupt level.
type Notify = Box<dyn Fn() + Send + Sync>;

struct Ring {
    kernel: KernelRef,
    words: Box<[AtomicU64]>,
    /// Words read. The consumer's.
    head: AtomicU64,
    /// Words written. The producer's.
    tail: AtomicU64,
    event: WaitEvent,
    notify: Notify,
}

/// The end that enqueues. One there is, and one thread at a time has it.
pub struct Producer(Arc<Ring>);

/// The end that dequeues. One there is, and one thread at a time has it.
pub struct Consumer(Arc<Ring>);

/// A queue with room for `entries` entries of `size` bytes (or others, as long as they fit). `notify` is called when it ceases to be
/// empty; waiting consumers are woken by themselves. `None`: larger than a queue may be.
pub fn data_queue(
    kernel: &KernelRef,
    entries: usize,
    size: usize,
    notify: impl Fn() + Send + Sync + 'static,
) -> Option<(Producer, Consumer)> {
    let words = entries.checked_mul(words_of(size))?.max(1);
    if words > WORDS_MAX || size > ENTRY_MAX {
        return None;
    }
    let ring = Arc::new(Ring {
        kernel: kernel.clone(),
        words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        head: AtomicU64::new(0),
        tail: AtomicU64::new(0),
        event: kernel.new_event(),
        notify: Box::new(notify),
    });
    Some((Producer(ring.clone()), Consumer(ring)))
}

/// Words that an entry of `bytes` bytes takes, its length included.
fn words_of(bytes: usize) -> usize {
    1 + bytes.div_ceil(WORD)
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, tail) = (self.head.load(Ordering::Relaxed), self.tail.load(Ordering::Relaxed));
        write!(f, "{} of {} words", tail.wrapping_sub(head), self.words.len())
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Ring {
    /// The words from `count` on, round and round.
    fn from(&self, count: u64) -> impl Iterator<Item = &AtomicU64> {
        let len = self.words.len();
        // The remainder is less than the length, a usize.
        let at = (count % len as u64) as usize;
        self.words[at..].iter().chain(&self.words[..at])
    }
}

impl Ring {
    /// Where the simulator lets the other side go on between two steps of this one: there is no lock that would.
    fn step(&self) {
        self.kernel.point(Point::SpinLock);
    }
}

impl Producer {
    /// Whether everything was taken: what there is, only this end adds to.
    pub fn is_empty(&self) -> bool {
        self.0.tail.load(Ordering::Relaxed) == self.0.head.load(Ordering::SeqCst)
    }

    /// Appends an entry. False: it does not fit, and nothing was written (DQ1). Legal at primary interrupt level.
    pub fn enqueue(&mut self, data: &[u8]) -> bool {
        let ring = &*self.0;
        // Only this end moves the tail.
        let tail = ring.tail.load(Ordering::Relaxed);
        // Acquire: what is written below comes after the consumer's reads of the same words.
        let used = tail.wrapping_sub(ring.head.load(Ordering::Acquire));
        let needed = words_of(data.len()) as u64;
        let free = (ring.words.len() as u64).saturating_sub(used);
        if data.len() > ENTRY_MAX || needed > free {
            return false;
        }
        ring.step();
        let mut places = ring.from(tail);
        let pieces = data.chunks(WORD).map(word);
        for (value, place) in core::iter::once(data.len() as u64).chain(pieces).zip(&mut places) {
            place.store(value, Ordering::Relaxed);
        }
        ring.step();
        // See the head of this file for this store and the load after it.
        ring.tail.store(tail.wrapping_add(needed), Ordering::SeqCst);
        ring.step();
        if ring.head.load(Ordering::SeqCst) == tail {
            ring.kernel.wakeup(ring.event);
            (ring.notify)();
        }
        true
    }
}

/// Up to eight bytes as a word.
fn word(bytes: &[u8]) -> u64 {
    let mut padded = [0; WORD];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(padded)
}

impl Consumer {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.tail.load(Ordering::SeqCst) == self.0.head.load(Ordering::Relaxed)
    }

    /// Bytes of the first entry; `None` if there is none.
    ///
    /// # Errors
    /// The ring holds nonsense.
    pub fn peek_length(&self) -> Result<Option<usize>, Corrupt> {
        let ring = &*self.0;
        // Only this end moves the head. Acquire: the entry's words are read after.
        let head = ring.head.load(Ordering::Relaxed);
        let there = ring.tail.load(Ordering::Acquire).wrapping_sub(head);
        if there == 0 {
            return Ok(None);
        }
        let length = ring.from(head).next().map_or(u64::MAX, |w| w.load(Ordering::Relaxed));
        let length = usize::try_from(length).ok().filter(|&n| n <= ENTRY_MAX).ok_or(Corrupt)?;
        if words_of(length) as u64 > there { Err(Corrupt) } else { Ok(Some(length)) }
    }

    /// Takes the first entry; `None` if there is none.
    ///
    /// # Errors
    /// The ring holds nonsense.
    pub fn dequeue(&mut self) -> Result<Option<Vec<u8>>, Corrupt> {
        let Some(length) = self.peek_length()? else { return Ok(None) };
        let ring = &*self.0;
        let head = ring.head.load(Ordering::Relaxed);
        let mut data = Vec::with_capacity(length + WORD);
        for place in ring.from(head).skip(1).take(words_of(length) - 1) {
            data.extend_from_slice(&place.load(Ordering::Relaxed).to_le_bytes());
        }
        data.truncate(length);
        ring.step();
        // Releases the words to the producer; see the head of this file for the total order.
        ring.head.store(head.wrapping_add(words_of(length) as u64), Ordering::SeqCst);
        ring.step();
        Ok(Some(data))
    }

    /// Waits until something is there, or machine time `deadline` (ns): `Awakened` if there is something.
    pub fn wait(&mut self, mode: WaitMode, deadline: Option<u64>) -> WaitResult {
        let kernel = &self.0.kernel;
        loop {
            if !self.is_empty() {
                return WaitResult::Awakened;
            }
            // Asserted, then looked: an entry that comes between ends the wait.
            let asserted = kernel.assert_wait(self.0.event, mode, deadline);
            if asserted != WaitResult::Waiting {
                return asserted;
            }
            self.0.step();
            if !self.is_empty() {
                kernel.clear_own_wait();
                return WaitResult::Awakened;
            }
            match kernel.block() {
                WaitResult::Awakened => {}
                _ if !self.is_empty() => return WaitResult::Awakened,
                other => return other,
            }
        }
    }
}
