//! The result of a cycle; the `--json` document.

use super::conductor::Conductor;
use super::request::Request;
use super::sample::Series;
use super::text;
use super::trend::{self, Trend};
use crate::exit::Exit;
use serde::Serialize;
use verdict::{Ended, Verdict};

/// Findings of the oracles that are told.
const FINDINGS: usize = 16;

/// A figure and how it went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Watched {
    /// What it is called.
    pub figure: String,
    /// How it went; instances, bytes or nanoseconds.
    #[serde(flatten)]
    pub trend: Trend,
}

/// Everything that a cycle has to tell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// Name of the plan.
    pub plan: String,
    /// The plan as it was run, printed canonically.
    pub plan_text: String,
    /// The device.
    pub device: String,
    /// How it came, and how it went.
    pub moves: [&'static str; 2],
    /// `kvm` or `sim`.
    pub machine: &'static str,
    /// Its times are the host's, which others use too: they are told, and not judged.
    pub shared_time: bool,
    /// Seed of the chooser (simulator).
    pub seed: Option<u64>,
    /// Passes that were asked for.
    pub passes: u64,
    /// Passes that are complete.
    pub done: u64,
    /// Machine time from one pass to the next that was asked for, ns.
    pub period: Option<u64>,
    /// The same as it was, on the average.
    pub reached: Option<u64>,
    /// Hash of every event of the run (simulator).
    pub trace_hash: Option<String>,
    /// Every figure that was watched.
    pub trends: Vec<Watched>,
    /// What grows, what stood in the way, and which rules were broken.
    pub problems: Vec<String>,
    /// How the machine ended.
    pub ended: Ended,
    /// `PASS`, `FAIL`, `INTERRUPTED` or `NONE`.
    pub verdict: &'static str,
}

/// What is known of the machine that ran.
pub struct Machine {
    /// `kvm` or `sim`.
    pub word: &'static str,
    /// Its times are the host's, which others use too.
    pub shared_time: bool,
    /// Seed of the chooser (simulator).
    pub seed: Option<u64>,
    /// Hash of every event (simulator).
    pub trace_hash: Option<String>,
}

impl Document {
    /// What `conductor` has seen, and what the oracles say.
    pub fn new(request: &Request, conductor: &Conductor<'_>, verdict: &Verdict, machine: Machine) -> Self {
        let series = &conductor.series;
        let shared_time = machine.shared_time;
        let problems = match &verdict.ended {
            Ended::HostDefect(_) => Vec::new(),
            _ => problems(series, conductor, verdict, shared_time),
        };
        let word = word(&verdict.ended, problems.is_empty(), conductor.interrupted);
        let watched = |(figure, values): (&super::sample::Figure, &[u64])| {
            let trend = trend::trend(values, figure.sort, shared_time)?;
            Some(Watched { figure: figure.told(), trend })
        };
        let done = series.passes() as u64;
        let between = conductor.span.filter(|_| done > 1).map(|(first, last)| last - first);
        Self {
            plan: request.plan.name.clone(),
            plan_text: request.plan.to_string(),
            device: request.device.clone(),
            moves: [request.come.word(), request.go.word()],
            machine: machine.word,
            shared_time,
            seed: machine.seed,
            passes: request.passes,
            done,
            period: request.period,
            reached: between.map(|time| time / (conductor.begun() - 1).max(1)),
            trace_hash: machine.trace_hash,
            trends: series.all().filter_map(watched).collect(),
            problems,
            ended: verdict.ended.clone(),
            verdict: word,
        }
    }

    /// The status to end with.
    pub fn exit(&self) -> Exit {
        match self.verdict {
            "PASS" => Exit::Held,
            "FAIL" => Exit::Found,
            _ => Exit::Host,
        }
    }
}

/// The verdict. A processor that is defective explains whatever was seen: nothing is known about the guest.
fn word(ended: &Ended, right: bool, interrupted: bool) -> &'static str {
    match (ended, right) {
        (Ended::HostDefect(_), _) => "NONE",
        (_, false) => "FAIL",
        (_, true) if interrupted => "INTERRUPTED",
        (Ended::Quit, true) => "NONE",
        (_, true) => "PASS",
    }
}

fn problems(series: &Series, conductor: &Conductor<'_>, verdict: &Verdict, shared_time: bool) -> Vec<String> {
    let grown = series.all().filter_map(|(figure, values)| {
        let trend = trend::trend(values, figure.sort, shared_time).filter(|trend| trend.grows)?;
        Some(text::growth(&figure.told(), &trend, figure.sort))
    });
    let mut problems: Vec<String> = grown.chain(conductor.trouble.clone()).collect();
    let on =
        |device: &Option<String>| device.as_ref().map_or_else(String::new, |device| format!(" on {device}"));
    let broken = verdict.findings.iter().take(FINDINGS);
    problems.extend(broken.map(|found| format!("{}{}: {}", found.rule, on(&found.device), found.message)));
    let more = verdict.findings_total.saturating_sub(FINDINGS as u64);
    if more > 0 {
        problems.push(format!("{more} more broken rules"));
    }
    match &verdict.ended {
        Ended::Done | Ended::Quit | Ended::HostDefect(_) => {}
        Ended::Panic(_) | Ended::Hang(_) | Ended::Bad(_) => {
            problems.push(format!("the machine ended {}", conductor.place()));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defective_processor_is_no_verdict_whatever_was_seen() {
        let defect = Ended::HostDefect("masked interrupt".to_owned());
        assert_eq!((word(&defect, false, false), word(&defect, true, false)), ("NONE", "NONE"));
        assert_eq!((word(&Ended::Done, false, false), word(&Ended::Done, true, false)), ("FAIL", "PASS"));
        assert_eq!(
            (word(&Ended::Quit, true, true), word(&Ended::Quit, false, true)),
            ("INTERRUPTED", "FAIL")
        );
    }
}
