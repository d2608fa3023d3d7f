//! Spin locks, mutexes and recursive locks under many schedules.

use mach::{Mutex, RecursiveLock, SpinLock, band};
use sim::{Ended, harness::for_seeds, harness::run_kernel};
use std::sync::Arc;

use super::{Counter, spawn};

#[test]
fn one_thread_at_a_time_is_inside() {
    for_seeds(4, 0..200, |kernel| {
        let lock = Arc::new(RecursiveLock::new(kernel));
        let value = Counter::default();
        let threads: Vec<_> = (0..6)
            .map(|n| {
                let (lock, value) = (lock.clone(), value.clone());
                spawn(kernel, "inside", 20 + n, move |kernel| {
                    for _ in 0..5 {
                        lock.lock(kernel);
                        lock.lock(kernel);
                        let before = value.get();
                        kernel.yield_now();
                        value.set(before + 1);
                        assert!(!lock.unlock(kernel));
                        assert_eq!(lock.levels(kernel), 1);
                        assert!(lock.unlock(kernel));
                        assert!(!lock.is_mine(kernel));
                    }
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!(value.get(), 30);
        assert_eq!(lock.owner(), 0);
    });
}

#[test]
fn a_mutex_guards_its_value() {
    for_seeds(3, 0..100, |kernel| {
        let value = Arc::new(Mutex::new(kernel, 0));
        let threads: Vec<_> = (0..5)
            .map(|n| {
                let value = value.clone();
                spawn(kernel, "adder", 40 + n, move |kernel| {
                    for _ in 0..5 {
                        let mut value = value.lock(kernel);
                        let before = *value;
                        kernel.delay(1_000);
                        *value = before + 1;
                    }
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!(*value.lock(kernel), 25);
    });
}

#[test]
fn spin_locks_mask_interrupts() {
    for_seeds(3, 0..100, |kernel| {
        let value = Arc::new(SpinLock::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let value = value.clone();
                spawn(kernel, "adder", band::DEFAULT, move |kernel| {
                    for _ in 0..10 {
                        let mut value = value.lock(kernel);
                        assert!(!kernel.machine().mask(), "masked already");
                        let before = *value;
                        kernel.machine().point(mach::seam::Point::Lock);
                        *value = before + 1;
                    }
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!(*value.lock(kernel), 40);
    });
}

/// An owner that drops the lock and wants it again at once does not keep the others out.
#[test]
fn a_greedy_owner_does_not_starve_a_waiter() {
    for_seeds(1, 0..50, |kernel| {
        let lock = Arc::new(RecursiveLock::new(kernel));
        let (turns, done) = (Counter::default(), Counter::default());
        let (greedy_lock, greedy_turns, greedy_done) = (lock.clone(), turns.clone(), done.clone());
        let greedy = spawn(kernel, "greedy", 31, move |kernel| {
            while greedy_done.get() == 0 {
                greedy_lock.lock(kernel);
                greedy_turns.add();
                kernel.delay(1_000);
                greedy_lock.unlock(kernel);
            }
        });
        while turns.get() < 3 {
            kernel.delay(1_000);
        }
        let mine = spawn(kernel, "patient", 31, move |kernel| {
            let before = turns.get();
            lock.lock(kernel);
            assert!(turns.get() <= before + 2, "{} turns passed", turns.get() - before);
            lock.unlock(kernel);
            done.set(1);
        });
        mine.join(kernel);
        greedy.join(kernel);
    });
}

/// Waiters of one level get the lock in the order in which they came.
#[test]
fn waiters_of_a_level_are_served_in_order() {
    for_seeds(2, 0..100, |kernel| {
        let lock = Arc::new(RecursiveLock::new(kernel));
        let order = Arc::new(SpinLock::new(Vec::new()));
        lock.lock(kernel);
        let waiters: Vec<_> = [(0, 31), (1, 31), (2, 47), (3, 31), (4, 47)]
            .into_iter()
            .map(|(n, priority)| {
                let (lock, order) = (lock.clone(), order.clone());
                let waiter = spawn(kernel, "waiter", priority, move |kernel| {
                    lock.lock(kernel);
                    order.lock(kernel).push(n);
                    lock.unlock(kernel);
                });
                kernel.delay(10_000_000);
                waiter
            })
            .collect();
        lock.unlock(kernel);
        waiters.iter().for_each(|waiter| waiter.join(kernel));
        assert_eq!(*order.lock(kernel), [2, 4, 0, 1, 3]);
    });
}

#[test]
fn try_lock_never_waits() {
    for_seeds(2, 0..50, |kernel| {
        let lock = Arc::new(RecursiveLock::new(kernel));
        assert!(lock.try_lock(kernel) && lock.try_lock(kernel));
        let theirs = lock.clone();
        spawn(kernel, "other", band::KERNEL, move |kernel| assert!(!theirs.try_lock(kernel))).join(kernel);
        assert!(!lock.unlock(kernel) && lock.unlock(kernel));
    });
}

#[test]
fn unlocking_a_lock_of_another_thread_is_fatal() {
    let outcome = run_kernel(1, 0, |kernel| {
        let lock = Arc::new(RecursiveLock::new(kernel));
        let theirs = lock.clone();
        spawn(kernel, "owner", band::KERNEL, move |kernel| theirs.lock(kernel)).join(kernel);
        lock.unlock(kernel);
    });
    let Ended::Fatal { message } = outcome.ended else { panic!("{outcome:?}") };
    assert!(message.contains("unlocks a lock that belongs to"), "{message}");
}

#[test]
fn blocking_with_interrupts_masked_is_fatal() {
    let outcome = run_kernel(1, 0, |kernel| {
        let value = SpinLock::new(());
        let _guard = value.lock(kernel);
        kernel.delay(1_000);
    });
    let Ended::Fatal { message } = outcome.ended else { panic!("{outcome:?}") };
    assert!(message.contains("masked"), "{message}");
}

/// Two threads that wait for each other's lock are told so.
#[test]
fn a_circle_of_locks_is_reported() {
    let outcome = run_kernel(1, 0, |kernel| {
        let locks = Arc::new([(); 2].map(|()| RecursiveLock::new(kernel)));
        let threads = [0, 1].map(|n| {
            let locks = locks.clone();
            spawn(kernel, "abba", band::KERNEL, move |kernel| {
                locks[n].lock(kernel);
                kernel.delay(100_000);
                locks[1 - n].lock(kernel);
            })
        });
        threads.iter().for_each(|thread| thread.join(kernel));
    });
    assert_eq!(outcome.ended, Ended::Deadlock);
    assert!(outcome.console.iter().any(|line| line.contains("deadlock: thread")), "{:?}", outcome.console);
}

/// A guard that lies on a thread's stack when the run ends is dropped there, even if another one waits for it.
#[test]
fn a_run_may_end_with_contended_locks() {
    for_seeds(2, 0..50, |kernel| {
        let value = Arc::new(Mutex::new(kernel, ()));
        for n in 0..4 {
            let value = value.clone();
            spawn(kernel, "forever", 40 + n, move |kernel| {
                let _guard = value.lock(kernel);
                kernel.delay(1_000_000_000);
            });
        }
        kernel.delay(1_000_000);
    });
}
