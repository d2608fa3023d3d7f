//! The dispatcher's pick: how its time grows with the number of runnable threads, which is not at all.

use super::context::Context;
use super::report::{Part, Row};
use mach::RunQueues;
use std::hint::black_box;
use std::time::Instant;

/// Few runnable threads.
const FEW: u32 = 10;
/// Many.
const MANY: u32 = 10_000;
/// Picks in a batch.
const BATCH: u32 = 100_000;
/// Batches of each side, turn by turn, of which the best counts.
const BATCHES: usize = 30;
/// The levels that threads use.
const LEVELS: [u8; 8] = [4, 20, 31, 31, 31, 47, 76, 81];

/// Measures the run queues alone: who is best, take it, put it back.
pub fn measure(_: &Context) -> Vec<Row> {
    let (mut few, mut many) = (queues(FEW), queues(MANY));
    let (mut of_few, mut of_many) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..BATCHES {
        of_few = of_few.min(batch(&mut few));
        of_many = of_many.min(batch(&mut many));
    }
    let parts = vec![Part::new("of 10,000", of_many, "ns"), Part::new("of 10", of_few, "ns")];
    vec![Row::new("pick", Ok((of_many / of_few, parts)))]
}

/// Queues with `runnable` threads.
fn queues(runnable: u32) -> RunQueues<u32> {
    let mut queues = RunQueues::new();
    queues.reserve(runnable as usize + 1);
    for thread in 0..runnable {
        queues.push_back(LEVELS[thread as usize % LEVELS.len()], thread);
    }
    queues
}

/// ns a pick.
fn batch(queues: &mut RunQueues<u32>) -> f64 {
    let begin = Instant::now();
    for _ in 0..BATCH {
        black_box(queues.best());
        let level = queues.highest().unwrap_or_default();
        if let Some(thread) = queues.pop() {
            black_box(queues.push_back(level, thread));
        }
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pick_changes_nothing_but_the_order() {
        let mut queues = queues(FEW);
        assert!(batch(&mut queues) > 0.0);
        let mut left: Vec<_> = std::iter::from_fn(|| queues.pop()).collect();
        left.sort_unstable();
        assert_eq!(left, (0..FEW).collect::<Vec<_>>());
    }
}
