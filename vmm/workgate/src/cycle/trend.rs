//! Whether a figure grows from pass to pass, or only wavers.
//!
//! The first passes are left out: caches fill, lists take their size. What is left is cut into thirds. A figure grows if the medians of the thirds rise, if the
//! values rise more often than chance lets them (the test of Mann and Kendall), and if the line through them (least squares) rises by what is worth telling. One
//! step up that stays alone is no growth; what stays behind at the end of all is for the rule `leak` to find.
//!
//! Bytes of a heap rise without a leak, too: a list that lives on has to grow now and then, by as much as it has already. What leaks does so in every pass, or in every
//! k-th. So bytes grow only if most passes, or several in each third, leave more behind than every pass before them.

use super::sample::Sort;
use serde::Serialize;

/// Passes that are left out at the least, and at the most.
const WARM_UP: (usize, usize) = (2, 50);
/// Passes that are needed behind those.
const NEEDED: usize = 4;
/// The same for bytes: each list of the kernel takes its size in a pass of its own.
const WARM_UP_OF_BYTES: usize = 8;
const NEEDED_OF_BYTES: usize = 8;
/// Where fewer than half of the passes leave more bytes behind than ever before, so many in each third have to. A list that doubles does that
/// at most once in each of the last two thirds.
const HIGHS: usize = 3;
/// Values that are compared each with each; of more, neighbours are put together.
const COMPARED: usize = 256;
/// A quarter more than at the beginning is worth telling, of a time.
const WORTH: f64 = 0.25;
/// Standard deviations from chance for figures that repeat exactly: even four values, each above the one before, are enough.
const EXACT: f64 = 1.6;
/// The same for figures that waver by themselves, such as times: once in thousands of figures by chance.
const WAVERING: f64 = 3.3;

/// Passes without which no trend of most figures can be told.
pub const LEAST: usize = WARM_UP.0 + NEEDED;

/// Passes without which no trend can be told of such figures.
pub fn least(sort: Sort) -> usize {
    match sort {
        Sort::Bytes => WARM_UP_OF_BYTES + NEEDED_OF_BYTES,
        _ => LEAST,
    }
}

/// How a figure went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// Behind the first pass.
    pub first: u64,
    /// Behind the last one.
    pub last: u64,
    /// Least and most.
    pub least: u64,
    /// Most.
    pub most: u64,
    /// What the line through it rises by from pass to pass, the first passes left out.
    pub per_pass: f64,
    /// Passes that were looked at, the first ones left out.
    pub looked_at: usize,
    /// Those of them that left more behind than every one before.
    pub highs: usize,
    /// It grows.
    pub grows: bool,
    /// It rises, and why that is no growth.
    pub excuse: Option<Excuse>,
}

/// Why a figure that rises does not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Excuse {
    /// Bytes that rise by a step now and then: a list that lives on does.
    SeldomSteps,
    /// A time on a machine that shares its host with others: it is theirs, too.
    SharedTime,
}

/// How the values of a figure went, in a machine with `shared_time` or one with a time of its own. `None`: there are none.
pub fn trend(values: &[u64], sort: Sort, shared_time: bool) -> Option<Trend> {
    let (first, last) = (*values.first()?, *values.last()?);
    let (least, most) = (*values.iter().min()?, *values.iter().max()?);
    let mut trend =
        Trend { first, last, least, most, per_pass: 0.0, looked_at: 0, highs: 0, grows: false, excuse: None };
    if values.len() < self::least(sort) || least == most {
        return Some(trend);
    }
    let (warm_up, needed) = match sort {
        Sort::Bytes => (WARM_UP_OF_BYTES, NEEDED_OF_BYTES),
        _ => (WARM_UP.0, NEEDED),
    };
    let warm = (values.len() / 10).clamp(warm_up, WARM_UP.1).min(values.len() - needed);
    let steady: Vec<f64> = values[warm..].iter().map(|value| *value as f64).collect();
    let highs = highs(&steady);
    (trend.per_pass, trend.looked_at, trend.highs) = (slope(&steady), steady.len(), highs.iter().sum());
    let rises = rises(&steady, trend.per_pass, sort);
    trend.excuse = match sort {
        Sort::Time if rises && shared_time => Some(Excuse::SharedTime),
        Sort::Bytes if rises && is_seldom(highs, steady.len()) => Some(Excuse::SeldomSteps),
        _ => None,
    };
    trend.grows = rises && trend.excuse.is_none();
    Some(trend)
}

/// Whether values, through which a line goes that rises by `per_pass`, rise by more than chance, and by what is worth telling.
fn rises(steady: &[f64], per_pass: f64, sort: Sort) -> bool {
    let few = together(steady);
    let thirds = thirds(&few);
    let (worth, chance) = match sort {
        Sort::Instances | Sort::Objects => (1.0, EXACT),
        Sort::Bytes => (64.0, EXACT),
        Sort::Time => (WORTH * thirds[0], WAVERING),
    };
    let in_turn = thirds[0] < thirds[1] && thirds[1] < thirds[2];
    in_turn && per_pass * steady.len() as f64 >= worth && beyond_chance(&few) > chance
}

/// In each third, the passes that left more behind than every one before.
fn highs(values: &[f64]) -> [usize; 3] {
    let mut highs = [0; 3];
    let mut most = f64::INFINITY;
    for (n, value) in values.iter().enumerate() {
        highs[n * 3 / values.len()] += usize::from(*value > most);
        most = if n == 0 { *value } else { most.max(*value) };
    }
    highs
}

/// Whether so many of `count` passes are too few for a leak.
fn is_seldom(highs: [usize; 3], count: usize) -> bool {
    let most_passes = highs.iter().sum::<usize>() * 2 >= count.saturating_sub(1);
    let all_along = highs.iter().all(|highs| *highs >= HIGHS);
    !most_passes && !all_along
}

/// The slope of the least-squares line.
fn slope(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let (middle, mean) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let at = |(x, y): (usize, &f64)| ((x as f64 - middle) * (y - mean), (x as f64 - middle).powi(2));
    let add = |(a, b): (f64, f64), (c, d): (f64, f64)| (a + c, b + d);
    let (both, squares) = values.iter().enumerate().map(at).fold((0.0, 0.0), add);
    if squares > 0.0 { both / squares } else { 0.0 }
}

/// Means of neighbours, [`COMPARED`] at the most.
fn together(values: &[f64]) -> Vec<f64> {
    let size = values.len().div_ceil(COMPARED).max(1);
    values.chunks(size).map(|chunk| chunk.iter().sum::<f64>() / chunk.len() as f64).collect()
}

/// The medians of the thirds.
fn thirds(values: &[f64]) -> [f64; 3] {
    let n = values.len();
    let median = |from: usize, to: usize| {
        let mut part = values[from..to.max(from + 1).min(n)].to_vec();
        part.sort_unstable_by(f64::total_cmp);
        part.get(part.len() / 2).copied().unwrap_or(0.0)
    };
    [median(0, n / 3), median(n / 3, 2 * n / 3), median(2 * n / 3, n)]
}

/// Mann and Kendall's test: by how many standard deviations more pairs rise than fall than would by chance.
fn beyond_chance(values: &[f64]) -> f64 {
    let sign = |a: f64, b: f64| f64::from(i8::from(b > a) - i8::from(b < a));
    let pairs = values.iter().enumerate();
    let balance: f64 = pairs.map(|(n, a)| values[n + 1..].iter().map(|b| sign(*a, *b)).sum::<f64>()).sum();
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|tied| spread(tied.len() as f64)).sum();
    let variance = spread(values.len() as f64) - ties;
    if variance > 0.0 { (balance - balance.signum()) / variance.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grows(values: &[u64], sort: Sort) -> bool {
        trend(values, sort, false).expect("there are values").grows
    }

    /// Values between 0 and 100 that go nowhere.
    fn noise(seed: u64, count: usize) -> Vec<u64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % 100
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn one_instance_a_pass_is_growth_of_one_whatever_the_number_of_passes() {
        for count in [LEAST, 7, 20, 100, 1_000] {
            let values: Vec<u64> = (0..count as u64).collect();
            let trend = trend(&values, Sort::Instances, false).expect("there are values");
            assert!(trend.grows && (trend.per_pass - 1.0).abs() < 1e-9, "{count}: {trend:?}");
        }
        let slow: Vec<u64> = (0..200).map(|n| n / 10).collect();
        assert!(grows(&slow, Sort::Instances));
    }

    #[test]
    fn warm_up_a_lonely_step_and_what_goes_back_are_no_growth() {
        let warm: Vec<u64> = (0..100).map(|n: u64| n.min(8)).collect();
        let step: Vec<u64> = (0..100).map(|n: u64| u64::from(n > 60)).collect();
        let down: Vec<u64> = (0..100).rev().collect();
        let saw: Vec<u64> = (0..99).map(|n: u64| n % 7).collect();
        for values in [warm, step, down, saw, vec![5; 100], vec![3], (0..LEAST as u64 - 1).collect()] {
            assert!(!grows(&values, Sort::Instances), "{values:?}");
        }
        assert_eq!(trend(&[], Sort::Time, false), None);
    }

    #[test]
    fn times_waver_and_do_not_grow_by_that() {
        for seed in 0..400 {
            let values: Vec<u64> = noise(seed, 200).iter().map(|n| 10_000 + 100 * n).collect();
            assert!(!grows(&values, Sort::Time), "seed {seed}");
        }
    }

    #[test]
    fn a_time_that_creeps_up_is_seen_through_the_noise() {
        for seed in 0..50 {
            let values: Vec<u64> =
                noise(seed, 200).iter().zip(0..).map(|(n, pass)| 10_000 + 50 * n + 40 * pass).collect();
            let trend = trend(&values, Sort::Time, false).expect("there are values");
            assert!(trend.grows && (30.0..50.0).contains(&trend.per_pass), "seed {seed}: {trend:?}");
        }
        let little: Vec<u64> = (0..200).map(|n| 10_000 + n).collect();
        assert!(!grows(&little, Sort::Time), "two per cent are not worth telling");
    }

    #[test]
    fn many_passes_cost_no_more_than_they_must() {
        let values: Vec<u64> = (0..100_000).map(|n| n / 1_000).collect();
        assert!(grows(&values, Sort::Bytes));
    }

    /// What `passes` passes leave behind if the heap's lists take their size in the first ones, and each pass adds `leak` of its number.
    fn heap(passes: u64, leak: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut held = 70_000;
        let mut warm = [160, 128, 96, 64, 32, 64, 576, 32].into_iter();
        let add = |pass| {
            held += warm.next().unwrap_or(0) + leak(pass);
            held
        };
        (1..=passes).map(add).collect()
    }

    #[test]
    fn lists_that_live_on_and_grow_now_and_then_are_no_leak() {
        let seldom = |values: &[u64]| {
            let trend = trend(values, Sort::Bytes, false).expect("there are values");
            assert!(!trend.grows, "{trend:?}");
            trend.excuse == Some(Excuse::SeldomSteps)
        };
        // Two steps of 544 bytes: 35 bytes a pass.
        for passes in [24, 30, 40] {
            let two = |pass| 544 * u64::from(pass == passes / 2 || pass == passes / 2 + passes / 3);
            assert!(seldom(&heap(passes, two)), "{passes}");
        }
        // A list that doubles, of something that is added in every pass; and three of them, which do not double in the same one.
        let doubles = |pass: u64, entry: u64, of: u64| {
            let capacity = |n: u64| (n / of).next_power_of_two().max(4) * entry;
            capacity(pass) - capacity(pass - 1)
        };
        for passes in [20, 30, 60, 100, 300, 1_000, 10_000] {
            seldom(&heap(passes, |pass| doubles(pass, 16, 1)));
            seldom(&heap(passes, |pass| doubles(pass, 16, 1) + doubles(pass, 40, 3) + doubles(pass, 8, 5)));
        }
        // Lists that take their size, and nothing behind that, whatever the number of passes.
        for passes in 1..100 {
            assert!(!grows(&heap(passes, |_| 0), Sort::Bytes), "{passes}");
        }
    }

    #[test]
    fn bytes_that_leak_in_every_pass_or_in_every_kth_are_found() {
        for passes in [least(Sort::Bytes) as u64, 20, 30, 60, 100, 1_000] {
            assert!(grows(&heap(passes, |_| 64), Sort::Bytes), "{passes}");
        }
        for (every, passes) in [(2, 24), (3, 40), (4, 60), (4, 100), (4, 300), (10, 120), (10, 1_000)] {
            let values = heap(passes, |pass| 544 * u64::from(pass % every == 0));
            assert!(grows(&values, Sort::Bytes), "every {every}th of {passes}");
        }
        // What wavers hides the single step, and not the trend.
        for seed in 0..50 {
            let noise = noise(seed, 200);
            let values: Vec<u64> =
                heap(200, |_| 64).iter().zip(&noise).map(|(held, n)| held + 5 * n).collect();
            let still: Vec<u64> = heap(200, |_| 0).iter().zip(&noise).map(|(held, n)| held + 5 * n).collect();
            assert!(grows(&values, Sort::Bytes) && !grows(&still, Sort::Bytes), "seed {seed}");
        }
    }

    #[test]
    fn a_time_that_is_shared_is_told_and_not_judged() {
        let values: Vec<u64> =
            noise(7, 200).iter().zip(0..).map(|(n, pass)| 10_000 + 50 * n + 40 * pass).collect();
        let shared = trend(&values, Sort::Time, true).expect("there are values");
        assert_eq!((shared.grows, shared.excuse), (false, Some(Excuse::SharedTime)));
        let own = trend(&values, Sort::Time, false).expect("there are values");
        assert_eq!((own.grows, own.excuse, own.per_pass), (true, None, shared.per_pass));
        // What is counted is judged on every machine.
        let counts: Vec<u64> = (0..20).collect();
        assert!(trend(&counts, Sort::Instances, true).expect("there are values").grows);
        assert!(trend(&heap(30, |_| 64), Sort::Bytes, true).expect("there are values").grows);
    }
}
