//! What the machine calls in the kernel.

use trace::ring::Command;

/// The five places of the seam, and the end. Implemented for [`mach::KernelRef`]; a trait so that the machine's own tests can run without a kernel.
pub trait Upcalls {
    /// Runs on `cpu`'s boot context, masked. Does not return before [`Upcalls::stop`].
    fn start_cpu(&self, cpu: usize);
    /// First activation of a context, masked. Does not return before [`Upcalls::stop`].
    fn thread_entry(&self);
    /// An interrupt was taken, masked. True = [`Upcalls::preempt`] is wanted.
    fn interrupt(&self, vector: u8) -> bool;
    /// On the interrupted thread's stack, masked.
    fn preempt(&self);
    /// The host asks something; at interrupt level.
    fn command(&self, command: Command);
    /// The run has ended: what lies on the threads' stacks is about to be dropped. True: idle threads and the thread that powered the machine
    /// off find the way out themselves, so that the calls in which they wait return. That is cheaper than to unwind them.
    fn stop(&self) -> bool {
        false
    }
    /// Address of the directory of threads that the kernel publishes in its memory ([`mach::Kernel::directory`]).
    fn directory(&self) -> Option<u64> {
        None
    }
    /// The threads are gone: break reference cycles. Called outside of any thread; must not wait.
    fn shutdown(&self);
}
