//! The verdict as text, for people.

use crate::expect::time;
use crate::verdict::{Ended, Verdict};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Findings that are printed; all are in the JSON document.
const SHOWN: usize = 16;

/// Renders a verdict: ledger, faults, removals with their teardown order, expectations, findings, verdict line.
pub fn render(verdict: &Verdict) -> String {
    let mut out = String::new();
    faults(verdict, &mut out);
    ledger(verdict, &mut out);
    removals(verdict, &mut out);
    expectations(verdict, &mut out);
    findings(verdict, &mut out);
    for rule in &verdict.never_acted {
        _ = writeln!(out, "note: `{rule}` never acted: its trigger did not come up in this run");
    }
    _ = writeln!(out, "verdict: {}", word(verdict));
    out
}

/// The verdict in a word: `PASS`, `FAIL`, or `NONE` for a run that says nothing about the guest.
pub fn word(verdict: &Verdict) -> &'static str {
    match (verdict.passed, &verdict.ended) {
        (true, _) => "PASS",
        (false, Ended::HostDefect(_)) => "NONE",
        (false, Ended::Quit) if verdict.findings_total == 0 => "NONE",
        (false, _) => "FAIL",
    }
}

fn faults(verdict: &Verdict, out: &mut String) {
    if verdict.faults.is_empty() {
        return;
    }
    _ = writeln!(out, "faults");
    for (at, device, word) in verdict.faults.iter().take(32) {
        _ = writeln!(out, "  {:>12}  {word} {device}", time(*at));
    }
    if verdict.faults.len() > 32 {
        _ = writeln!(out, "  … {} more", verdict.faults.len() - 32);
    }
}

fn ledger(verdict: &Verdict, out: &mut String) {
    if verdict.io.is_empty() {
        return;
    }
    let heads = ["issued", "completed", "offline", "error", "corrupt", "lost", "twice"];
    _ = write!(out, "{:<16}", "requests");
    for head in heads {
        _ = write!(out, " {head:>10}");
    }
    out.push('\n');
    for (device, c) in &verdict.io {
        _ = write!(out, "  {device:<14}");
        for count in [c.issued, c.completed, c.offline, c.error, c.corrupt, c.lost, c.twice] {
            _ = write!(out, " {count:>10}");
        }
        let sign = if c.balanced() { "issued = completed + offline" } else { "NOT BALANCED" };
        _ = write!(out, "   {sign}");
        if c.explained() > 0 {
            let (errors, corrupt) = (c.error_explained, c.corrupt_explained);
            _ = write!(out, " + explained by faults: {errors} error, {corrupt} corrupt");
        }
        out.push('\n');
    }
}

fn removals(verdict: &Verdict, out: &mut String) {
    for removal in &verdict.removals {
        let took = |t: Option<u64>| t.map_or_else(|| "never".to_owned(), time);
        _ = writeln!(
            out,
            "{} of {} at {}: {} in flight, all back after {}, stack quiet after {}",
            removal.action,
            removal.device,
            time(removal.time),
            removal.in_flight,
            took(removal.offline_after),
            took(removal.quiet_after),
        );
        for (n, line) in removal.order.iter().enumerate() {
            _ = writeln!(out, "  {:>3}  {line}", n + 1);
        }
    }
}

fn expectations(verdict: &Verdict, out: &mut String) {
    for held in &verdict.expectations {
        let sign = if held.held { "held" } else { "FAILED" };
        _ = writeln!(out, "expect {:<24} {sign}: {}", held.expect, held.detail);
    }
}

/// What is said of a run that ended because the guest's processor is defective.
pub fn defect(what: &str) -> String {
    format!(
        "ended by a defect of the host: the guest's processor did what no processor does ({what}); nothing is known about the guest"
    )
}

fn findings(verdict: &Verdict, out: &mut String) {
    match &verdict.ended {
        Ended::Done => {}
        Ended::Quit => out.push_str("ended from outside, before the plan was over\n"),
        Ended::Panic(what) | Ended::Hang(what) | Ended::Bad(what) => _ = writeln!(out, "ended badly: {what}"),
        Ended::HostDefect(what) => _ = writeln!(out, "{}", defect(what)),
    }
    let mut told = BTreeSet::new();
    for finding in verdict.findings.iter().take(SHOWN) {
        let device = finding.device.as_deref().unwrap_or("the machine");
        _ = writeln!(
            out,
            "BROKEN {} on {device} at {}: {}",
            finding.rule,
            time(finding.time),
            finding.message
        );
        // The events before the first of each kind tell the story; further ones would bury it.
        if told.insert((&finding.rule, device)) {
            for line in &finding.events {
                _ = writeln!(out, "    {line}");
            }
            for thread in finding.threads.iter().filter(|thread| !thread.stack.is_empty()) {
                _ = writeln!(out, "    {}", thread.line());
            }
        }
    }
    if verdict.findings_total > SHOWN as u64 {
        _ = writeln!(out, "… {} findings in all", verdict.findings_total);
    }
}
