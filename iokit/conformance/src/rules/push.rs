//! Priority push (S7): who waits for a lock lends its priority to who holds it.

use crate::prelude::*;
use crate::sync::Arc;
use mach::{KernelRef, RecursiveLock, Thread, WaitEvent, WaitMode, band};

use crate::threads::{spawn, wait_for_low_beside_middle};

/// Long enough for any thread to get where it is going, however much the chooser stalls its CPU.
const SETTLE: u64 = 10_000_000;

type Lock = Arc<RecursiveLock>;

/// A thread that takes `locks` in order, waits for `go`, and drops them in the order of `drops`.
fn holder(
    kernel: &KernelRef,
    priority: u8,
    locks: &[&Lock],
    go: Option<WaitEvent>,
    drops: &'static [usize],
) -> Arc<Thread> {
    let locks: Vec<Lock> = locks.iter().map(|&lock| lock.clone()).collect();
    let thread = spawn(kernel, "holder", priority, move |kernel| {
        locks.iter().for_each(|lock| lock.lock(kernel));
        for &n in drops {
            if let Some(go) = go {
                kernel.assert_wait(go, WaitMode::Uninterruptible, None);
                kernel.block();
            }
            locks[n].unlock(kernel);
        }
    });
    kernel.delay(SETTLE);
    thread
}

fn lock(kernel: &KernelRef) -> Lock {
    Arc::new(RecursiveLock::new(kernel))
}

fn s7_push_goes_through_a_chain_and_is_capped(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (a, b, c) = (lock(kernel), lock(kernel), lock(kernel));
        let go = kernel.new_event();
        let low = holder(kernel, 10, &[&a], Some(go), &[0]);
        let mid = holder(kernel, 40, &[&b, &a], None, &[1, 0]);
        assert_eq!(low.priority(kernel), 40);
        let upper = holder(kernel, 50, &[&c, &b], None, &[1, 0]);
        assert_eq!((low.priority(kernel), mid.priority(kernel)), (50, 50));
        let high = holder(kernel, band::REAL_TIME, &[&c], None, &[0]);
        for owner in [&low, &mid, &upper] {
            assert_eq!(owner.priority(kernel), band::KERNEL_MAX, "capped at 95");
        }
        kernel.wakeup(go);
        for thread in [&low, &mid, &upper, &high] {
            thread.join(kernel);
        }
    });
}

/// Released out of order, each lock takes back its own push and no other.
fn pushes_undo_themselves_in_any_order(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (a, b) = (lock(kernel), lock(kernel));
        let go = kernel.new_event();
        let owner = holder(kernel, 10, &[&a, &b], Some(go), &[0, 1]);
        let for_b = holder(kernel, 30, &[&b], None, &[0]);
        let for_a = holder(kernel, 60, &[&a], None, &[0]);
        assert_eq!(owner.priority(kernel), 60);
        kernel.wakeup(go);
        kernel.delay(SETTLE);
        assert!(for_a.is_dead());
        assert_eq!(owner.priority(kernel), 30, "what the second lock's waiter pushes stays");
        kernel.wakeup(go);
        owner.join(kernel);
        for_b.join(kernel);
    });
}

fn whoever_gets_the_lock_inherits_its_waiters(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (a, go) = (lock(kernel), kernel.new_event());
        let first = holder(kernel, 10, &[&a], Some(go), &[0]);
        let second = holder(kernel, 30, &[&a], Some(go), &[0]);
        let third = holder(kernel, 20, &[&a], Some(go), &[0]);
        assert_eq!(first.priority(kernel), 30);
        kernel.wakeup(go);
        kernel.delay(SETTLE);
        assert_eq!(a.owner(), second.id());
        let fourth = holder(kernel, 70, &[&a], Some(go), &[0]);
        assert_eq!((second.priority(kernel), third.priority(kernel)), (70, 20));
        while !third.is_dead() {
            kernel.wakeup(go);
            kernel.delay(SETTLE);
        }
        for thread in [first, second, fourth] {
            thread.join(kernel);
        }
    });
}

/// A waiter whose own priority rises later pushes more, and moves up among the waiters.
fn a_push_follows_a_change_of_priority(lab: &Lab<'_>) {
    lab.kernel(2, 100, |kernel| {
        let (a, go) = (lock(kernel), kernel.new_event());
        let owner = holder(kernel, 10, &[&a], Some(go), &[0]);
        let first = holder(kernel, 30, &[&a], Some(go), &[0]);
        let second = holder(kernel, 20, &[&a], Some(go), &[0]);
        second.set_priority(kernel, 50);
        assert_eq!(owner.priority(kernel), 50);
        second.set_priority(kernel, 20);
        assert_eq!(owner.priority(kernel), 30);
        second.set_priority(kernel, 40);
        kernel.wakeup(go);
        kernel.delay(SETTLE);
        assert_eq!(a.owner(), second.id());
        while !(first.is_dead() && second.is_dead()) {
            kernel.wakeup(go);
            kernel.delay(SETTLE);
        }
        owner.join(kernel);
    });
}

/// The classic: a thread of middling priority that computes must not keep a low owner from a high waiter.
fn no_inversion_by_a_thread_in_between(lab: &Lab<'_>) {
    lab.kernel(1, 50, |kernel| {
        let waited = wait_for_low_beside_middle(kernel, 500_000_000);
        assert!(waited < 50_000_000, "waited {waited} ns");
    });
}

table! {
    s7_push_goes_through_a_chain_and_is_capped,
    pushes_undo_themselves_in_any_order,
    whoever_gets_the_lock_inherits_its_waiters,
    a_push_follows_a_change_of_priority,
    no_inversion_by_a_thread_in_between,
}
