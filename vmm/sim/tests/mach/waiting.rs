//! The wait hash: nothing is lost between assert and block, and every wait ends as it should.

use mach::{RecursiveLock, SpinLock, WaitMode, WaitResult, band};
use sim::harness::for_seeds;
use std::sync::Arc;

use super::spawn;

/// Producer and consumer that wait for each other all the time: one lost wake-up and the run deadlocks.
#[test]
fn no_wakeup_is_lost_between_assert_and_block() {
    for_seeds(3, 0..200, |kernel| {
        let event = kernel.new_event();
        let box_ = Arc::new(SpinLock::new(None));
        let theirs = box_.clone();
        let consumer = spawn(kernel, "consumer", band::KERNEL, move |kernel| {
            for expected in 0..20 {
                loop {
                    kernel.assert_wait(event, WaitMode::Uninterruptible, None);
                    let got = theirs.lock(kernel).take();
                    if let Some(got) = got {
                        kernel.clear_own_wait();
                        assert_eq!(got, expected);
                        kernel.wakeup(event);
                        break;
                    }
                    assert_eq!(kernel.block(), WaitResult::Awakened);
                }
            }
        });
        for item in 0..20 {
            *box_.lock(kernel) = Some(item);
            kernel.wakeup(event);
            loop {
                kernel.assert_wait(event, WaitMode::Uninterruptible, None);
                if box_.lock(kernel).is_none() {
                    kernel.clear_own_wait();
                    break;
                }
                kernel.block();
            }
        }
        consumer.join(kernel);
    });
}

#[test]
fn a_deadline_ends_a_wait_and_only_then() {
    for_seeds(2, 0..100, |kernel| {
        let event = kernel.new_event();
        let deadline = kernel.now() + 12_345;
        kernel.assert_wait(event, WaitMode::Uninterruptible, Some(deadline));
        assert_eq!(kernel.block(), WaitResult::TimedOut);
        assert!(kernel.now() >= deadline);
        kernel.assert_wait(event, WaitMode::Uninterruptible, Some(0));
        assert_eq!(kernel.block(), WaitResult::TimedOut, "a deadline in the past");
        assert_eq!(kernel.wakeup(event), 0, "a wake-up with no waiter leaves no memory");
    });
}

/// A wait that was woken leaves its deadline behind nowhere: the next wait is not cut short by it.
#[test]
fn a_deadline_does_not_outlive_its_wait() {
    for_seeds(2, 0..100, |kernel| {
        let event = kernel.new_event();
        let waker = spawn(kernel, "waker", band::DEFAULT, move |kernel| {
            while kernel.wakeup(event) == 0 {
                kernel.delay(1_000);
            }
        });
        let start = kernel.now();
        kernel.assert_wait(event, WaitMode::Uninterruptible, Some(start + 10_000_000));
        assert_eq!(kernel.block(), WaitResult::Awakened);
        kernel.assert_wait(event, WaitMode::Uninterruptible, Some(start + 30_000_000));
        assert_eq!(kernel.block(), WaitResult::TimedOut);
        assert!(kernel.now() >= start + 30_000_000);
        waker.join(kernel);
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    for_seeds(4, 0..100, |kernel| {
        let order = Arc::new(SpinLock::new(Vec::new()));
        let start = kernel.now() + 1_000_000;
        let sleepers: Vec<_> = [5, 1, 4, 2, 3]
            .into_iter()
            .map(|n: u64| {
                let order = order.clone();
                spawn(kernel, "sleeper", band::KERNEL, move |kernel| {
                    kernel.sleep_until(start + n * 2_000_000);
                    order.lock(kernel).push(n);
                })
            })
            .collect();
        sleepers.iter().for_each(|sleeper| sleeper.join(kernel));
        assert_eq!(*order.lock(kernel), [1, 2, 3, 4, 5]);
    });
}

#[test]
fn wakeup_wakes_all_and_wakeup_one_the_most_important() {
    for_seeds(2, 0..100, |kernel| {
        let event = kernel.new_event();
        let order = Arc::new(SpinLock::new(Vec::new()));
        let wait = |priority: u8| {
            let order = order.clone();
            spawn(kernel, "waiter", priority, move |kernel| {
                kernel.assert_wait(event, WaitMode::Uninterruptible, None);
                kernel.block();
                order.lock(kernel).push(priority);
            })
        };
        let waiters = [20, 60, 40, 61, 22, 10, 50, 30].map(wait);
        kernel.delay(10_000_000);
        for _ in 0..3 {
            assert!(kernel.wakeup_one(event));
            kernel.delay(10_000_000);
        }
        assert_eq!(*order.lock(kernel), [61, 60, 50]);
        assert_eq!(kernel.wakeup(event), 5);
        waiters.iter().for_each(|waiter| waiter.join(kernel));
        assert!(!kernel.wakeup_one(event));
    });
}

/// `Interruptible` means by kill only; `AbortSafe` by any signal.
#[test]
fn a_signal_ends_abort_safe_waits_only() {
    for_seeds(2, 0..100, |kernel| {
        let event = kernel.new_event();
        let victim = spawn(kernel, "victim", band::DEFAULT, move |kernel| {
            kernel.assert_wait(event, WaitMode::Interruptible, None);
            assert_eq!(kernel.block(), WaitResult::Awakened);
            let result = kernel.assert_wait(event, WaitMode::AbortSafe, None);
            assert_eq!(result, WaitResult::Interrupted);
            assert_eq!(kernel.block(), WaitResult::Interrupted);
        });
        kernel.delay(10_000_000);
        victim.abort_safely(kernel);
        kernel.delay(10_000_000);
        assert_eq!(kernel.wakeup(event), 1);
        victim.join(kernel);
    });
}

#[test]
fn clear_wait_ends_one_threads_wait() {
    for_seeds(2, 0..100, |kernel| {
        let event = kernel.new_event();
        let waiter = spawn(kernel, "waiter", band::DEFAULT, move |kernel| {
            kernel.assert_wait(event, WaitMode::Uninterruptible, None);
            assert_eq!(kernel.block(), WaitResult::Restart);
        });
        kernel.delay(10_000_000);
        assert!(kernel.clear_wait(&waiter, WaitResult::Restart));
        waiter.join(kernel);
        assert!(!kernel.clear_wait(&waiter, WaitResult::Restart));
    });
}

/// A thread that has asserted a wait may still take a lock, wait for it, and be preempted: the wake-up is kept.
#[test]
fn a_wakeup_is_kept_while_the_waiter_waits_for_a_lock() {
    for_seeds(2, 0..200, |kernel| {
        let event = kernel.new_event();
        let lock = Arc::new(RecursiveLock::new(kernel));
        lock.lock(kernel);
        let theirs = lock.clone();
        let waiter = spawn(kernel, "waiter", band::DEFAULT, move |kernel| {
            kernel.assert_wait(event, WaitMode::Uninterruptible, None);
            theirs.lock(kernel);
            theirs.unlock(kernel);
            assert_eq!(kernel.block(), WaitResult::Awakened);
        });
        kernel.delay(10_000_000);
        assert_eq!(kernel.wakeup(event), 1);
        kernel.delay(10_000_000);
        assert!(!waiter.is_dead(), "it still waits for the lock");
        lock.unlock(kernel);
        waiter.join(kernel);
    });
}
