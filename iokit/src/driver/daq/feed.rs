//! The way of the samples to the clients: an IODataQueue for each, filled in the gate, emptied without it. That of a task may be in memory that it
//! shares with the driver: then it asks nobody to empty it.

use super::regs::SAMPLE_BYTES;
use super::sample::{ENTRY_BYTES, Entry};
use crate::io::{Consumer, Producer, SharedProducer, data_queue};
use crate::ioreturn::{IOResult, IOReturn};
use crate::work_loop::CommandGate;
use alloc::sync::Arc;
use alloc::vec::Vec;
use mach::ipc::SendRight;
use mach::vm::SharedMemory;
use mach::{KernelRef, Mutex, SpinLock, WaitEvent};

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

/// Where a task wants to be told that its queue is no longer empty.
type Told = Arc<SpinLock<Option<Arc<SendRight>>>>;

/// The driver's end of one client's queue.
struct Feed {
    client: u32,
    event: WaitEvent,
    queue: Queue,
    told: Told,
    /// Samples that there was no room for, modulo 2³².
    dropped: u32,
}

/// A queue that the client empties by its calls, or one that its task does.
enum Queue {
    Own(Producer),
    Shared(SharedProducer),
}

impl Queue {
    fn is_empty(&self) -> bool {
        match self {
            Self::Own(queue) => queue.is_empty(),
            Self::Shared(queue) => queue.is_empty(),
        }
    }

    fn enqueue(&mut self, data: &[u8]) -> bool {
        match self {
            Self::Own(queue) => queue.enqueue(data),
            Self::Shared(queue) => queue.enqueue(data),
        }
    }
}

/// Tells the task. A queue of its port that is full has something in it that tells the same; one that is dead is nobody's.
fn tell(kernel: &KernelRef, told: &Told) {
    let right = told.lock(kernel).clone();
    if let Some(right) = right {
        _ = right.send(abi::io::DATA_AVAILABLE, Vec::new(), Vec::new());
    }
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
        let told = Arc::new(SpinLock::new(None));
        self.0.push(Feed { client, event, queue: Queue::Own(producer), told, dropped: 0 });
        Ok(Reader { kernel: kernel.clone(), client, event, consumer: Mutex::new(kernel, consumer) })
    }

    /// `client` gets no more samples. What is dropped is dropped by the caller.
    pub fn remove(&mut self, client: u32) -> Option<impl Sized + use<>> {
        let at = self.0.iter().position(|feed| feed.client == client)?;
        Some(self.0.remove(at))
    }

    /// The memory of `client`'s queue. From the first time on its task empties it: calls find nothing any more.
    ///
    /// # Errors
    /// Aborted: it gets no samples. NoMemory.
    pub fn share(&mut self, kernel: &KernelRef, client: u32) -> IOResult<SharedMemory> {
        let feed = self.0.iter_mut().find(|feed| feed.client == client).ok_or(IOReturn::Aborted)?;
        if let Queue::Shared(queue) = &feed.queue {
            return Ok(queue.memory().clone());
        }
        let (teller, told) = (kernel.clone(), feed.told.clone());
        let notify = move || tell(&teller, &told);
        let queue = SharedProducer::new(kernel, QUEUE_ENTRIES, ENTRY_BYTES, notify)?;
        let memory = queue.memory().clone();
        feed.queue = Queue::Shared(queue);
        Ok(memory)
    }

    /// Where `client`'s task wants to be told; what it wanted before.
    ///
    /// # Errors
    /// Aborted: it gets no samples.
    pub fn tell(
        &mut self,
        kernel: &KernelRef,
        client: u32,
        port: Arc<SendRight>,
    ) -> IOResult<Option<Arc<SendRight>>> {
        let feed = self.0.iter().find(|feed| feed.client == client).ok_or(IOReturn::Aborted)?;
        Ok(feed.told.lock(kernel).replace(port))
    }

    /// Whether nobody wants samples.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `client` has a queue with nothing in it; `None` if it has none any more.
    pub fn has_nothing_for(&self, client: u32) -> Option<bool> {
        self.0.iter().find(|feed| feed.client == client).map(|feed| feed.queue.is_empty())
    }

    /// A sample for everybody. A client that does not keep up loses it, which its next sample says; nobody waits for it.
    pub fn push(&mut self, sample: &[u8; SAMPLE_BYTES]) {
        for feed in &mut self.0 {
            if !feed.queue.enqueue(&Entry::encode(sample, feed.dropped)) {
                feed.dropped = feed.dropped.wrapping_add(1);
            }
        }
    }

    /// What all clients' threads sleep on.
    pub fn events(&self) -> Vec<WaitEvent> {
        self.0.iter().map(|feed| feed.event).collect()
    }
}
