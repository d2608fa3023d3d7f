//! What the termination thread has to do.

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU32, Ordering};

use mach::{KernelRef, SpinLock, WaitEvent, WaitMode, WaitResult, seam::ThreadId};

use super::stop_list::StopList;
use crate::{IoKit, service::ServiceRef};

/// The lists of the termination thread, and who plays its part just now.
pub(crate) struct Terminator {
    jobs: SpinLock<Jobs>,
    /// Work came, or a service became quiet.
    work_event: WaitEvent,
    /// The part is free.
    part_event: WaitEvent,
    /// Synchronous terminates under way.
    synchronous: AtomicU32,
}

/// Lists that grow at the tail only.
#[derive(Default)]
pub(super) struct Jobs {
    /// Counts what was scheduled since it was last found to be all done.
    pub(super) work: u32,
    /// Who works on the lists: the termination thread or a synchronous terminate.
    worker: Option<ThreadId>,
    /// The termination thread.
    thread: Option<ThreadId>,
    pub(super) phase_2: VecDeque<ServiceRef>,
    pub(super) finalize: VecDeque<ServiceRef>,
    pub(super) stop: StopList,
}

impl Terminator {
    pub(crate) fn new(kernel: &KernelRef) -> Self {
        Self {
            jobs: SpinLock::new(Jobs::default()),
            work_event: kernel.new_event(),
            part_event: kernel.new_event(),
            synchronous: AtomicU32::new(0),
        }
    }

    /// Looks at or changes the lists. What is removed must be dropped outside.
    pub(super) fn with<R>(&self, kernel: &KernelRef, f: impl FnOnce(&mut Jobs) -> R) -> R {
        f(&mut self.jobs.lock(kernel))
    }

    /// Adds work and wakes the worker.
    pub(super) fn schedule(&self, kernel: &KernelRef, add: impl FnOnce(&mut Jobs)) {
        let first = self.with(kernel, |jobs| {
            add(jobs);
            jobs.work += 1;
            jobs.work == 1
        });
        if first {
            kernel.wakeup(self.work_event);
        }
    }

    /// Becomes the worker; waits while another is.
    pub(super) fn take_part(&self, kernel: &KernelRef) {
        let me = kernel.thread_id();
        loop {
            let mine = self.with(kernel, |jobs| {
                if jobs.worker.is_none() {
                    jobs.worker = Some(me);
                    return true;
                }
                kernel.assert_wait(self.part_event, WaitMode::Uninterruptible, None);
                false
            });
            if mine {
                return;
            }
            kernel.block();
        }
    }

    /// Stops being the worker.
    pub(super) fn leave_part(&self, kernel: &KernelRef) {
        self.with(kernel, |jobs| jobs.worker = None);
        kernel.wakeup(self.part_event);
    }

    /// Waits until there is work, or `give_up` says so (looked at under the lock), or the deadline passes.
    pub(super) fn wait_for_work(
        &self,
        kernel: &KernelRef,
        deadline: Option<u64>,
        give_up: impl FnOnce() -> bool,
    ) -> WaitResult {
        let wait = self.with(kernel, |jobs| {
            let wait = jobs.work == 0 && !give_up();
            if wait {
                kernel.assert_wait(self.work_event, WaitMode::Uninterruptible, deadline);
            }
            wait
        });
        if wait { kernel.block() } else { WaitResult::Awakened }
    }

    /// A service became quiet: a synchronous terminate may wait for it.
    pub(crate) fn quiet(&self, kernel: &KernelRef) {
        if self.synchronous.load(Ordering::SeqCst) != 0 {
            kernel.wakeup(self.work_event);
        }
    }

    /// Counts synchronous terminates in and out, which [`Terminator::quiet`] wakes.
    pub(super) fn count_synchronous(&self, begin: bool) {
        if begin {
            self.synchronous.fetch_add(1, Ordering::SeqCst);
        } else {
            self.synchronous.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Wakes whoever waits for work.
    pub(super) fn nudge(&self, kernel: &KernelRef) {
        kernel.wakeup(self.work_event);
    }

    pub(super) fn has_work(&self, kernel: &KernelRef) -> bool {
        self.with(kernel, |jobs| jobs.work != 0)
    }

    pub(super) fn set_thread(&self, kernel: &KernelRef, thread: ThreadId) {
        self.with(kernel, |jobs| jobs.thread = Some(thread));
    }

    /// Whether the caller is the termination thread, or plays its part.
    pub(super) fn is_me(&self, kernel: &KernelRef) -> bool {
        let me = Some(kernel.thread_id());
        self.with(kernel, |jobs| jobs.worker == me || jobs.thread == me)
    }

    pub(crate) fn clear(&self, kit: &IoKit) {
        let gone = self.with(kit.kernel(), core::mem::take);
        drop(gone);
    }
}
