//! What was found, for people and for machines.

use super::cell::{Cell, End};
use crate::bench::figures::number;
use crate::bench::report::{Part, Row};
use serde::Serialize;
use std::fmt::Write;

/// A bug and how each method did.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Name in the zoo.
    pub bug: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// One for each method, in order.
    pub cells: Vec<Cell>,
}

impl Line {
    /// The method that took least time.
    pub fn quickest(&self) -> Option<&Cell> {
        let found = self.cells.iter().filter(|cell| cell.found());
        found.min_by(|a, b| a.seconds.total_cmp(&b.seconds))
    }
}

/// Everything; the `--json` document.
#[derive(Debug, Serialize)]
pub struct Document {
    /// Seed of every hunt.
    pub seed: u64,
    /// Most executions for a bug and a method.
    pub most_executions: u64,
    /// Longest time for a bug and a method, s.
    pub limit_seconds: u64,
    /// Why there was no stress loop on KVM.
    pub no_stress: Option<String>,
    /// The bugs.
    pub bugs: Vec<Line>,
    /// What SPECIFICATION.md promises.
    pub figures: Vec<Row>,
}

/// Width of a method's column.
const COLUMN: usize = 17;

impl Document {
    /// The table and what follows from it.
    pub fn text(&self) -> String {
        let Self { seed, most_executions, limit_seconds, .. } = self;
        let mut out = format!(
            "seed {seed}, at most {} executions and {limit_seconds} s for each bug and method; executions (host time) until the rule is named\n\n",
            number(*most_executions as f64)
        );
        let methods: Vec<&str> = self
            .bugs
            .first()
            .map(|line| line.cells.iter().map(|cell| cell.method).collect())
            .unwrap_or_default();
        // Writing into a string cannot fail.
        _ = write!(out, "{:<18} {:<20}", "bug", "rule");
        methods.iter().for_each(|method| _ = write!(out, " {method:>COLUMN$}"));
        out.push('\n');
        for line in &self.bugs {
            _ = write!(out, "{:<18} {:<20}", line.bug, line.rule);
            line.cells.iter().for_each(|cell| _ = write!(out, " {:>COLUMN$}", told(cell)));
            out.push('\n');
        }
        out.push('\n');
        (0..methods.len()).for_each(|method| self.method(method, &mut out));
        if let Some(why) = &self.no_stress {
            _ = writeln!(out, "stress: not run: {why}");
        }
        self.twins(&mut out);
        out.push('\n');
        self.figures.iter().for_each(|row| out.push_str(&row.text()));
        out
    }

    fn method(&self, index: usize, out: &mut String) {
        let cells = || self.bugs.iter().filter_map(|line| line.cells.get(index));
        let mut executions: Vec<f64> = cells().filter(|c| c.found()).map(|c| c.executions as f64).collect();
        let mut seconds: Vec<f64> = cells().filter(|c| c.found()).map(|c| c.seconds).collect();
        let method = cells().next().map_or("", |cell| cell.method);
        let median = |of: &mut Vec<f64>| median(of).map_or_else(|| "none".to_owned(), number);
        _ = writeln!(
            out,
            "{method:<8} finds {:>2} of {}; median {} executions, {} s; slowest {} s",
            executions.len(),
            self.bugs.len(),
            median(&mut executions),
            median(&mut seconds),
            number(seconds.last().copied().unwrap_or_default()),
        );
    }

    fn twins(&self, out: &mut String) {
        let executions: u64 =
            self.bugs.iter().flat_map(|line| &line.cells).map(|cell| cell.twin_executions).sum();
        _ = writeln!(
            out,
            "fixed twins: {} executions, {} alarms",
            number(executions as f64),
            self.alarms().count()
        );
        for (line, cell, alarm) in self.alarms() {
            _ = writeln!(out, "ALARM {}-fixed, {}: {alarm}", line.bug, cell.method);
        }
    }

    /// What fixed twins were accused of.
    pub fn alarms(&self) -> impl Iterator<Item = (&Line, &Cell, &str)> {
        let cells = self.bugs.iter().flat_map(|line| line.cells.iter().map(move |cell| (line, cell)));
        cells.filter_map(|(line, cell)| Some((line, cell, cell.alarm.as_deref()?)))
    }
}

fn told(cell: &Cell) -> String {
    let (executions, seconds) = (number(cell.executions as f64), number(cell.seconds));
    match cell.end {
        End::Found => format!("{executions} ({seconds} s)"),
        End::NothingLeft | End::Executions => format!("none in {executions}"),
        End::Time => format!("none in {seconds} s"),
    }
}

/// The middle one; sorts. The lower of two middle ones.
fn median(of: &mut [f64]) -> Option<f64> {
    of.sort_unstable_by(f64::total_cmp);
    of.get(of.len().checked_sub(1)? / 2).copied()
}

/// The figures of SPECIFICATION.md.
pub fn figures(bugs: &[Line]) -> Vec<Row> {
    let mut seconds: Vec<f64> =
        bugs.iter().filter_map(|line| line.quickest()).map(|cell| cell.seconds).collect();
    let share = 100.0 * seconds.len() as f64 / bugs.len().max(1) as f64;
    let missed = bugs.iter().filter(|line| line.quickest().is_none()).map(|line| line.bug);
    let missed = missed.map(|bug| Part::new(format!("{bug} was found by no method"), 0.0, "")).collect();
    let of = |value: Option<f64>, parts| value.map(|v| (v, parts)).ok_or("nothing was found".to_owned());
    let middle = median(&mut seconds);
    let slowest = bugs.iter().filter_map(|line| Some((line.bug, line.quickest()?)));
    let slowest = slowest.max_by(|(_, a), (_, b)| a.seconds.total_cmp(&b.seconds));
    let which = slowest.map(|(bug, cell)| {
        Part::new(format!("executions: {bug}, {}", cell.method), cell.executions as f64, "")
    });
    let alarms = bugs.iter().flat_map(|line| &line.cells).filter(|cell| cell.alarm.is_some()).count();
    let twins: u64 = bugs.iter().flat_map(|line| &line.cells).map(|cell| cell.twin_executions).sum();
    let twins = Part::new("executions of fixed twins", twins as f64, "");
    vec![
        Row::measured("find-all", share, missed),
        Row::new("find-slowest", of(seconds.last().copied(), which.into_iter().collect())),
        Row::new("find-median", of(middle, Vec::new())),
        Row::measured("find-alarms", alarms as f64, vec![twins]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(method: &'static str, end: End, executions: u64, seconds: f64) -> Cell {
        Cell { method, end, executions, seconds, shown_by: None, twin_executions: 50, alarm: None }
    }

    fn document() -> Document {
        let bugs = vec![
            Line {
                bug: "a",
                rule: "io-lost",
                cells: vec![cell("random", End::Found, 3, 0.5), cell("pct", End::Executions, 2_000, 9.0)],
            },
            Line {
                bug: "b",
                rule: "leak",
                cells: vec![cell("random", End::Time, 7, 60.0), cell("pct", End::Found, 12, 2.0)],
            },
        ];
        let figures = figures(&bugs);
        Document { seed: 1, most_executions: 2_000, limit_seconds: 60, no_stress: None, bugs, figures }
    }

    #[test]
    fn the_table_says_what_was_found_and_what_was_not() {
        let text = document().text();
        let rows = [
            "3 (0.5 s)",
            "none in 2,000",
            "none in 60 s",
            "12 (2 s)",
            "random   finds  1 of 2; median 3 executions, 0.5 s",
            "fixed twins: 200 executions, 0 alarms",
            "find-all           100 %  held",
            "find-slowest       2 s  held",
            "executions: b, pct",
        ];
        rows.iter().for_each(|row| assert!(text.contains(row), "no {row:?} in\n{text}"));
    }

    #[test]
    fn what_nobody_finds_and_alarms_are_missed_limits() {
        let mut document = document();
        document.bugs[0].cells[0].end = End::Executions;
        document.bugs[1].cells[1].alarm = Some("leak in execution 3".to_owned());
        document.figures = figures(&document.bugs);
        let text = document.text();
        assert!(text.contains("find-all           50 %  MISSED (≥ 100 %)"), "{text}");
        assert!(text.contains("a was found by no method"), "{text}");
        assert!(text.contains("find-alarms        1 alarms  MISSED"), "{text}");
        assert!(text.contains("ALARM b-fixed, pct: leak in execution 3"), "{text}");
        assert_eq!(document.alarms().map(|(line, ..)| line.bug).collect::<Vec<_>>(), ["b"]);
    }
}
