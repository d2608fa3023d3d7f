//! What was measured, for people and for machines.

use super::context::Context;
use super::figures::{Figure, figure, number};
use serde::Serialize;
use std::fmt::Write;

/// A number behind a figure: one side of a ratio, a percentile.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// What it is.
    pub what: String,
    /// Its value.
    pub value: f64,
    /// Unit of the value.
    pub unit: &'static str,
}

impl Part {
    /// A number.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit }
    }
}

/// A figure that was measured, or the reason why it was not.
#[derive(Debug, Serialize)]
pub struct Row {
    figure: &'static str,
    what: &'static str,
    unit: &'static str,
    value: Option<f64>,
    limit: Option<String>,
    held: Option<bool>,
    not_measured: Option<String>,
    parts: Vec<Part>,
}

impl Row {
    /// The figure `id`, measured.
    pub fn measured(id: &str, value: f64, parts: Vec<Part>) -> Self {
        let figure = figure(id);
        Self { value: Some(value), held: figure.bound.holds(value), parts, ..Self::empty(figure) }
    }

    /// The figure `id`, not measured.
    pub fn missing(id: &str, reason: String) -> Self {
        Self { not_measured: Some(reason), ..Self::empty(figure(id)) }
    }

    /// The figure `id`: a value with its parts, or the reason why there is none.
    pub fn new(id: &str, measured: Result<(f64, Vec<Part>), String>) -> Self {
        match measured {
            Ok((value, parts)) => Self::measured(id, value, parts),
            Err(reason) => Self::missing(id, reason),
        }
    }

    fn empty(figure: &'static Figure) -> Self {
        let limit = figure.bound.holds(0.0).map(|_| figure.to_string());
        Self {
            figure: figure.id,
            what: figure.what,
            unit: figure.unit,
            value: None,
            limit,
            held: None,
            not_measured: None,
            parts: Vec::new(),
        }
    }

    /// Within its limit, or without one.
    pub fn is_fine(&self) -> bool {
        self.held != Some(false)
    }

    /// The row for people, with the numbers behind it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let Self { figure, what, unit, .. } = self;
        let value = match (self.value, &self.not_measured) {
            (Some(value), _) => format!("{} {unit}", number(value)),
            (None, reason) => format!("not measured: {}", reason.as_deref().unwrap_or("unknown")),
        };
        let judgement = match (self.held, &self.limit) {
            (Some(true), Some(limit)) => format!("  held ({limit})"),
            (Some(false), Some(limit)) => format!("  MISSED ({limit})"),
            _ => String::new(),
        };
        // Writing into a string cannot fail.
        _ = writeln!(out, "{figure:<18} {value}{judgement}");
        _ = writeln!(out, "{:<18} {what}", "");
        for Part { what, value, unit } in &self.parts {
            _ = writeln!(out, "{:<18} {:>12} {unit:<3} {what}", "", number(*value));
        }
        out
    }
}

/// Everything that one run measured.
#[derive(Debug, Serialize)]
pub struct Report {
    host: Option<vmm::probe::HostReport>,
    kvm_problem: Option<String>,
    processors: usize,
    qemu: Option<String>,
    figures: Vec<Row>,
}

impl Report {
    /// The host, and nothing measured yet.
    pub fn new(context: &Context) -> Self {
        Self {
            host: context.host.as_ref().ok().cloned(),
            kvm_problem: context.host.as_ref().err().cloned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            qemu: context.qemu.as_ref().ok().cloned(),
            figures: Vec::new(),
        }
    }

    /// Adds what was measured.
    pub fn add(&mut self, mut rows: Vec<Row>) {
        self.figures.append(&mut rows);
    }

    /// Figures beyond their limit.
    pub fn missed(&self) -> usize {
        self.figures.iter().filter(|row| row.held == Some(false)).count()
    }

    /// The line before the rows: where they were measured.
    pub fn head(&self) -> String {
        let kind = match (&self.host, &self.kvm_problem) {
            (Some(host), _) => host.kind.to_string(),
            (None, problem) => format!("no KVM: {}", problem.as_deref().unwrap_or("unknown")),
        };
        let qemu = self.qemu.as_deref().unwrap_or("no QEMU");
        format!("host: {kind}; {} processors; {qemu}\n\n", self.processors)
    }

    /// The line after the rows: how many limits held.
    pub fn tail(&self) -> String {
        let held = self.figures.iter().filter(|row| row.held == Some(true)).count();
        let open = self.figures.iter().filter(|row| row.not_measured.is_some()).count();
        format!("\n{held} limits held, {} missed, {open} figures not measured\n", self.missed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_measured_and_what_was_wanted() {
        let mut text = Row::measured("resident", 17.0, vec![Part::new("executable", 5.5, "MiB")]).text();
        text.push_str(&Row::missing("cycles", "interrupted".to_owned()).text());
        assert!(text.contains("17 MiB  MISSED (≤ 16 MiB)"), "{text}");
        assert!(text.contains("5.5 MiB executable"), "{text}");
        assert!(text.contains("cycles             not measured: interrupted"), "{text}");
    }
}
