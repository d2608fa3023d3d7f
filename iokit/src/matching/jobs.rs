//! The matching threads.

use alloc::collections::VecDeque;

use mach::{KernelRef, Policy, SpinLock, WaitEvent, WaitMode, band};

use crate::{IoKit, service::ServiceRef};

/// Matching threads at most: a driver whose `start` blocks holds up one of them.
const THREADS_MAX: u32 = 4;

/// Services that wait for matching, and the threads that do it. They come when they are needed, and stay.
pub(crate) struct Matcher {
    jobs: SpinLock<Jobs>,
    event: WaitEvent,
}

#[derive(Default)]
struct Jobs {
    queue: VecDeque<ServiceRef>,
    threads: u32,
    idle: u32,
}

impl Matcher {
    pub(crate) fn new(kernel: &KernelRef) -> Self {
        Self { jobs: SpinLock::new(Jobs::default()), event: kernel.new_event() }
    }

    /// Queues `service`; NEED_CONFIG is set and its busy count raised already. False if there is no thread to do it.
    pub(super) fn start(&self, kit: &IoKit, service: ServiceRef) -> bool {
        let kernel = kit.kernel();
        let spawn = {
            let mut jobs = self.jobs.lock(kernel);
            jobs.queue.push_back(service);
            let waiting = u32::try_from(jobs.queue.len()).unwrap_or(u32::MAX);
            let spawn = waiting > jobs.idle && jobs.threads < THREADS_MAX;
            jobs.threads += u32::from(spawn);
            spawn
        };
        if !spawn {
            kernel.wakeup_one(self.event);
            return true;
        }
        let own = kit.clone();
        let spawned =
            kernel.spawn("IOConfigThread", band::KERNEL, Policy::Fixed, move |_| own.matching_thread());
        if spawned.is_ok() {
            return true;
        }
        let mut jobs = self.jobs.lock(kernel);
        jobs.threads -= 1;
        jobs.threads != 0
    }

    /// The next job; waits for it.
    fn next(&self, kernel: &KernelRef) -> ServiceRef {
        loop {
            {
                let mut jobs = self.jobs.lock(kernel);
                if let Some(service) = jobs.queue.pop_front() {
                    return service;
                }
                jobs.idle += 1;
                kernel.assert_wait(self.event, WaitMode::Uninterruptible, None);
            }
            kernel.block();
            self.jobs.lock(kernel).idle -= 1;
        }
    }

    pub(crate) fn clear(&self, kit: &IoKit) {
        let gone = core::mem::take(&mut self.jobs.lock(kit.kernel()).queue);
        drop(gone);
    }
}

impl IoKit {
    fn matching_thread(&self) {
        loop {
            let service = self.matcher().next(self.kernel());
            service.match_service();
        }
    }
}
