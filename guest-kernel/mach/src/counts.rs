//! How many of what tasks are made of there are: what is left when all tasks have gone is a leak.

use crate::kernel::Kernel;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Resource {
    Task,
    Port,
    Message,
    VmMap,
    VmObject,
    VmPage,
}

/// What reports call them, in the order of [`Resource`].
const NAMES: [&str; 6] = ["Task", "Port", "Message", "VmMap", "VmObject", "VmPage"];

/// The counts of one kernel.
#[derive(Debug, Default)]
pub(crate) struct Counts([AtomicU32; NAMES.len()]);

/// One instance: counted from the making of this until it is dropped.
#[derive(Debug)]
pub(crate) struct Live {
    counts: Arc<Counts>,
    resource: Resource,
}

impl Counts {
    /// One more `resource`.
    pub(crate) fn one(self: &Arc<Self>, resource: Resource) -> Live {
        self.0[resource as usize].fetch_add(1, Ordering::Relaxed);
        Live { counts: self.clone(), resource }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.counts.0[self.resource as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Kernel {
    /// How many tasks, ports, messages, maps, memory objects and pages there are, by name. All are 0 when no task is left, but for the ports of
    /// the kernel's own objects.
    pub fn resources(&self) -> [(&'static str, u32); NAMES.len()] {
        core::array::from_fn(|at| (NAMES[at], self.counts.0[at].load(Ordering::Relaxed)))
    }
}
