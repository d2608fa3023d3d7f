//! S7: with the push nobody runs before the owner of a lock that somebody better wants; without it, it happens, and is told.

use mach::{KernelRef, RecursiveLock};
use sim::Sim;
use sim::harness::traced;
use std::sync::Arc;
use trace::{Event, Kind};

/// Low has the lock when middle comes, and high wants it: what was told of that.
fn told(seed: u64, push: bool) -> Vec<Event> {
    let body = move |kernel: &KernelRef| {
        kernel.set_priority_push(push);
        let lock = Arc::new(RecursiveLock::new(kernel));
        let theirs = lock.clone();
        let low = super::spawn(kernel, "low", 10, move |kernel| {
            theirs.lock(kernel);
            super::compute(kernel, 2_000_000);
            theirs.unlock(kernel);
        });
        kernel.delay(1_000_000);
        let middle = super::spawn(kernel, "middle", 40, |kernel| super::compute(kernel, 20_000_000));
        lock.lock(kernel);
        lock.unlock(kernel);
        low.join(kernel);
        middle.join(kernel);
    };
    let (outcome, events) = traced(Sim::builder().cpus(1).seed(seed), body);
    assert_eq!(outcome.ended, sim::Ended::Done, "seed {seed}");
    events.into_iter().filter(|event| event.kind == Kind::Inversion).collect()
}

#[test]
fn s7_without_the_push_an_inversion_happens_and_is_told() {
    for seed in 0..50 {
        let told = told(seed, false);
        assert_eq!(told.len(), 1, "seed {seed}: {told:?}");
        assert_eq!(told[0].text_str(), "middle");
        assert!((10_000_000..100_000_000).contains(&told[0].arg), "seed {seed}: {} ns", told[0].arg);
    }
}

#[test]
fn s7_with_the_push_there_is_none() {
    for seed in 0..50 {
        assert_eq!(told(seed, true), [], "seed {seed}");
    }
}
