//! What an exploration tells: its figures for the report, its end for people.

use super::Document;
use crate::find::bug::Bug;
use crate::report::{rate, seconds};
use explore::campaign::Summary;
use explore::matrix::Matrix;
use explore::teardown::{self, Item};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// The figures of the report.
pub fn facts(
    document: &Document,
    jobs: usize,
    took: Duration,
    is_stopped: bool,
) -> Vec<(&'static str, String)> {
    let Document { shard, runs, events, traces, states, .. } = document;
    vec![
        ("runs", format!("{runs}{}", if is_stopped { " (stopped)" } else { "" })),
        ("part of the work", shard.clone()),
        ("different traces", traces.to_string()),
        ("different states", states.to_string()),
        ("events", events.to_string()),
        ("host time", seconds(took)),
        ("runs a second", rate(*runs, took)),
        ("jobs", jobs.to_string()),
    ]
}

/// A time that is to come, more or less.
pub fn human(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

/// What came of it.
pub fn text(
    summary: &Summary,
    matrices: &BTreeMap<String, Matrix>,
    exercised: &[Item],
    bugs: &[Bug],
    stopped: bool,
) -> String {
    let mut out = String::new();
    for (device, matrix) in matrices {
        // Writing into a string cannot fail.
        _ = writeln!(out, "{device}: removals by site and state of its stack\n{}", matrix.text());
    }
    _ = writeln!(
        out,
        "{} runs{}, {} traces, {} states, {} events",
        summary.runs,
        if stopped { " (stopped)" } else { "" },
        summary.traces,
        summary.states,
        summary.events
    );
    out.push_str(&teardown::table(exercised, true));
    for bug in bugs {
        _ = writeln!(
            out,
            "FOUND {}: first in run {}, in {} run(s); {}",
            bug.rule,
            bug.first,
            bug.runs,
            bug.size()
        );
        bug.plan.lines().for_each(|line| _ = writeln!(out, "    {line}"));
        if let Some(capsule) = &bug.capsule {
            _ = writeln!(out, "  again: workgate replay {}", capsule.display());
        }
    }
    _ = writeln!(out, "verdict: {}", if bugs.is_empty() { "nothing found" } else { "FAIL" });
    out
}
