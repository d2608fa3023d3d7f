//! The fail-safe (S6): one real-time or fixed thread that runs away does not take the machine with it.

use crate::prelude::*;
use mach::{FAIL_SAFE_800_QUANTA, FAIL_SAFE_MODERN, KernelRef, Policy, QUANTUM, band};

use crate::threads::{Counter, compute, hog, spawn, spawn_as};

const REAL_TIME: (u8, Policy) = (band::REAL_TIME, Policy::RealTime { deadline: 5 });
/// A thread of fixed priority.
const FIXED: (u8, Policy) = (70, Policy::Fixed);
/// A limit that tests reach sooner, ns.
const SOON: u64 = 20 * QUANTUM;

/// Runs a runaway thread beside a user thread on one CPU; when the user thread first ran, and what became of the other.
fn user_runs_beside(kernel: &KernelRef, runaway: (u8, Policy)) -> u64 {
    let stop = Counter::default();
    // More important than real time, to look on.
    kernel.current().set_priority(kernel, 120);
    let start = kernel.now();
    let runaway = hog(kernel, runaway, &stop);
    let user = spawn(kernel, "user", band::DEFAULT, |_| {});
    user.join(kernel);
    let took = kernel.now() - start;
    let now = runaway.statistics(kernel);
    assert_eq!(now.demotions, 1);
    assert!(now.demoted_until.is_some() && now.priority <= band::DEFAULT, "{now:?}");
    stop.set(1);
    runaway.join(kernel);
    took
}

fn s6_a_real_time_thread_that_never_blocks_is_demoted_after_a_second(lab: &Lab<'_>) {
    lab.kernel(1, 3, |kernel| {
        let took = user_runs_beside(kernel, REAL_TIME);
        assert!((FAIL_SAFE_MODERN..FAIL_SAFE_MODERN + 4 * QUANTUM).contains(&took), "{took} ns");
    });
}

/// As it was: eight seconds of computing.
fn s6_so_is_a_fixed_one_after_800_quanta_where_that_is_the_rule(lab: &Lab<'_>) {
    lab.kernel_for_long(1, 10, |kernel| {
        kernel.set_fail_safe(FAIL_SAFE_800_QUANTA);
        let took = user_runs_beside(kernel, FIXED);
        assert_eq!(FAIL_SAFE_800_QUANTA, 8_000_000_000);
        assert!((FAIL_SAFE_800_QUANTA..FAIL_SAFE_800_QUANTA + 4 * QUANTUM).contains(&took), "{took} ns");
    });
}

/// IOKit knows the era, and sets the limit.
fn s6_the_era_says_which(lab: &Lab<'_>) {
    for (era, demotions) in [("era=10.5", 0), ("era=modern", 1)] {
        lab.kernel(1, 1, move |kernel| {
            let kit = iokit::IoKit::new(kernel, &iokit::BootArgs::parse(era));
            let stop = Counter::default();
            let runaway = hog(kernel, FIXED, &stop);
            kernel.delay(FAIL_SAFE_MODERN + 2 * QUANTUM);
            assert_eq!(runaway.statistics(kernel).demotions, demotions, "{era}");
            stop.set(1);
            runaway.join(kernel);
            kit.shutdown();
        });
    }
}

/// Being preempted is not blocking: the time adds up.
fn s6_preemption_does_not_start_the_time_again(lab: &Lab<'_>) {
    lab.kernel(1, 10, |kernel| {
        kernel.set_fail_safe(SOON);
        let stop = Counter::default();
        let runaway = hog(kernel, FIXED, &stop);
        for _ in 0..32 {
            kernel.delay(7_000_000);
        }
        assert_eq!(runaway.statistics(kernel).demotions, 1);
        stop.set(1);
        runaway.join(kernel);
    });
}

/// A thread that blocks now and then keeps its policy however much it computes.
fn s6_blocking_starts_the_time_again(lab: &Lab<'_>) {
    lab.kernel(1, 10, |kernel| {
        kernel.set_fail_safe(SOON);
        let busy = spawn_as(kernel, "busy", FIXED, |kernel| {
            for _ in 0..20 {
                compute(kernel, SOON / 10);
                kernel.delay(1_000);
            }
            let me = kernel.current().statistics(kernel);
            assert_eq!((me.demotions, me.priority), (0, 70));
            assert!(me.times.running > SOON);
        });
        busy.join(kernel);
    });
}

/// Restored when twice the time has passed: while it computes, while it waits in a run queue, and while it is blocked.
fn s6_a_demoted_thread_is_restored(lab: &Lab<'_>) {
    lab.kernel(1, 3, |kernel| {
        kernel.set_fail_safe(SOON);
        kernel.current().set_priority(kernel, 120);
        let (stop, sleep) = (Counter::default(), kernel.new_event());
        let computes = hog(kernel, FIXED, &stop);
        let other = hog(kernel, (60, Policy::Fixed), &stop);
        let until = stop.clone();
        let sleeps = spawn_as(kernel, "sleeps", REAL_TIME, move |kernel| {
            compute(kernel, 22 * QUANTUM);
            kernel.assert_wait(sleep, mach::WaitMode::Uninterruptible, None);
            kernel.block();
            until.spin_until(kernel, 1);
        });
        kernel.delay(1_000_000);
        while computes.statistics(kernel).demotions == 0 {
            kernel.delay(QUANTUM);
        }
        // Both are demoted or about to be, and compete with the third at first; then each gets its second turn.
        let mut restored = false;
        for _ in 0..100 {
            kernel.delay(QUANTUM);
            let now = computes.statistics(kernel);
            restored |= now.demoted_until.is_none() && now.priority == 70;
        }
        assert!(restored && computes.statistics(kernel).demotions > 1);
        let asleep = sleeps.statistics(kernel);
        assert_eq!((asleep.demotions, asleep.state), (1, mach::RunState::Waiting));
        kernel.wakeup(sleep);
        kernel.delay(QUANTUM);
        let awake = sleeps.statistics(kernel);
        assert_eq!((awake.demoted_until, awake.priority), (None, band::REAL_TIME));
        stop.set(1);
        [computes, other, sleeps].iter().for_each(|thread| thread.join(kernel));
    });
}

/// An owner that was demoted still gets what waiters push (S7).
fn s6_a_demoted_owner_is_pushed(lab: &Lab<'_>) {
    lab.kernel(1, 3, |kernel| {
        kernel.set_fail_safe(SOON);
        let stop = Counter::default();
        let lock = crate::sync::Arc::new(mach::RecursiveLock::new(kernel));
        let (theirs, until) = (lock.clone(), stop.clone());
        let owner = spawn_as(kernel, "owner", FIXED, move |kernel| {
            theirs.lock(kernel);
            until.spin_until(kernel, 1);
            theirs.unlock(kernel);
        });
        let waiter = spawn(kernel, "waiter", 60, move |kernel| {
            lock.lock(kernel);
            lock.unlock(kernel);
        });
        kernel.delay(30 * QUANTUM);
        let now = owner.statistics(kernel);
        assert!(now.demoted_until.is_some(), "{now:?}");
        assert_eq!(now.priority, 60);
        stop.set(1);
        waiter.join(kernel);
        owner.join(kernel);
    });
}

fn s6_idle_threads_may_run_for_ever(lab: &Lab<'_>) {
    lab.kernel(2, 2, |kernel| {
        kernel.delay(3 * FAIL_SAFE_MODERN);
        let idle: Vec<_> = kernel.statistics().threads.into_iter().filter(|t| t.base == band::IDLE).collect();
        assert_eq!(idle.len(), 2);
        assert!(idle.iter().all(|t| t.demotions == 0 && t.times.running > 2 * FAIL_SAFE_MODERN), "{idle:?}");
    });
}

table! {
    s6_a_real_time_thread_that_never_blocks_is_demoted_after_a_second,
    s6_so_is_a_fixed_one_after_800_quanta_where_that_is_the_rule,
    s6_the_era_says_which,
    s6_preemption_does_not_start_the_time_again,
    s6_blocking_starts_the_time_again,
    s6_a_demoted_thread_is_restored,
    s6_a_demoted_owner_is_pushed,
    s6_idle_threads_may_run_for_ever,
}
