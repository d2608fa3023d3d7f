//! The dispatcher's pick: flat in the number of runnable threads. Prints the ratio of the costs with 10,000 and with 10.
//!
//! (That the steps are the same is a unit test of `mach`; what is left to measure are caches.)

use std::{hint::black_box, time::Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mach::RunQueues;

/// Runnable threads.
const RUNNABLE: [u32; 4] = [10, 100, 1_000, 10_000];
/// Picks between two looks at the clock.
const PICKS: u32 = 100_000;
/// Looks; the best counts, as disturbance only adds.
const LOOKS: usize = 20;

/// Queues with `runnable` threads in the levels that threads use.
fn queues(runnable: u32) -> RunQueues<u32> {
    const LEVELS: [u8; 8] = [4, 20, 31, 31, 31, 47, 76, 81];
    let mut queues = RunQueues::new();
    queues.reserve(runnable as usize + 1);
    for thread in 0..runnable {
        queues.push_back(LEVELS[thread as usize % LEVELS.len()], thread);
    }
    queues
}

/// What a switch asks of the queues: who is best, take it; later it goes back.
fn pick(queues: &mut RunQueues<u32>) {
    black_box(queues.best());
    let level = queues.highest().unwrap_or_default();
    if let Some(thread) = queues.pop() {
        black_box(queues.push_back(level, thread));
    }
}

/// What a wake-up and a change of priority ask of them: in somewhere, out from the middle.
fn enter_and_leave(queues: &mut RunQueues<u32>) {
    let place = queues.push_back(31, u32::MAX);
    black_box(queues.remove(place));
}

/// The best cost of one of `work`, in picoseconds.
fn best(runnable: u32, work: fn(&mut RunQueues<u32>)) -> u128 {
    let mut queues = queues(runnable);
    let look = |_| {
        let start = Instant::now();
        (0..PICKS).for_each(|_| work(&mut queues));
        start.elapsed().as_nanos() * 1_000 / u128::from(PICKS)
    };
    (0..LOOKS).map(look).min().unwrap_or_default()
}

fn dispatch(c: &mut Criterion) {
    for (name, work) in [
        ("pick and put back", pick as fn(&mut RunQueues<u32>)),
        ("enter and leave the middle", enter_and_leave),
    ] {
        let mut group = c.benchmark_group(name);
        for runnable in RUNNABLE {
            let mut queues = queues(runnable);
            group.bench_function(BenchmarkId::from_parameter(runnable), |b| b.iter(|| work(&mut queues)));
        }
        group.finish();
        let (few, many) = (best(RUNNABLE[0], work).max(1), best(RUNNABLE[3], work));
        let (whole, hundredths) = (many / few, many * 100 / few % 100);
        println!(
            "{name}: 10,000 runnable cost {whole}.{hundredths:02} times as much as 10 ({many} ps, {few} ps)"
        );
    }
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
