//! The log of a cycle, its trends and its verdict, for people.

use super::document::Document;
use super::request::Request;
use super::sample::{Sample, Series, Sort};
use super::trend::{self, Excuse, Trend};
use std::fmt::Write;
use verdict::Ended;

/// Lines of the log at the most, more or less.
const LINES: u64 = 40;
/// Of these, the first passes.
const FIRST: u64 = 5;
/// Signs of a trend line.
const WIDTH: usize = 24;
/// Figures that are shown without growing.
const SHOWN: usize = 16;

/// The head of the log.
pub fn head(request: &Request) -> String {
    let Request { device, come, go, passes, left_out, .. } = request;
    let pace = match request.period {
        Some(period) => format!("one every {}", verdict::time(period)),
        None => "flat out".to_owned(),
    };
    let mut text = format!("cycle of {device}: {} and {}, {passes} passes, {pace}\n", come.word(), go.word());
    if *left_out > 0 {
        text += &format!("({left_out} rules and expectations of the plan are left out)\n");
    }
    text + "    pass        at        up      down  requests   latency       p99   open  objects        wired\n"
}

/// Whether a pass has a line in the log: all, if there are few.
pub fn has_line(pass: u64, passes: u64) -> bool {
    let step = passes.div_ceil(LINES);
    passes <= LINES || pass <= FIRST || pass == passes || pass.is_multiple_of(step)
}

/// The line of a pass.
pub fn line(sample: &Sample) -> String {
    let sum = |of: trace::Counted| -> u64 {
        sample.figures.iter().filter(|((counted, _), _)| *counted == of).map(|(_, n)| n).sum()
    };
    let Sample { pass, at, up, down, requests, open, .. } = sample;
    format!(
        "{pass:>8}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{open:>7}{:>9}{:>11} B\n",
        short(*at),
        short(*up),
        short(*down),
        requests.count,
        short(requests.half),
        short(requests.p99),
        sum(trace::Counted::Instances),
        sum(trace::Counted::Bytes),
    )
}

/// A time in a few signs.
fn short(nanos: u64) -> String {
    let (unit, name) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (1_000.0, "us"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{:.1}{name}", nanos as f64 / unit)
}

/// A figure's value with its unit.
fn value(number: u64, sort: Sort) -> String {
    match sort {
        Sort::Instances | Sort::Objects => number.to_string(),
        Sort::Bytes => format!("{number} B"),
        Sort::Time => short(number),
    }
}

/// What it rises by a pass, with its unit.
fn rate(per_pass: f64, sort: Sort) -> String {
    match sort {
        Sort::Instances | Sort::Objects => format!("{per_pass:+.2}"),
        Sort::Bytes => format!("{per_pass:+.1} B"),
        Sort::Time => {
            let sign = if per_pass < 0.0 { '-' } else { '+' };
            format!("{sign}{}", short(per_pass.abs().round() as u64))
        }
    }
}

/// The values as a line of blocks, from their least to their most.
pub fn sparkline(values: &[u64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let (Some(least), Some(most)) = (values.iter().min(), values.iter().max()) else { return String::new() };
    let width = width.clamp(1, values.len());
    let bin = |n: usize| {
        let part = &values[n * values.len() / width..(n + 1) * values.len() / width];
        part.iter().map(|value| u128::from(*value)).sum::<u128>() / part.len().max(1) as u128
    };
    let span = u128::from(most - least).max(1);
    let block = |n: usize| BLOCKS[((bin(n) - u128::from(*least)) * 7 / span) as usize];
    (0..width).map(block).collect()
}

/// The sentence about a figure that grows.
pub fn growth(told: &str, trend: &Trend, sort: Sort) -> String {
    let (first, last) = (value(trend.first, sort), value(trend.last, sort));
    let by = match sort {
        Sort::Instances | Sort::Objects => format!("{:.2}", trend.per_pass),
        Sort::Bytes => format!("{:.0} bytes", trend.per_pass),
        Sort::Time => format!("{:.0} ns", trend.per_pass),
    };
    format!("{told} grows by {by} per pass ({first} behind the first, {last} behind the last)")
}

/// What stands behind a figure that rises.
fn remark(trend: &Trend) -> String {
    let Trend { highs, looked_at, .. } = trend;
    match trend.excuse {
        _ if trend.grows => "  GROWS".to_owned(),
        Some(Excuse::SeldomSteps) => format!("  rises behind {highs} of {looked_at} passes only: no leak"),
        Some(Excuse::SharedTime) => "  rises; the host's time, not judged".to_owned(),
        None => String::new(),
    }
}

/// The trends: what grows, what is watched always, and what changed.
pub fn trends(series: &Series, shared_time: bool) -> String {
    if series.passes() == 0 {
        return String::new();
    }
    let mut out = format!(
        "{:<28}{:>12}{:>12}{:>14}  {}\n",
        "trend", "first", "last", "per pass", "from its least to its most"
    );
    let (mut same, mut more, mut shown) = (0, 0, 0);
    for (figure, values) in series.all() {
        let Some(trend) = trend::trend(values, figure.sort, shared_time) else { continue };
        let always = matches!(figure.sort, Sort::Bytes | Sort::Time) || figure.name == "open handles";
        if trend.least == trend.most && !always {
            same += 1;
            continue;
        }
        if !trend.grows && !always {
            shown += 1;
            if shown > SHOWN {
                more += 1;
                continue;
            }
        }
        let name: String = figure.told().chars().flat_map(char::escape_debug).collect();
        // Writing into a string cannot fail.
        _ = writeln!(
            out,
            "{name:<28}{:>12}{:>12}{:>14}  {}{}",
            value(trend.first, figure.sort),
            value(trend.last, figure.sort),
            if values.len() < trend::least(figure.sort) {
                "-".to_owned()
            } else {
                rate(trend.per_pass, figure.sort)
            },
            sparkline(values, WIDTH),
            remark(&trend),
        );
    }
    if same > 0 {
        _ = writeln!(out, "{same} classes and kinds of object: as many behind each pass");
    }
    if more > 0 {
        _ = writeln!(out, "{more} more waver and do not grow");
    }
    out
}

/// What stands below the trends.
pub fn verdict(document: &Document) -> String {
    let mut out = String::new();
    let Document { done, passes, .. } = document;
    let pace = document.reached.map_or_else(String::new, |reached| {
        let asked = document.period.filter(|asked| reached > asked + asked / 50);
        let asked = asked.map_or_else(String::new, |asked| {
            format!(": {} was asked for, but a pass takes longer", verdict::time(asked))
        });
        format!(", one every {} of machine time{asked}", short(reached))
    });
    _ = writeln!(out, "{done} of {passes} passes{pace}");
    for problem in &document.problems {
        let problem: String = problem.chars().flat_map(char::escape_debug).collect();
        _ = writeln!(out, "FOUND {problem}");
    }
    if let Ended::HostDefect(what) = &document.ended {
        _ = writeln!(out, "{}", verdict::defect(what));
    }
    let bytes = trend::least(Sort::Bytes);
    match *done as usize {
        0 => {}
        few if few < trend::LEAST => {
            _ = writeln!(out, "note: no trend can be told from fewer than {} passes", trend::LEAST);
        }
        few if few < bytes => {
            _ = writeln!(out, "note: no trend of memory can be told from fewer than {bytes} passes");
        }
        _ => {}
    }
    _ = writeln!(out, "verdict: {}", document.verdict);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_line_goes_from_least_to_most() {
        assert_eq!(sparkline(&[0, 1, 2, 3, 4, 5, 6, 7], 8), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[5; 100], 4), "▁▁▁▁");
        assert_eq!(sparkline(&[u64::MAX, 0], 9), "█▁");
        assert_eq!(sparkline(&[], 9), "");
        assert_eq!(sparkline(&(0..1_000).collect::<Vec<_>>(), 24).chars().count(), 24);
    }

    #[test]
    fn thousands_of_passes_have_a_few_dozen_lines() {
        for (passes, most) in [(1, 1), (40, 40), (41, 40), (1_000, 50), (100_000, 50)] {
            let lines = (1..=passes).filter(|pass| has_line(*pass, passes)).count();
            assert!(lines <= most && lines >= most.min(20), "{passes}: {lines}");
            assert!(has_line(1, passes) && has_line(passes, passes));
        }
    }

    #[test]
    fn growth_is_told_with_its_unit() {
        let trend = grown(None);
        assert_eq!(
            growth("class EduRequest", &trend, Sort::Instances),
            "class EduRequest grows by 2.00 per pass (2 behind the first, 202 behind the last)"
        );
        assert!(growth("wired memory (dma)", &trend, Sort::Bytes).contains("grows by 2 bytes per pass (2 B"));
        assert!(growth("time to go", &trend, Sort::Time).contains("by 2 ns per pass (2ns"));
    }

    /// A figure that rises by two a pass.
    fn grown(excuse: Option<Excuse>) -> Trend {
        let grows = excuse.is_none();
        let (looked_at, highs) = (90, 7);
        Trend { first: 2, last: 202, least: 2, most: 202, per_pass: 2.0, looked_at, highs, grows, excuse }
    }

    #[test]
    fn what_rises_and_does_not_grow_says_why() {
        assert_eq!(remark(&grown(None)), "  GROWS");
        let seldom = remark(&grown(Some(Excuse::SeldomSteps)));
        assert_eq!(seldom, "  rises behind 7 of 90 passes only: no leak");
        assert!(remark(&grown(Some(Excuse::SharedTime))).contains("not judged"));
        assert_eq!(remark(&Trend { grows: false, ..grown(None) }), "");
    }
}
