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

    /// Hands a request back with `length` bytes written, and tells `env` where the used ring was written (2.7.8). `twice`: the device puts the same element into
    /// the ring two times, and shows both at once.
    ///
    /// # Errors
    /// Rings outside of memory.
    pub fn complete(
        &mut self,
        memory: &GuestMemoryMmap,
        (head, length): (u16, u32),
        twice: bool,
        env: &mut dyn Env,
    ) -> Result<(), Broken> {
        let ring = self.queue.used_ring();
        if twice {
            self.put_used(memory, (head, length), env)?;
        }
        let at = self.next_used();
        self.queue.add_used(memory, head, length).map_err(|_| Broken)?;
        env.wrote(at, USED_ENTRY as usize);
        env.wrote(ring, USED_HEAD as usize);
        Ok(())
    }

    /// Address of the used ring's next entry.
    fn next_used(&self) -> u64 {
        let entry = self.queue.next_used() % self.queue.size().max(1);
        self.queue.used_ring().saturating_add(USED_HEAD + USED_ENTRY * u64::from(entry))
    }

    /// Puts an element into the used ring, which the ring's index does not show yet.
    fn put_used(
        &mut self,
        memory: &GuestMemoryMmap,
        (head, length): (u16, u32),
        env: &mut dyn Env,
    ) -> Result<(), Broken> {
        let at = self.next_used();
        let element = u64::from(head) | u64::from(length) << 32;
        memory.write_obj(element.to_le(), GuestAddress(at)).map_err(|_| Broken)?;
        env.wrote(at, USED_ENTRY as usize);
        self.queue.set_next_used(self.queue.next_used().wrapping_add(1));
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
