//! The way of the samples to the clients: an IODataQueue for each, filled in the gate, emptied without it.

use super::regs::SAMPLE_BYTES;
use super::sample::{ENTRY_BYTES, Entry};
use crate::io::{Consumer, Producer, data_queue};
use crate::ioreturn::{IOResult, IOReturn};
use crate::work_loop::CommandGate;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::{KernelRef, Mutex, WaitEvent};

/// Samples that a client's queue has room for.
const QUEUE_ENTRIES: usize = 256;
/// Clients of one card at the most.
const CLIENTS_MAX: usize = 256;

/// The client's end.
pub struct Reader {
    kernel: KernelRef,
    /// Registry id of the user client.
    client: u32,
    /// What its threads sleep on in the gate.
    event: WaitEvent,
    consumer: Mutex<Consumer>,
}

impl Reader {
    /// The user client's registry id.
    pub fn client(&self) -> u32 {
        self.client
    }

    /// What its threads sleep on.
    pub fn event(&self) -> WaitEvent {
        self.event
    }

    /// Takes as many entries as are there and fit, whole ones; how many. Without the gate: the queue needs none, and a client that reads
    /// keeps nobody from the card. Error if the queue holds what nobody put in.
    pub fn take(&self, into: &mut [u8]) -> IOResult<usize> {
        let mut consumer = self.consumer.lock(&self.kernel);
        let mut count = 0;
        for place in into.chunks_exact_mut(ENTRY_BYTES) {
            match consumer.dequeue() {
                Ok(Some(entry)) if entry.len() == ENTRY_BYTES => place.copy_from_slice(&entry),
                Ok(None) => break,
                _ => return Err(IOReturn::Error),
            }
            count += 1;
        }
        Ok(count)
    }
}

/// The driver's end of one client's queue.
struct Feed {
    client: u32,
    event: WaitEvent,
    producer: Producer,
    /// Samples that there was no room for, modulo 2³².
    dropped: u32,
}

/// The queues of all clients. The gate protects it.
#[derive(Default)]
pub struct Feeds(Vec<Feed>);

impl Feeds {
    /// A queue for `client`, whose sleepers `gate` wakes when it ceases to be empty. NoResources if there are too many.
    pub fn add(&mut self, kernel: &KernelRef, gate: &Arc<CommandGate>, client: u32) -> IOResult<Reader> {
        if self.0.len() >= CLIENTS_MAX {
            return Err(IOReturn::NoResources);
        }
        let event = kernel.new_event();
        let waker = gate.clone();
        let notify = move || waker.command_wakeup(event, false);
        let (producer, consumer) =
            data_queue(kernel, QUEUE_ENTRIES, ENTRY_BYTES, notify).ok_or(IOReturn::NoMemory)?;
        self.0.push(Feed { client, event, producer, dropped: 0 });
        Ok(Reader { kernel: kernel.clone(), client, event, consumer: Mutex::new(kernel, consumer) })
    }

    /// `client` gets no more samples.
    pub fn remove(&mut self, client: u32) {
        self.0.retain(|feed| feed.client != client);
    }

    /// Whether nobody wants samples.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `client` has a queue with nothing in it; `None` if it has none any more.
    pub fn has_nothing_for(&self, client: u32) -> Option<bool> {
        self.0.iter().find(|feed| feed.client == client).map(|feed| feed.producer.is_empty())
    }

    /// A sample for everybody. A client that does not keep up loses it, which its next sample says; nobody waits for it.
    pub fn push(&mut self, sample: &[u8; SAMPLE_BYTES]) {
        for feed in &mut self.0 {
            if !feed.producer.enqueue(&Entry::encode(sample, feed.dropped)) {
                feed.dropped = feed.dropped.wrapping_add(1);
            }
        }
    }

    /// What all clients' threads sleep on.
    pub fn events(&self) -> Vec<WaitEvent> {
        self.0.iter().map(|feed| feed.event).collect()
    }
}
