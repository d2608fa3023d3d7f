//! Who may be preempted where (S2).
//!
//! XNU asks a CPU to give way in two ways. User code gives way to whoever is more important, at once. Kernel code does so only for what is
//! urgent: levels 92–127 and 47–79. For anybody else, work loops at 81 among them, it goes on until it blocks, returns to user code, or has used up its
//! quantum.
//!
//! A thread says when it runs user code ([`Kernel::enter_user_mode`], [`Kernel::leave_user_mode`]); a task's threads do. A thread that never
//! does is a kernel thread, and most kernel threads of this bench stand for user code: the clients of a workload are such. So by default S2 holds
//! for those that have a user mode, and the others are preempted like user code: every schedule that XNU allows them is possible, and more are.
//! [`Preemption`] can be stricter, or laxer.

use crate::kernel::{Kernel, Scheduler};
use crate::run_queue::Rank;
use crate::thread::Thread;
use core::sync::atomic::{AtomicU8, Ordering};

/// Which kernel code goes on although a more important thread has woken that is not urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Preemption {
    /// That of threads which have a user mode. Kernel threads are preempted like user code.
    #[default]
    Tasks = 0,
    /// All of it, as in XNU.
    Strict = 1,
    /// None: all code is preempted like user code, which allows the most schedules.
    Full = 2,
}

/// Whether a thread of `level` preempts kernel code when it wakes (S2).
pub const fn is_urgent(level: u8) -> bool {
    matches!(level, 92..=127 | 47..=79)
}

/// Where a thread's code runs.
pub(crate) struct Mode(AtomicU8);

impl Mode {
    /// A kernel thread's, so far.
    const NO_USER: u8 = 0;
    const USER: u8 = 1;
    /// Kernel code of a thread that has been in user mode.
    const KERNEL: u8 = 2;

    pub const fn new() -> Self {
        Self(AtomicU8::new(Self::NO_USER))
    }

    pub fn is_user(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::USER
    }
}

/// The rule that a kernel follows.
pub(crate) struct Rule(AtomicU8);

impl Rule {
    pub const fn new() -> Self {
        Self(AtomicU8::new(Preemption::Tasks as u8))
    }

    fn get(&self) -> Preemption {
        match self.0.load(Ordering::Relaxed) {
            1 => Preemption::Strict,
            2 => Preemption::Full,
            _ => Preemption::Tasks,
        }
    }

    /// Whether code in `mode` gives way to a thread of `best` that has woken.
    fn allows(&self, mode: &Mode, best: Rank) -> bool {
        let gives_way = match (mode.0.load(Ordering::Relaxed), self.get()) {
            (Mode::USER, _) | (_, Preemption::Full) => true,
            (Mode::NO_USER, rule) => rule == Preemption::Tasks,
            _ => false,
        };
        gives_way || best.level().is_some_and(is_urgent)
    }
}

impl Kernel {
    /// Chooses which kernel code is preempted.
    pub fn set_preemption(&self, preemption: Preemption) {
        self.preemption.0.store(preemption as u8, Ordering::Relaxed);
    }

    /// `thread`, the running one, is about to run user code: it gives way first to whoever had to wait for its kernel code. Unmasked.
    pub fn enter_user_mode(&self, thread: &Thread) {
        let _masked = self.masked();
        thread.mode.0.store(Mode::USER, Ordering::Relaxed);
        let local = &self.cpus[self.machine().cpu()];
        if local.deferred.load(Ordering::Relaxed) {
            // Looked at when interrupts are enabled again.
            local.reschedule.store(true, Ordering::Relaxed);
        }
    }

    /// `thread`, the running one, runs kernel code again, or still; whether it was in user mode.
    pub fn leave_user_mode(&self, thread: &Thread) -> bool {
        thread.mode.0.swap(Mode::KERNEL, Ordering::Relaxed) == Mode::USER
    }

    /// Whether `thread`, which `cpu` runs, gives way to the waiting `best` before it wants to. If not, the CPU remembers that somebody waits.
    pub(crate) fn gives_way(&self, cpu: usize, thread: &Thread, best: Rank) -> bool {
        let allowed = self.preemption.allows(&thread.mode, best);
        self.cpus[cpu].deferred.store(!allowed, Ordering::Relaxed);
        allowed
    }

    /// `cpu`, this one, has taken a thread out of the queues: what other CPUs promised to one of those that wait may not be needed any more.
    pub(crate) fn settle_promises(&self, sched: &mut Scheduler, cpu: usize) {
        let best = sched.queues.best();
        for other in (0..self.cpus.len()).filter(|&other| other != cpu) {
            if self.cpus[other].deferred.load(Ordering::Relaxed)
                && let Some(current) = sched.cpus[other].current.clone()
            {
                let mine = self.lock_raw(&current.sched).rank();
                sched.cpus[other].promised = mine.max(best);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_queue::NO_KEY;

    #[test]
    fn s2_urgent_levels_are_those_of_xnu() {
        let edges = [(46, false), (47, true), (79, true), (80, false), (81, false), (91, false), (92, true)];
        for (level, urgent) in edges {
            assert_eq!(is_urgent(level), urgent, "{level}");
        }
        assert!(is_urgent(127) && !is_urgent(0));
    }

    #[test]
    fn s2_each_rule_says_whose_kernel_code_goes_on() {
        let (rule, work_loop, urgent) = (Rule::new(), Rank::new(81, NO_KEY), Rank::new(97, 5));
        let modes = [Mode::NO_USER, Mode::USER, Mode::KERNEL].map(|mode| Mode(AtomicU8::new(mode)));
        for (preemption, expected) in [
            (Preemption::Tasks, [true, true, false]),
            (Preemption::Strict, [false, true, false]),
            (Preemption::Full, [true, true, true]),
        ] {
            rule.0.store(preemption as u8, Ordering::Relaxed);
            assert_eq!(modes.each_ref().map(|mode| rule.allows(mode, work_loop)), expected, "{preemption:?}");
            assert!(modes.iter().all(|mode| rule.allows(mode, urgent)));
        }
    }
}
