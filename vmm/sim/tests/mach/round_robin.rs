//! The policy for teaching: strict turns.

use mach::{Policy, QUANTUM, band};
use sim::harness::for_seeds;

use super::{Counter, hog};

const fn turns(quantum: u64) -> (u8, Policy) {
    (band::DEFAULT, Policy::RoundRobin { quantum })
}

#[test]
fn turns_are_as_long_as_the_policy_says() {
    for_seeds(1, 0..20, |kernel| {
        let dispatches = [QUANTUM / 5, 3 * QUANTUM].map(|quantum| {
            let stop = Counter::default();
            let hogs = [(); 3].map(|()| hog(kernel, turns(quantum), &stop));
            kernel.delay(36 * QUANTUM);
            let found = hogs.iter().map(|hog| hog.statistics(kernel));
            assert!(found.clone().all(|hog| hog.priority == band::DEFAULT), "it does not sink");
            let [least, most] =
                [found.clone().map(|h| h.times.running).min(), found.clone().map(|h| h.times.running).max()];
            assert!(least.unwrap() + 4 * QUANTUM > most.unwrap(), "{least:?} {most:?}");
            let dispatches: u64 = found.map(|hog| hog.dispatches).sum();
            stop.set(1);
            hogs.iter().for_each(|hog| hog.join(kernel));
            dispatches
        });
        assert!((90..=200).contains(&dispatches[0]), "36 / 0.2 = 180: {dispatches:?}");
        assert!((8..=20).contains(&dispatches[1]), "36 / 3 = 12: {dispatches:?}");
    });
}

/// Beside the fixed policy (S3), which keeps the rest of a turn: here it is lost.
#[test]
fn whoever_is_preempted_has_lost_the_rest_of_its_turn() {
    for_seeds(1, 0..20, |kernel| {
        let stop = Counter::default();
        let hogs = [(); 2].map(|()| hog(kernel, turns(QUANTUM), &stop));
        for _ in 0..40 {
            kernel.delay(QUANTUM / 4);
        }
        let dispatches: u64 = hogs.iter().map(|hog| hog.statistics(kernel).dispatches).sum();
        assert!(dispatches >= 38, "{dispatches}");
        for hog in &hogs {
            let dispatches = hog.statistics(kernel).dispatches;
            assert!(dispatches >= 18, "each interruption changed turns: {dispatches}");
        }
        stop.set(1);
        hogs.iter().for_each(|hog| hog.join(kernel));
    });
}

/// A turn of no time at all would leave none for anybody.
#[test]
fn turns_have_a_shortest_length() {
    for_seeds(1, 0..5, |kernel| {
        let stop = Counter::default();
        let hogs = [(); 2].map(|()| hog(kernel, turns(0), &stop));
        kernel.delay(QUANTUM);
        let dispatches: u64 = hogs.iter().map(|hog| hog.statistics(kernel).dispatches).sum();
        assert!((10..=101).contains(&dispatches), "{dispatches}");
        stop.set(1);
        hogs.iter().for_each(|hog| hog.join(kernel));
    });
}
