//! Going on: everything, or one processor alone, for one instruction or for good.

use super::debuggee::Debuggee;
use crate::hold::Holder;
use crate::machine::lock;
use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::multithread::{
    MultiThreadResume, MultiThreadSchedulerLocking, MultiThreadSchedulerLockingOps, MultiThreadSingleStep,
    MultiThreadSingleStepOps,
};
use std::convert::Infallible;

/// What the debugger wants of the threads.
#[derive(Default)]
pub struct Resume {
    step: Option<Tid>,
    go: Option<Tid>,
    /// Threads that were not named stand still.
    locked: bool,
}

impl Debuggee<'_> {
    /// Every processor hears of the points; `step`: this one does one instruction.
    fn arm(&self, step: Option<usize>) {
        let machine = &self.machine;
        for cpu in 0..self.count {
            let debug = lock(&machine.debug.points).control(step == Some(cpu), self.blocks_interrupts);
            // A processor that refuses has no points; the debugger hears of nothing then, as from one that has ended.
            machine.hold.call(machine, cpu, move |vcpu| vcpu.set_guest_debug(&debug).is_ok());
        }
    }

    /// No processor looks at points any more.
    pub fn disarm(&self) {
        let machine = &self.machine;
        for cpu in 0..self.count {
            machine.hold.call(machine, cpu, |vcpu| vcpu.set_guest_debug(&Default::default()).is_ok());
        }
    }

    fn cpu_of(&self, tid: Option<Tid>) -> Option<usize> {
        self.thread(tid?).and_then(|thread| thread.cpu)
    }
}

impl MultiThreadResume for Debuggee<'_> {
    fn resume(&mut self) -> Result<(), Infallible> {
        let Resume { step, go, locked } = std::mem::take(&mut self.resume);
        let machine = self.machine.clone();
        machine.debug.forget_repeating();
        if machine.debug.is_hit() {
            // Another processor has stopped too, and will not again: that is told before anything runs.
            return Ok(());
        }
        // One instruction of a thread that no processor runs: the machine goes on until something else stops it.
        let step = self.cpu_of(step);
        let alone = step.or_else(|| self.cpu_of(go).filter(|_| locked));
        self.arm(step);
        self.threads.clear();
        match alone {
            Some(cpu) => {
                machine.time_goes_on();
                machine.hold.release_one(cpu);
            }
            None => machine.go_on(Holder::Debugger),
        }
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Infallible> {
        self.resume = Resume::default();
        Ok(())
    }

    fn set_resume_action_continue(&mut self, tid: Tid, _signal: Option<Signal>) -> Result<(), Infallible> {
        self.resume.go = Some(tid);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for Debuggee<'_> {
    fn set_resume_action_step(&mut self, tid: Tid, _signal: Option<Signal>) -> Result<(), Infallible> {
        self.resume.step = Some(tid);
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Debuggee<'_> {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Infallible> {
        self.resume.locked = true;
        Ok(())
    }
}
