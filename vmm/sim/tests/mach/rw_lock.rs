//! The reader/writer lock.

use mach::{RwLock, SpinLock};
use sim::{Ended, harness::for_seeds, harness::run_kernel};
use std::sync::Arc;

use super::{Counter, spawn};
use conformance::threads::{SETTLE, holder, wait};

#[test]
fn readers_see_whole_writes_and_writers_are_alone() {
    for_seeds(4, 0..150, |kernel| {
        let lock = Arc::new(RwLock::new(kernel, [0_u64; 2]));
        let inside = Counter::default();
        let threads: Vec<_> = (0..6)
            .map(|n| {
                let (lock, inside) = (lock.clone(), inside.clone());
                spawn(kernel, "one", 30 + n, move |kernel| {
                    for _ in 0..4 {
                        if n % 2 == 0 {
                            let mut value = lock.write(kernel);
                            assert_eq!(inside.add(), 0, "alone");
                            value[0] += 1;
                            kernel.delay(2_000);
                            value[1] += 1;
                            inside.set(0);
                        } else {
                            let value = lock.read(kernel);
                            let seen = value[0];
                            kernel.yield_now();
                            assert_eq!(*value, [seen; 2]);
                        }
                    }
                })
            })
            .collect();
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!(*lock.read(kernel), [12, 12]);
        assert_eq!(lock.writer(), 0);
    });
}

#[test]
fn readers_share() {
    for_seeds(2, 0..50, |kernel| {
        let (lock, said, go) = (Arc::new(RwLock::new(kernel, 0)), Counter::default(), kernel.new_event());
        let readers = [31, 32, 33].map(|priority| holder(kernel, priority, &lock, false, &said, go));
        assert_eq!(said.get(), 3);
        kernel.wakeup(go);
        readers.iter().for_each(|reader| reader.join(kernel));
    });
}

/// A writer that waits keeps later readers out, so that it gets its turn.
#[test]
fn a_waiting_writer_is_not_starved_by_readers() {
    for_seeds(2, 0..50, |kernel| {
        let (lock, said) = (Arc::new(RwLock::new(kernel, 0)), Counter::default());
        let (first, second, third) = (kernel.new_event(), kernel.new_event(), kernel.new_event());
        let reader = holder(kernel, 31, &lock, false, &said, first);
        let writer = holder(kernel, 31, &lock, true, &said, second);
        let late = holder(kernel, 31, &lock, false, &said, third);
        assert_eq!(said.get(), 1);
        kernel.wakeup(first);
        kernel.delay(SETTLE);
        assert_eq!((said.get(), lock.writer()), (2, writer.id()));
        kernel.wakeup(second);
        kernel.delay(SETTLE);
        assert_eq!((said.get(), lock.writer()), (3, 0));
        kernel.wakeup(third);
        [reader, writer, late].iter().for_each(|thread| thread.join(kernel));
    });
}

#[test]
fn readers_as_important_as_the_next_writer_come_in_together() {
    for_seeds(2, 0..50, |kernel| {
        let (lock, go) = (Arc::new(RwLock::new(kernel, 0)), kernel.new_event());
        let order = Arc::new(SpinLock::new(Vec::new()));
        let boss = lock.write(kernel);
        let waiters: Vec<_> = [(50, false), (40, true), (45, false), (40, false), (30, false)]
            .into_iter()
            .enumerate()
            .map(|(n, (priority, writes))| {
                let (lock, order) = (lock.clone(), order.clone());
                let waiter = spawn(kernel, "waiter", priority, move |kernel| {
                    if writes {
                        let _held = lock.write(kernel);
                        order.lock(kernel).push(n);
                        wait(kernel, go);
                    } else {
                        let _held = lock.read(kernel);
                        order.lock(kernel).push(n);
                        wait(kernel, go);
                    }
                });
                kernel.delay(SETTLE);
                waiter
            })
            .collect();
        drop(boss);
        let mut turns = Vec::new();
        for _ in 0..3 {
            kernel.delay(SETTLE);
            let mut turn = core::mem::take(&mut *order.lock(kernel));
            turn.sort_unstable();
            turns.push(turn);
            kernel.wakeup(go);
        }
        waiters.iter().for_each(|waiter| waiter.join(kernel));
        assert_eq!(turns, [vec![0, 2, 3], vec![1], vec![4]]);
    });
}

#[test]
fn a_writer_that_wants_the_lock_again_is_told() {
    for again in [true, false] {
        let outcome = run_kernel(1, 0, move |kernel| {
            let lock = RwLock::new(kernel, 0);
            let _held = lock.write(kernel);
            if again { drop(lock.write(kernel)) } else { drop(lock.read(kernel)) }
        });
        let Ended::Fatal { message } = outcome.ended else { panic!("{outcome:?}") };
        assert!(message.contains("self-deadlock"), "{message}");
    }
}

/// What lies on the threads' stacks when the run ends is dropped there, even if others wait for it.
#[test]
fn a_run_may_end_with_contended_reader_writer_locks() {
    for_seeds(2, 0..50, |kernel| {
        let lock = Arc::new(RwLock::new(kernel, ()));
        for n in 0..6 {
            let lock = lock.clone();
            spawn(kernel, "forever", 40 + n, move |kernel| {
                if n % 2 == 0 {
                    let _held = lock.write(kernel);
                    kernel.delay(1_000_000_000);
                } else {
                    let _held = lock.read(kernel);
                    kernel.delay(1_000_000_000);
                }
            });
        }
        kernel.delay(1_000_000);
    });
}
