//! What the bodies of tests do all the time.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use iokit::IoKit;
use mach::{KernelRef, Policy, Thread, band};

pub use crate::{
    run::Run,
    sync::{Shared, shared},
};

/// Machine time, ns, in which everything that is under way comes to an end.
pub const SETTLE: u64 = 20_000_000;

/// Lets `ns` of machine time pass. The chooser may stall a CPU for half a millisecond at any point.
pub fn pause(kit: &IoKit, ns: u64) {
    kit.kernel().sleep_until(kit.kernel().now() + ns);
}

/// Runs `body` on a thread of user priority.
pub fn thread(kit: &IoKit, body: impl FnOnce(&KernelRef) + Send + 'static) -> Arc<Thread> {
    kit.kernel().spawn("test", band::DEFAULT, Policy::Fixed, body).expect("memory for a thread")
}

/// Delivers `vector` here, as the machine does: masked, then gives way if asked.
pub fn interrupt(kernel: &KernelRef, vector: u8) {
    let masked = kernel.masked();
    if kernel.interrupt(vector) {
        kernel.preempt();
    }
    drop(masked);
}

/// Waits until `flag` is set.
pub fn until(kit: &IoKit, flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        kit.kernel().sleep_until(kit.kernel().now() + 1_000);
    }
}
