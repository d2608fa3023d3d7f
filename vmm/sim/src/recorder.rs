//! Events on their way from the fibres to the sink.

use std::cell::Cell;

use trace::{Event, Kind};

/// Events that are handed over at once: these and their encoded form, which is as long, fit into a first-level cache beside the kernel's data.
const BATCH: usize = 128;

thread_local! {
    /// An empty batch of an earlier run of this OS thread: the room is worth keeping for runs of a few microseconds.
    static SPARE: Cell<Vec<Event>> = const { Cell::new(Vec::new()) };
    /// The same for encoded events.
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Collects events until the hub hands them to the sink.
pub(crate) struct Recorder {
    batch: Vec<Event>,
    /// `run.done` was seen.
    pub done: bool,
    /// Points passed when something last went forward.
    pub progress: u64,
}

impl Recorder {
    /// An empty one.
    pub fn new() -> Self {
        Self { batch: SPARE.take(), done: false, progress: 0 }
    }

    /// Takes an event that is complete. `points` = points passed by now. True = the batch is full.
    #[inline]
    pub fn push(&mut self, event: &Event, points: impl FnOnce() -> u64) -> bool {
        match event.kind {
            Kind::Dispatch | Kind::Wake | Kind::Interrupt | Kind::InterruptEnd => {}
            Kind::Done => self.done = true,
            _ => self.progress = points(),
        }
        self.batch.push(*event);
        self.batch.len() >= BATCH
    }

    /// Takes the batch away; `spare` becomes the next one.
    pub fn swap(&mut self, spare: Vec<Event>) -> Vec<Event> {
        std::mem::replace(&mut self.batch, spare)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.batch));
    }
}

/// Room for encoded events: of whatever length and contents.
pub(crate) fn take_bytes() -> Vec<u8> {
    BYTES.take()
}

/// Keeps that room for the next run.
pub(crate) fn keep_bytes(bytes: Vec<u8>) {
    BYTES.set(bytes);
}

/// Keeps the room of a batch that is done with for the next run.
pub(crate) fn keep(mut batch: Vec<Event>) {
    batch.clear();
    let kept = SPARE.take();
    SPARE.set(if batch.capacity() > kept.capacity() { batch } else { kept });
}
