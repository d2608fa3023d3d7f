//! A data queue in memory that driver and task share ([`abi::io::queue`] has its layout).
//!
//! The rules are [DQ1's](super::data_queue): one producer, one consumer, no lock, full is false, told when it was empty. But the consumer is not
//! believed: what it has written to the head can make the queue full, and nothing else. What the producer needs to know, it
//! keeps to itself.

use abi::io::queue::{HEAD, RING, TAIL, WORDS};
use alloc::boxed::Box;
use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use mach::{KernelRef, seam::Point, vm::SharedMemory};

use crate::ioreturn::{IOResult, IOReturn};

/// Bytes of a word.
const WORD: usize = 8;
/// Most bytes of one entry.
const ENTRY_MAX: usize = 1 << 16;

/// The driver's end. One thread at a time has it.
pub struct SharedProducer {
    kernel: KernelRef,
    memory: SharedMemory,
    /// Length of the ring.
    words: u64,
    /// Words written so far. What is in the memory is a copy.
    tail: u64,
    notify: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for SharedProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedProducer({} words written)", self.tail)
    }
}

/// Words that an entry of `bytes` bytes takes, its length included.
fn words_of(bytes: usize) -> usize {
    1 + bytes.div_ceil(WORD)
}

impl SharedProducer {
    /// A queue with room for `entries` entries of `size` bytes. `notify` is called when it ceases to be empty.
    ///
    /// # Errors
    /// BadArgument: larger than shared memory may be. NoMemory.
    pub fn new(
        kernel: &KernelRef,
        entries: usize,
        size: usize,
        notify: impl Fn() + Send + Sync + 'static,
    ) -> IOResult<Self> {
        if size > ENTRY_MAX {
            return Err(IOReturn::BadArgument);
        }
        let words = entries.checked_mul(words_of(size)).ok_or(IOReturn::BadArgument)?.max(2);
        let all = words.checked_add(RING as usize).ok_or(IOReturn::BadArgument)?;
        let memory = SharedMemory::new(kernel, all).map_err(|why| match why {
            abi::KernReturn::InvalidArgument => IOReturn::BadArgument,
            _ => IOReturn::NoMemory,
        })?;
        let queue =
            Self { kernel: kernel.clone(), memory, words: words as u64, tail: 0, notify: Box::new(notify) };
        if let Some(place) = queue.word(WORDS) {
            place.store(queue.words, Ordering::Release);
        }
        Ok(queue)
    }

    /// The memory, for the task's map.
    pub fn memory(&self) -> &SharedMemory {
        &self.memory
    }

    fn word(&self, at: u64) -> Option<&AtomicU64> {
        self.memory.word(usize::try_from(at).ok()?)
    }

    /// What the consumer says that it has read.
    fn head(&self) -> u64 {
        self.word(HEAD).map_or(0, |head| head.load(Ordering::SeqCst))
    }

    /// Whether everything was taken, as far as the consumer says.
    pub fn is_empty(&self) -> bool {
        self.head() == self.tail
    }

    /// Appends an entry. False: it does not fit, and nothing was written.
    pub fn enqueue(&mut self, data: &[u8]) -> bool {
        let used = self.tail.wrapping_sub(self.head());
        let needed = words_of(data.len()) as u64;
        // A head that cannot be makes `used` too large: full.
        if data.len() > ENTRY_MAX || used > self.words || needed > self.words - used {
            return false;
        }
        self.step();
        let pieces = data.chunks(WORD).map(|piece| {
            let mut padded = [0; WORD];
            padded[..piece.len()].copy_from_slice(piece);
            u64::from_le_bytes(padded)
        });
        for (value, at) in core::iter::once(data.len() as u64).chain(pieces).zip(self.tail..) {
            if let Some(place) = self.word(RING + at % self.words) {
                place.store(value, Ordering::Relaxed);
            }
        }
        self.step();
        let before = self.tail;
        self.tail = before.wrapping_add(needed);
        if let Some(place) = self.word(TAIL) {
            // After the entry, and in one order with the look at the head: see the queue that needs no task.
            place.store(self.tail, Ordering::SeqCst);
        }
        self.step();
        if self.head() == before {
            (self.notify)();
        }
        true
    }

    /// Where the simulator lets the other side go on.
    fn step(&self) {
        self.kernel.point(Point::SpinLock);
    }
}
