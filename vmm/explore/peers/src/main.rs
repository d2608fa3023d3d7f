//! Workgate's simulator beside shuttle and loom, in one run: schedules a second, and executions to find a bug.
//!
//!     cargo run --release --manifest-path vmm/explore/peers/Cargo.toml [-- speed|finding|ROW…]
//!
//! `speed` and `finding` are the two halves; any other word picks the rows of the first half that contain it, for a profiler.
#![forbid(unsafe_code)]

mod model;
mod with_loom;
mod with_shuttle;
mod with_sim;
mod world;

use model::Bug;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use with_sim::Watch;

/// Schedules of a turn, a few milliseconds, and turns.
const SCHEDULES: usize = 250;
const TURNS: u64 = 101;
/// Seeds for a number of executions; their median counts.
const SEEDS: u64 = 21;
/// Executions at the most, for each seed.
const MOST: usize = 20_000;
/// Preemptions of loom's schedules, and how long it may take.
const PREEMPTIONS: usize = 2;
const LIMIT: Duration = Duration::from_secs(20);

fn main() {
    // What the models' failures print is not of interest: they are counted.
    std::panic::set_hook(Box::new(|_| {}));
    let words: Vec<String> = std::env::args().skip(1).collect();
    let half = |name| words.is_empty() || words.iter().any(|word| word == name);
    if half("speed") {
        speed(|_| true);
    } else if !half("finding") {
        speed(|what| words.iter().any(|word| what.contains(word.as_str())));
    }
    if half("finding") {
        finding();
    }
}

/// A way to run schedules of the fixed model: its name, and what runs some with a seed.
type Row = (&'static str, fn(u64) -> (bool, u64));

const ROWS: [Row; 6] = [
    (PEER, |seed| with_shuttle::random(Bug::None, seed, SCHEDULES)),
    ("shuttle, PCT depth 3", |seed| with_shuttle::pct(Bug::None, 3, seed, SCHEDULES)),
    ("loom, 2 preemptions", |_| with_loom::exhaustive(Bug::None, PREEMPTIONS, Duration::from_millis(20))),
    ("workgate, random", |seed| with_sim::random(Bug::None, seed, SCHEDULES, Watch::Failures)),
    ("workgate, PCT depth 3", |seed| with_sim::pct(Bug::None, 3, seed, SCHEDULES)),
    ("workgate, random, traced", |seed| with_sim::random(Bug::None, seed, SCHEDULES, Watch::Oracles)),
];

/// The row that the others are compared with.
const PEER: &str = "shuttle, random";

/// Processor time of this thread, on which every tool runs all that it runs: what else the host does is not in it.
fn core_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Schedules a second of one turn.
fn rate(run: fn(u64) -> (bool, u64), turn: u64) -> f64 {
    let begin = core_time();
    let (failed, executions) = run(turn);
    assert!(!failed, "the fixed model failed");
    executions as f64 / core_time().saturating_sub(begin).as_secs_f64()
}

/// Prints the best turn of each row that is `wanted`, and how it compares. The rows take turns, and each is compared with the peer's turn of the
/// same moment; the median of these ratios counts, which a host that does other things as well hardly moves.
fn speed(wanted: impl Fn(&str) -> bool) {
    let rows: Vec<Row> = ROWS.into_iter().filter(|(what, _)| *what == PEER || wanted(what)).collect();
    let mut rates = vec![Vec::new(); rows.len()];
    for turn in 0..TURNS {
        for ((_, run), rates) in rows.iter().zip(&mut rates) {
            rates.push(rate(*run, turn));
        }
    }
    println!("{:<28} {:>12} {:>10}", "the fixed model", "schedules/s", "× shuttle");
    for ((what, _), own) in rows.iter().zip(&rates) {
        let best = own.iter().copied().fold(0.0, f64::max);
        let mut ratios: Vec<f64> = own.iter().zip(&rates[0]).map(|(own, peer)| own / peer).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        println!("{what:<28} {best:>12.0} {:>10.2}", ratios[ratios.len() / 2]);
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
            ("workgate, POS", median(|seed| with_sim::pos(bug, seed, MOST, Watch::Failures))),
            ("workgate, POS, with oracles", median(|seed| with_sim::pos(bug, seed, MOST, Watch::Oracles))),
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
        assert_eq!(with_sim::pos(Bug::None, 1, 500, Watch::Oracles), (false, 500));
        assert!(!with_loom::exhaustive(Bug::None, 1, Duration::from_secs(20)).0);
    }

    #[test]
    fn every_bug_is_found_in_both_worlds() {
        for bug in Bug::ALL {
            assert!(with_shuttle::random(bug, 1, MOST).0, "{}", bug.word());
            assert!(with_sim::pos(bug, 1, MOST, Watch::Failures).0, "{}", bug.word());
        }
    }

    #[test]
    fn executions_are_a_function_of_the_seed() {
        let pos = || with_sim::pos(Bug::AdmittedLate, 5, MOST, Watch::Oracles);
        assert_eq!(pos(), pos());
        let pct = || with_sim::sites(Bug::LostOnError, 2, 5, 500, Watch::Oracles);
        assert_eq!(pct(), pct());
    }
}
