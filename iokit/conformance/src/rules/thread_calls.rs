//! Thread calls (S8).

use crate::prelude::*;
use crate::sync::{Arc, OnceLock};
use mach::{KernelRef, SpinLock, ThreadCall, WaitMode, band};

use crate::threads::{Counter, spawn};

fn counting(kernel: &KernelRef, nanos: u64) -> (ThreadCall, Counter) {
    let runs = Counter::default();
    let theirs = runs.clone();
    let call = ThreadCall::new(kernel, band::THREAD_CALL_HIGH, move |kernel| {
        kernel.delay(nanos);
        theirs.add();
    });
    (call, runs)
}

fn entered_once_it_runs_once(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (call, runs) = counting(kernel, 500);
        assert!(!call.enter());
        kernel.delay(10_000_000);
        assert_eq!(runs.get(), 1);
        assert!(!call.cancel());
    });
}

fn s8_cancel_tells_whether_it_dequeued(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (call, runs) = counting(kernel, 500);
        assert!(!call.enter_at(kernel.now() + 50_000_000));
        assert!(call.enter_at(kernel.now() + 60_000_000), "replaces the earlier entry");
        assert!(call.cancel());
        assert!(!call.cancel());
        kernel.delay(100_000_000);
        assert_eq!(runs.get(), 0);
    });
}

/// Calls run in the order of their deadlines, not before them.
fn delayed_calls_run_when_they_are_due(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let order = Arc::new(SpinLock::new(Vec::new()));
        let start = kernel.now();
        let calls: Vec<_> = [4_u64, 1, 3, 2]
            .into_iter()
            .map(|n| {
                let order = order.clone();
                let call = ThreadCall::new(kernel, band::THREAD_CALL_HIGH, move |kernel| {
                    assert!(kernel.now() >= start + n * 5_000_000);
                    order.lock(kernel).push(n);
                });
                call.enter_at(start + n * 5_000_000);
                call
            })
            .collect();
        kernel.delay(40_000_000);
        assert_eq!(*order.lock(kernel), [1, 2, 3, 4]);
        drop(calls);
    });
}

/// S8: after cancel_wait nobody is inside, whatever was going on.
fn s8_cancel_wait_leaves_nobody_inside(lab: &Lab<'_>) {
    lab.kernel(3, 300, |kernel| {
        let inside = Counter::default();
        let theirs = inside.clone();
        let call = ThreadCall::new(kernel, band::THREAD_CALL_HIGH, move |kernel| {
            theirs.set(1);
            kernel.delay(2_000);
            kernel.yield_now();
            theirs.set(0);
        });
        for n in 0..4 {
            call.enter_at(kernel.now() + n * 700);
            kernel.delay(n * 400);
            call.cancel_wait();
            assert_eq!(inside.get(), 0);
            kernel.delay(5_000);
            assert_eq!(inside.get(), 0, "nothing begins afterwards");
        }
    });
}

fn s8_cancel_wait_from_its_own_function_panics(lab: &Lab<'_>) {
    lab.kernel_panicking(1, &["S8"], |kernel| {
        let own = Arc::new(OnceLock::<ThreadCall>::new());
        let theirs = own.clone();
        let call = ThreadCall::new(kernel, band::THREAD_CALL_HIGH, move |_| {
            if let Some(call) = theirs.get() {
                call.cancel_wait();
            }
        });
        own.set(call.clone());
        call.enter();
        kernel.delay(10_000_000);
    });
}

/// T5's ground: entered from its own function, a call runs again after this run, never beside it.
fn a_call_is_never_on_two_threads(lab: &Lab<'_>) {
    lab.kernel(3, 100, |kernel| {
        let (inside, runs) = (Counter::default(), Counter::default());
        let (theirs, their_runs) = (inside.clone(), runs.clone());
        let call = ThreadCall::new(kernel, band::THREAD_CALL_HIGH, move |kernel| {
            assert_eq!(theirs.add(), 0, "nobody else is inside");
            kernel.delay(3_000);
            theirs.set(0);
            their_runs.add();
        });
        for _ in 0..6 {
            call.enter();
            kernel.delay(1_000);
        }
        kernel.delay(10_000_000);
        assert!((2..=6).contains(&runs.get()), "{}", runs.get());
    });
}

/// One call that blocks does not hold up the others of its group.
fn a_blocked_call_does_not_block_the_group(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let event = kernel.new_event();
        let stuck = ThreadCall::new(kernel, band::THREAD_CALL_HIGH, move |kernel| {
            kernel.assert_wait(event, WaitMode::Uninterruptible, None);
            kernel.block();
        });
        let (call, runs) = counting(kernel, 0);
        call.enter_at(kernel.now() + 5_000_000);
        stuck.enter();
        kernel.delay(20_000_000);
        assert_eq!(runs.get(), 1);
        kernel.wakeup(event);
        stuck.cancel_wait();
    });
}

/// A call runs above work loops (93 against 81).
fn calls_run_at_their_groups_priority(lab: &Lab<'_>) {
    lab.kernel(2, 50, |kernel| {
        let seen = Counter::default();
        let theirs = seen.clone();
        let call = ThreadCall::new(kernel, band::THREAD_CALL_KERNEL_HIGH, move |kernel| {
            theirs.set(u64::from(kernel.current().priority(kernel)));
        });
        call.enter();
        kernel.delay(10_000_000);
        assert_eq!(seen.get(), 92);
    });
}

/// The handles may go: an entry keeps the call alive, and so does a run.
fn an_entry_outlives_the_handles(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (delayed, runs) = counting(kernel, 0);
        delayed.enter_at(kernel.now() + 5_000_000);
        drop(delayed);
        let (running, finished) = counting(kernel, 1_000_000);
        running.enter();
        kernel.delay(500_000);
        drop(running);
        kernel.delay(20_000_000);
        assert_eq!((runs.get(), finished.get()), (1, 1));
    });
}

/// Entered and cancelled by many threads at once, a call neither gets lost nor stuck.
fn many_enter_and_cancel(lab: &Lab<'_>) {
    lab.kernel(4, 100, |kernel| {
        let (call, runs) = counting(kernel, 300);
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let call = call.clone();
                spawn(kernel, "user", 40 + n, move |kernel| {
                    for i in 0..6 {
                        match (u64::from(n) + i) % 3 {
                            0 => _ = call.enter(),
                            1 => _ = call.enter_at(kernel.now() + 900),
                            _ => _ = call.cancel(),
                        }
                        kernel.delay(200);
                    }
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join(kernel));
        call.cancel_wait();
        let before = runs.get();
        call.enter();
        kernel.delay(10_000_000);
        assert_eq!(runs.get(), before + 1);
    });
}

table! {
    entered_once_it_runs_once,
    s8_cancel_tells_whether_it_dequeued,
    delayed_calls_run_when_they_are_due,
    s8_cancel_wait_leaves_nobody_inside,
    s8_cancel_wait_from_its_own_function_panics,
    a_call_is_never_on_two_threads,
    a_blocked_call_does_not_block_the_group,
    calls_run_at_their_groups_priority,
    an_entry_outlives_the_handles,
    many_enter_and_cancel,
}
