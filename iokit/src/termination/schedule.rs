//! Scheduling phase 2, finalize and stop; the synchronous option.

use mach::{OutOfMemory, Policy, WaitResult, band};

use crate::{
    IoKit,
    service::{Options, Service, ServiceRef, State},
};

/// How long a synchronous terminate waits for quiet, ns.
const SYNCHRONOUS_LIMIT: u64 = 15_000_000_000;

impl Service {
    /// Queues phase 2 of this service.
    pub(crate) fn schedule_phase_2(self: &ServiceRef) {
        let victim = self.clone();
        self.kit().terminator().schedule(self.kernel(), |jobs| jobs.phase_2.push_back(victim));
    }

    /// Queues phase 2 again if it came too early. Matching, or a client's start, is over.
    ///
    /// Only then: phase 1 may still be on its way below this service, and phase 2 must not overtake it.
    pub(crate) fn resume_phase_2(self: &ServiceRef) {
        let _held = self.arbitrate();
        if self.change(State::empty(), State::TERM_PHASE_2_LATER).contains(State::TERM_PHASE_2_LATER) {
            self.schedule_phase_2();
        }
    }

    /// Queues `finalize`, unless calls in flight hold it back (then the last of them comes back `now`).
    pub(crate) fn schedule_finalize(self: &ServiceRef, now: bool) {
        if now || self.port().finish() {
            let victim = self.clone();
            self.kit().terminator().schedule(self.kernel(), |jobs| jobs.finalize.push_back(victim));
        }
    }

    /// Queues `stop(provider)` of this service.
    pub(crate) fn schedule_stop(self: &ServiceRef, provider: &ServiceRef) {
        let (client, provider) = (self.clone(), provider.clone());
        self.kit().terminator().schedule(self.kernel(), |jobs| jobs.stop.push(client, provider));
    }

    /// Queues phase 2; with SYNCHRONOUS, off the termination thread, does its work and waits until this service is quiet.
    pub(super) fn start_phase_2(self: &ServiceRef, options: Options) {
        let (kit, kernel) = (self.kit(), self.kernel());
        let terminator = kit.terminator();
        if !options.contains(Options::SYNCHRONOUS) || terminator.is_me(kernel) {
            self.schedule_phase_2();
            return;
        }
        terminator.take_part(kernel);
        self.schedule_phase_2();
        terminator.count_synchronous(true);
        let deadline = kernel.now().saturating_add(SYNCHRONOUS_LIMIT);
        loop {
            while terminator.has_work(kernel) {
                kit.do_termination_work(options);
            }
            if self.busy() == 0 {
                break;
            }
            // Let others do work meanwhile.
            terminator.leave_part(kernel);
            let result = terminator.wait_for_work(kernel, Some(deadline), || self.busy() == 0);
            terminator.take_part(kernel);
            if result == WaitResult::TimedOut {
                kernel.log(format_args!("{self:?}: terminate(Synchronous) timed out"));
                break;
            }
        }
        terminator.count_synchronous(false);
        terminator.leave_part(kernel);
        if terminator.has_work(kernel) {
            terminator.nudge(kernel);
        }
    }
}

impl IoKit {
    /// Makes the termination thread.
    pub(crate) fn start_termination_thread(&self) -> Result<(), OutOfMemory> {
        let kit = self.clone();
        self.kernel().spawn("IOServiceTerminateThread", band::KERNEL, Policy::Fixed, move |_| {
            kit.termination_thread()
        })?;
        Ok(())
    }

    fn termination_thread(&self) {
        let (kernel, terminator) = (self.kernel(), self.terminator());
        terminator.set_thread(kernel, kernel.thread_id());
        loop {
            if terminator.has_work(kernel) {
                terminator.take_part(kernel);
                while terminator.has_work(kernel) {
                    self.do_termination_work(Options::empty());
                }
                terminator.leave_part(kernel);
            }
            terminator.wait_for_work(kernel, None, || false);
        }
    }
}
