//! Workgate's simulator beside shuttle and loom, in one run: schedules a second, and executions to find a bug.
//!
//!     cargo run --release --manifest-path vmm/explore/peers/Cargo.toml
#![forbid(unsafe_code)]

mod model;
mod with_loom;
mod with_shuttle;
mod with_sim;
mod world;

use model::Bug;
use with_sim::Watch;
use std::time::{Duration, Instant};

/// Schedules for a speed, and turns of which the best counts.
const SCHEDULES: usize = 2_000;
const TURNS: usize = 5;
/// Seeds for a number of executions; their median counts.
const SEEDS: u64 = 9;
/// Executions at the most, for each seed.
const MOST: usize = 3_000;
/// Preemptions of loom's schedules, and how long it may take.
const PREEMPTIONS: usize = 2;
const LIMIT: Duration = Duration::from_secs(20);

fn main() {
    // What the models' failures print is not of interest: they are counted.
    std::panic::set_hook(Box::new(|_| {}));
    speed();
    finding();
}

/// Schedules a second; the best turn.
fn rate(mut turn: impl FnMut(u64) -> (bool, u64)) -> f64 {
    let one = |n| {
        let begin = Instant::now();
        let (failed, executions) = turn(n);
        assert!(!failed, "the fixed model failed");
        executions as f64 / begin.elapsed().as_secs_f64()
    };
    (0..TURNS as u64).map(one).fold(0.0, f64::max)
}

fn speed() {
    let fixed = Bug::None;
    let shuttle = rate(|seed| with_shuttle::random(fixed, seed, SCHEDULES));
    let rows = [
        ("shuttle, random", shuttle),
        ("shuttle, PCT depth 3", rate(|seed| with_shuttle::pct(fixed, 3, seed, SCHEDULES))),
        ("loom, 2 preemptions", rate(|_| with_loom::exhaustive(fixed, PREEMPTIONS, Duration::from_secs(2)))),
        ("workgate, random", rate(|seed| with_sim::random(fixed, seed, SCHEDULES, Watch::Failures))),
        ("workgate, PCT depth 3", rate(|seed| with_sim::pct(fixed, 3, seed, SCHEDULES))),
        ("workgate, random, traced", rate(|seed| with_sim::random(fixed, seed, SCHEDULES, Watch::Oracles))),
    ];
    println!("{:<28} {:>12} {:>10}", "the fixed model", "schedules/s", "× shuttle");
    for (what, rate) in rows {
        println!("{what:<28} {rate:>12.0} {:>10.2}", rate / shuttle);
    }
}

/// Median executions; seeds that found it.
fn median(mut of: impl FnMut(u64) -> (bool, u64)) -> (u64, usize) {
    let mut all: Vec<(bool, u64)> = (0..SEEDS).map(|seed| of(1 + seed * 1_000_003)).collect();
    all.sort_unstable_by_key(|(found, executions)| (!found, *executions));
    (all[all.len() / 2].1, all.iter().filter(|(found, _)| *found).count())
}

fn finding() {
    for bug in Bug::ALL {
        let depth = bug.depth();
        println!("\n{} (depth {depth}): median executions of {SEEDS} seeds, at most {MOST}", bug.word());
        let peer = median(|seed| with_shuttle::pct(bug, depth, seed, MOST));
        let rows = [
            ("shuttle, PCT", peer),
            ("shuttle, random", median(|seed| with_shuttle::random(bug, seed, MOST))),
            ("workgate, random", median(|seed| with_sim::random(bug, seed, MOST, Watch::Failures))),
            ("workgate, PCT", median(|seed| with_sim::pct(bug, depth, seed, MOST))),
            ("workgate, PCT at gates", median(|seed| with_sim::sites(bug, depth, seed, MOST, Watch::Traced))),
            ("workgate, with its oracles", median(|seed| with_sim::sites(bug, depth, seed, MOST, Watch::Oracles))),
        ];
        for (what, (executions, found)) in rows {
            let ratio = peer.0 as f64 / executions as f64;
            println!("  {what:<28} {executions:>8} {ratio:>8.1} × fewer   found by {found} of {SEEDS}");
        }
        let (found, executions) = with_loom::exhaustive(bug, PREEMPTIONS, LIMIT);
        let found = if found { "found" } else { "not found" };
        println!("  {:<28} {executions:>8}              {found}", "loom, 2 preemptions");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_model_holds_in_every_world() {
        assert_eq!(with_shuttle::pct(Bug::None, 3, 1, 500), (false, 500));
        assert_eq!(with_sim::random(Bug::None, 1, 500, Watch::Oracles), (false, 500));
        assert_eq!(with_sim::sites(Bug::None, 3, 1, 500, Watch::Oracles), (false, 500));
        assert!(!with_loom::exhaustive(Bug::None, 1, Duration::from_secs(20)).0);
    }

    #[test]
    fn every_bug_is_found_in_both_worlds() {
        for bug in Bug::ALL {
            assert!(with_shuttle::random(bug, 1, MOST).0, "{}", bug.word());
            assert!(with_sim::sites(bug, bug.depth(), 1, MOST, Watch::Traced).0, "{}", bug.word());
        }
    }

    #[test]
    fn executions_are_a_function_of_the_seed() {
        let once = || with_sim::sites(Bug::AdmittedLate, 3, 5, MOST, Watch::Oracles);
        assert_eq!(once(), once());
    }
}
