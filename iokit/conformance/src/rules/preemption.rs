//! Whose kernel code goes on when a more important thread wakes (S2).

use crate::prelude::*;
use crate::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mach::{KernelRef, Preemption, QUANTUM, Thread, WaitMode, band};

use crate::threads::{Counter, compute, spawn};

/// How late a CPU may be, at the most, by the chooser's stalls and interrupt latencies.
const LATE: u64 = 2_000_000;

/// A thread that sleeps until `deadline`, then says when it ran.
fn sleeper(kernel: &KernelRef, level: u8, deadline: u64) -> (Arc<Thread>, Counter) {
    let ran = Counter::default();
    let theirs = ran.clone();
    let thread = spawn(kernel, "sleeper", level, move |kernel| {
        kernel.sleep_until(deadline);
        theirs.set(kernel.now());
    });
    (thread, ran)
}

/// What a thread of a task found out about a more important one that woke while it ran kernel code.
#[derive(Default)]
struct Found {
    /// The other one had run before the kernel code was over.
    before: AtomicBool,
    /// And after user code had gone on.
    after: AtomicBool,
    /// How long the kernel code took, ns.
    took: AtomicU64,
}

/// On one CPU, a thread at 31 computes in the kernel while one of `level` wakes. `has_user_mode` = it goes back to user code.
fn in_kernel(kernel: &KernelRef, level: u8, has_user_mode: bool) -> Found {
    let found = Arc::new(Found::default());
    let theirs = found.clone();
    let start = kernel.now() + 1_000_000;
    let (sleeper, ran) = sleeper(kernel, level, start + 1_000_000);
    let thread = spawn(kernel, "client", band::DEFAULT, move |kernel| {
        kernel.sleep_until(start);
        let me = kernel.current();
        if has_user_mode {
            kernel.enter_user_mode(&me);
            kernel.leave_user_mode(&me);
        }
        // Not more than a quantum, if the schedule allows that.
        let begin = kernel.now();
        compute(kernel, 3_000_000);
        theirs.before.store(ran.get() != 0, Ordering::SeqCst);
        theirs.took.store(kernel.now() - begin, Ordering::SeqCst);
        if has_user_mode {
            kernel.enter_user_mode(&me);
        }
        theirs.after.store(ran.get() != 0, Ordering::SeqCst);
    });
    for thread in [thread, sleeper] {
        thread.join(kernel);
    }
    Arc::into_inner(found).expect("the thread has ended")
}

impl Found {
    fn before(&self) -> bool {
        self.before.load(Ordering::SeqCst)
    }

    fn after(&self) -> bool {
        self.after.load(Ordering::SeqCst)
    }

    /// Whether the quantum may have ended meanwhile: then anybody else may have run.
    fn long(&self) -> bool {
        self.took.load(Ordering::SeqCst) >= QUANTUM - LATE
    }
}

/// A work loop that wakes takes the CPU from user code at once.
fn s2_a_work_loop_preempts_user_code(lab: &Lab<'_>) {
    for strictness in [Preemption::Tasks, Preemption::Strict] {
        lab.kernel(1, 50, move |kernel| {
            kernel.set_preemption(strictness);
            let due = kernel.now() + 3_000_000;
            let (sleeper, ran) = sleeper(kernel, band::KERNEL, due);
            let stop = ran.clone();
            let user = spawn(kernel, "user", band::DEFAULT, move |kernel| {
                kernel.enter_user_mode(&kernel.current());
                stop.spin_until(kernel, 1);
            });
            for thread in [user, sleeper] {
                thread.join(kernel);
            }
            assert!(ran.get() < due + LATE, "{} ns late", ran.get() - due);
        });
    }
}

/// A work loop waits for the kernel code of a task, and runs before its user code goes on.
fn s2_a_work_loop_does_not_preempt_kernel_code_of_a_task(lab: &Lab<'_>) {
    for strictness in [Preemption::Tasks, Preemption::Strict] {
        lab.kernel(1, 50, move |kernel| {
            kernel.set_preemption(strictness);
            let found = in_kernel(kernel, band::KERNEL, true);
            assert!(!found.before() || found.long(), "the kernel code was preempted");
            assert!(found.after(), "the user code went on first");
        });
    }
}

/// Real time and the top user bands preempt kernel code too.
fn s2_urgent_threads_preempt_kernel_code(lab: &Lab<'_>) {
    for level in [band::REAL_TIME, 92, 79, band::FOREGROUND] {
        lab.kernel(1, 20, move |kernel| {
            for strictness in [Preemption::Tasks, Preemption::Strict] {
                kernel.set_preemption(strictness);
                assert!(in_kernel(kernel, level, true).before(), "{level} has waited");
            }
        });
    }
}

/// A thread without user mode stands for user code, unless the kernel is strict.
fn s2_kernel_threads_are_preempted_unless_it_is_strict(lab: &Lab<'_>) {
    lab.kernel(1, 50, |kernel| {
        assert!(in_kernel(kernel, band::KERNEL, false).before());
        kernel.set_preemption(Preemption::Full);
        assert!(in_kernel(kernel, band::KERNEL, true).before());
        kernel.set_preemption(Preemption::Strict);
        let found = in_kernel(kernel, band::KERNEL, false);
        assert!(!found.before() || found.long());
    });
}

/// S3 holds for kernel code too: who has used up its quantum gives way.
fn s2_a_work_loop_waits_for_kernel_code_no_longer_than_a_quantum(lab: &Lab<'_>) {
    lab.kernel(1, 20, |kernel| {
        kernel.set_preemption(Preemption::Strict);
        let due = kernel.now() + 2_000_000;
        let (sleeper, ran) = sleeper(kernel, band::KERNEL, due);
        let stop = ran.clone();
        let hog = spawn(kernel, "hog", band::DEFAULT, move |kernel| stop.spin_until(kernel, 1));
        for thread in [hog, sleeper] {
            thread.join(kernel);
        }
        assert!(ran.get() < due + QUANTUM + LATE, "{} ns late", ran.get() - due);
    });
}

/// A CPU that promised to give way to somebody who then ran elsewhere is asked again by others.
fn s2_who_waits_for_kernel_code_is_taken_by_another_cpu(lab: &Lab<'_>) {
    lab.kernel(2, 50, |kernel| {
        kernel.set_preemption(Preemption::Strict);
        let (event, stop) = (kernel.new_event(), Counter::default());
        let waiting = Counter::default();
        let (theirs, ran) = (waiting.clone(), Counter::default());
        let done = ran.clone();
        let work_loop = spawn(kernel, "work loop", band::KERNEL, move |kernel| {
            kernel.assert_wait(event, WaitMode::Uninterruptible, None);
            theirs.set(1);
            kernel.block();
            done.set(kernel.now());
        });
        while waiting.get() == 0 {
            kernel.delay(100_000);
        }
        // One CPU computes in the kernel; the other is this thread's, which gives it up.
        let theirs = stop.clone();
        let hog = spawn(kernel, "hog", band::DEFAULT, move |kernel| theirs.spin_until(kernel, 1));
        kernel.delay(1_000_000);
        let woken = kernel.now();
        kernel.wakeup(event);
        kernel.delay(500_000);
        assert!(ran.get() != 0 && ran.get() < woken + LATE, "{} {woken}", ran.get());
        stop.set(1);
        for thread in [work_loop, hog] {
            thread.join(kernel);
        }
    });
}

table! {
    s2_a_work_loop_preempts_user_code,
    s2_a_work_loop_does_not_preempt_kernel_code_of_a_task,
    s2_urgent_threads_preempt_kernel_code,
    s2_kernel_threads_are_preempted_unless_it_is_strict,
    s2_a_work_loop_waits_for_kernel_code_no_longer_than_a_quantum,
    s2_who_waits_for_kernel_code_is_taken_by_another_cpu,
}
