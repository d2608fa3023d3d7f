//! Wired memory: what the kernel holds for itself and for devices. None of it is ever paged out.

use crate::kernel::Kernel;

/// How much memory a kernel holds, in bytes, and how many threads it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wired {
    /// Memory for DMA: rings, buffers, descriptors of drivers.
    pub dma: u64,
    /// The kernel's heap; `None` where its machine cannot tell ([`crate::seam::Machine::heap_in_use`]).
    pub heap: Option<u64>,
    /// Threads, each with a stack.
    pub threads: u32,
}

impl Kernel {
    /// What the kernel holds now.
    pub fn wired(&self) -> Wired {
        let _masked = self.masked();
        let dma = self.lock_raw(&self.dma).used();
        let threads = self.lock_raw(&self.sched).threads.len();
        Wired { dma, heap: self.machine().heap_in_use(), threads: u32::try_from(threads).unwrap_or(u32::MAX) }
    }
}
