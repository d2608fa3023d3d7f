//! Threads begin, end and are joined.

use mach::band;
use sim::harness::for_seeds;

use super::{Counter, spawn};

#[test]
fn every_thread_runs_once_and_is_joined() {
    for_seeds(3, 0..200, |kernel| {
        let runs = Counter::default();
        let threads: Vec<_> = (0..6)
            .map(|_| {
                let runs = runs.clone();
                spawn(kernel, "short", band::DEFAULT, move |_| _ = runs.add())
            })
            .collect();
        threads.iter().for_each(|thread| thread.join(kernel));
        assert_eq!(runs.get(), 6);
        assert!(threads.iter().all(|thread| thread.is_dead()));
    });
}

/// The joiners run at once when the thread says that it is done: it may still be on its last steps.
#[test]
fn many_join_one() {
    for_seeds(4, 0..200, |kernel| {
        let go = kernel.new_event();
        let target = spawn(kernel, "target", band::DEFAULT, move |kernel| {
            kernel.delay(30_000);
            kernel.wakeup(go);
        });
        let joiners: Vec<_> = (0..9)
            .map(|n| {
                let target = target.clone();
                spawn(kernel, "joiner", 30 + n, move |kernel| target.join(kernel))
            })
            .collect();
        joiners.iter().for_each(|joiner| joiner.join(kernel));
        assert!(target.is_dead());
    });
}

/// Threads come and go faster than CPUs leave them: contexts and numbers must not be mixed up.
#[test]
fn generations_of_threads() {
    for_seeds(3, 0..60, |kernel| {
        let runs = Counter::default();
        let mut last = 0;
        for _ in 0..30 {
            let pair = [0, 1].map(|_| {
                let runs = runs.clone();
                spawn(kernel, "one of many", band::KERNEL, move |kernel| {
                    let me = kernel.current();
                    assert_eq!(me.id(), kernel.thread_id());
                    kernel.yield_now();
                    assert_eq!(me.id(), kernel.thread_id());
                    runs.add();
                })
            });
            for thread in pair {
                assert!(thread.id() > last, "numbers are not used again");
                last = thread.id();
                thread.join(kernel);
            }
        }
        assert_eq!(runs.get(), 60);
    });
}

/// What a body owns is dropped when it ends, not when its stack is used again.
#[test]
fn a_body_drops_what_it_owns() {
    for_seeds(2, 0..50, |kernel| {
        let owned = std::sync::Arc::new(());
        let theirs = owned.clone();
        spawn(kernel, "owner", band::DEFAULT, move |_| drop(theirs)).join(kernel);
        assert_eq!(std::sync::Arc::strong_count(&owned), 1);
    });
}
