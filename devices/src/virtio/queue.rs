//! A virtqueue with its interrupt.

use super::Broken;
use crate::env::Env;
use crate::spec::virtio as spec;
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Bytes of the used ring before its entries, and of an entry (2.7.8).
const USED_HEAD: u64 = 4;
const USED_ENTRY: u64 = 8;

/// A split virtqueue (2.7) and the vector that it interrupts with.
pub struct VirtQueue {
    /// The rings.
    pub(super) queue: Queue,
    /// MSI-X vector, or [`spec::NO_VECTOR`].
    pub(super) vector: u16,
}

impl VirtQueue {
    /// A queue of at most `size` entries, a power of two.
    pub(super) fn new(size: u16) -> Self {
        // A size that is no power of two would be a mistake of the model: the queue is then never ready.
        Self { queue: Queue::new(size).unwrap_or_default(), vector: spec::NO_VECTOR }
    }

    /// Back to power-on.
    pub(super) fn reset(&mut self) {
        self.queue.reset();
        self.vector = spec::NO_VECTOR;
    }

    /// Entries, as the driver chose.
    pub fn size(&self) -> u16 {
        self.queue.size()
    }

    /// True if the rings are enabled and lie within memory.
    pub fn valid(&self, memory: &GuestMemoryMmap) -> bool {
        self.queue.is_valid(memory)
    }

    /// The next request that the driver made available. The rings must be [`VirtQueue::valid`].
    ///
    /// # Errors
    /// An index that runs ahead.
    pub fn pop<'m>(
        &mut self,
        memory: &'m GuestMemoryMmap,
    ) -> Result<Option<DescriptorChain<&'m GuestMemoryMmap>>, Broken> {
        Ok(self.queue.iter(memory).map_err(|_| Broken)?.next())
    }

    /// Asks the driver for a notification of what it adds from now on; true if it has added something already.
    ///
    /// # Errors
    /// Rings outside of memory.
    pub fn listen(&mut self, memory: &GuestMemoryMmap) -> Result<bool, Broken> {
        self.queue.enable_notification(memory).map_err(|_| Broken)
    }

    /// Hands a request back with `length` bytes written, and tells `env` where the used ring was written (2.7.8).
    ///
    /// # Errors
    /// Rings outside of memory.
    pub fn complete(
        &mut self,
        memory: &GuestMemoryMmap,
        (head, length): (u16, u32),
        env: &mut dyn Env,
    ) -> Result<(), Broken> {
        let (ring, entry) = (self.queue.used_ring(), self.queue.next_used() % self.queue.size().max(1));
        self.queue.add_used(memory, head, length).map_err(|_| Broken)?;
        let at = USED_HEAD + USED_ENTRY * u64::from(entry);
        env.wrote(ring.saturating_add(at), USED_ENTRY as usize);
        env.wrote(ring, USED_HEAD as usize);
        Ok(())
    }

    /// True if the driver wants an interrupt for what was handed back since the last call (2.7.7).
    ///
    /// # Errors
    /// Rings outside of memory.
    pub fn wants_interrupt(&mut self, memory: &GuestMemoryMmap) -> Result<bool, Broken> {
        if self.queue.event_idx_enabled() {
            return self.queue.needs_notification(memory).map_err(|_| Broken);
        }
        let flags: u16 = memory.read_obj(GuestAddress(self.queue.avail_ring())).map_err(|_| Broken)?;
        Ok(u16::from_le(flags) & spec::AVAIL_NO_INTERRUPT == 0)
    }
}
