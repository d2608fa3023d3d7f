//! Whether a figure grows from pass to pass, or only wavers.
//!
//! The first passes are left out: caches fill, lists take their size. What is left is cut into thirds. A figure grows if the medians of the thirds rise, if the
//! values rise more often than chance lets them (the test of Mann and Kendall), and if the line through them (least squares) rises by what is worth telling. One
//! step up that stays alone is no growth; what stays behind at the end of all is for the rule `leak` to find.

use super::sample::Sort;
use serde::Serialize;

/// Passes that are left out at the least, and at the most.
const WARM_UP: (usize, usize) = (2, 50);
/// Passes that are needed behind those.
const NEEDED: usize = 4;
/// Values that are compared each with each; of more, neighbours are put together.
const COMPARED: usize = 256;
/// A quarter more than at the beginning is worth telling, of a time.
const WORTH: f64 = 0.25;
/// Standard deviations from chance for figures that repeat exactly: even four values, each above the one before, are enough.
const EXACT: f64 = 1.6;
/// The same for figures that waver by themselves, such as times: once in thousands of figures by chance.
const WAVERING: f64 = 3.3;

/// Passes without which no trend can be told.
pub const LEAST: usize = WARM_UP.0 + NEEDED;

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
    /// It grows.
    pub grows: bool,
}

/// How the values of a figure went. `None`: there are none.
pub fn trend(values: &[u64], sort: Sort) -> Option<Trend> {
    let (first, last) = (*values.first()?, *values.last()?);
    let (least, most) = (*values.iter().min()?, *values.iter().max()?);
    let mut trend = Trend { first, last, least, most, per_pass: 0.0, grows: false };
    if values.len() < LEAST || least == most {
        return Some(trend);
    }
    let warm = (values.len() / 10).clamp(WARM_UP.0, WARM_UP.1).min(values.len() - NEEDED);
    let steady: Vec<f64> = values[warm..].iter().map(|value| *value as f64).collect();
    trend.per_pass = slope(&steady);
    let few = together(&steady);
    let thirds = thirds(&few);
    let rise = trend.per_pass * steady.len() as f64;
    let (worth, chance) = match sort {
        Sort::Instances | Sort::Objects => (1.0, EXACT),
        Sort::Bytes => (64.0, EXACT),
        Sort::Time => (WORTH * thirds[0], WAVERING),
    };
    let rises = thirds[0] < thirds[1] && thirds[1] < thirds[2];
    trend.grows = rises && rise >= worth && beyond_chance(&few) > chance;
    Some(trend)
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
        trend(values, sort).expect("there are values").grows
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
            let trend = trend(&values, Sort::Instances).expect("there are values");
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
        assert_eq!(trend(&[], Sort::Time), None);
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
            let trend = trend(&values, Sort::Time).expect("there are values");
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
}
