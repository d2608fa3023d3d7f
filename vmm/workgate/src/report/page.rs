//! `report.html`: the run as a page in one file. It loads nothing, and its own policy forbids it to.

use super::Seen;
use super::latency::Told;
use crate::exit::Failure;
use crate::run::Report;
use explore::matrix::escaped;
use std::fmt::Write;
use verdict::{Ended, Verdict, time};

/// Its policy: the page loads nothing.
const HEAD: &str = include_str!("head.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Findings shown.
const FINDINGS: usize = 64;
/// Lines of a removal's teardown shown.
const LINES: usize = 256;

/// The page.
pub fn page(report: &Report, seen: &Seen, replay: &str) -> Result<String, Failure> {
    let verdict = &report.verdict;
    let data = serde_json::to_string(&seen.picture)
        .map_err(|error| Failure::host(format_args!("cannot print JSON: {error}")))?;
    let sections = [
        head(report, replay),
        TIME_LINE.to_owned(),
        findings(verdict),
        expectations(verdict),
        ledger(verdict),
        removals(verdict),
        latencies(&seen.latencies),
        format!("<h2>Plan</h2>\n<pre>{}</pre>\n", escaped(&report.plan_text)),
        format!("<h2>Last console lines</h2>\n<pre>{}</pre>\n", escaped(&report.console.join("\n"))),
    ];
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head>{HEAD}\
         <title>{}</title><style>{STYLE}</style></head><body>\n{}\
         <script type=\"application/json\" id=\"data\">{}</script>\n<script>{SCRIPT}</script>\n</body></html>\n",
        escaped(&report.plan),
        sections.concat(),
        in_script(&data),
    ))
}

const TIME_LINE: &str = "<h2>Time line</h2>\n\
<p class=\"tools\"><button id=\"in\">zoom in</button> <button id=\"out\">zoom out</button> <button id=\"all\">all</button> \
<label><input type=\"checkbox\" id=\"arrows\" checked> from fault to client</label> \
<span id=\"told\">drag to move, Ctrl + wheel to zoom</span></p>\n\
<div id=\"frame\"><canvas id=\"line\" tabindex=\"0\" aria-label=\"time line\"></canvas></div>\n\
<noscript><p>The time line needs the script of this page; <code>timeline.svg</code> beside it does not.</p></noscript>\n";

/// JSON in a script element: nothing in it may end the element (HTML, 4.12.1.3), so `<` is told by its number.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn head(report: &Report, replay: &str) -> String {
    let verdict = &report.verdict;
    let (class, word) = match (verdict.passed, &verdict.ended) {
        (true, _) => ("held", "PASS"),
        (false, Ended::HostDefect(_)) => ("none", "NONE"),
        (false, Ended::Quit) if verdict.findings_total == 0 => ("none", "NONE"),
        (false, _) => ("broke", "FAIL"),
    };
    let ended = match &verdict.ended {
        Ended::Done => String::new(),
        Ended::Quit => "<p>It was ended from outside, before the plan was over.</p>".to_owned(),
        Ended::Panic(what) | Ended::Hang(what) | Ended::Bad(what) | Ended::HostDefect(what) => {
            format!("<pre class=\"broke\">{}</pre>\n", escaped(what))
        }
    };
    let seed = report.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
    format!(
        "<h1><span class=\"{class}\">{word}</span> {}</h1>\n<p>{}{seed}; {} events; {} of machine time. Again: <code>{}</code></p>\n{ended}",
        escaped(&report.plan),
        report.machine,
        report.events,
        time(report.machine_time),
        escaped(replay),
    )
}

fn findings(verdict: &Verdict) -> String {
    if verdict.findings.is_empty() {
        return String::new();
    }
    let mut out = format!("<h2>Broken rules: {}</h2>\n", verdict.findings_total);
    for finding in verdict.findings.iter().take(FINDINGS) {
        let device = finding.device.as_deref().unwrap_or("the machine");
        let events = finding.events.join("\n");
        let threads: Vec<String> = finding.threads.iter().map(|thread| thread.line()).collect();
        // Writing into a string cannot fail.
        _ = writeln!(
            out,
            "<details open><summary><b class=\"broke\">{}</b> on {} at {}: {}</summary>\n<pre>{}\n\n{}</pre></details>",
            escaped(&finding.rule),
            escaped(device),
            time(finding.time),
            escaped(&finding.message),
            escaped(&events),
            escaped(&threads.join("\n")),
        );
    }
    out
}

fn expectations(verdict: &Verdict) -> String {
    let row = |held: &verdict::Held| {
        let (class, word) = if held.held { ("held", "held") } else { ("broke", "FAILED") };
        let (expect, detail) = (escaped(&held.expect), escaped(&held.detail));
        format!(
            "<tr><th>{expect}</th><td class=\"{class}\">{word}</td><td class=\"left\">{detail}</td></tr>\n"
        )
    };
    let rows: String = verdict.expectations.iter().map(row).collect();
    table("Expectations", "", &rows)
}

fn ledger(verdict: &Verdict) -> String {
    let mut rows = String::new();
    for (device, c) in &verdict.io {
        let class = if c.balanced() { "held" } else { "broke" };
        _ = write!(rows, "<tr><th>{}</th>", escaped(device));
        for count in [c.issued, c.completed, c.offline, c.explained(), c.error, c.corrupt, c.lost, c.twice] {
            _ = write!(rows, "<td class=\"{class}\">{count}</td>");
        }
        rows.push_str("</tr>\n");
    }
    let heads =
        ["", "issued", "completed", "Offline", "explained by faults", "error", "wrong data", "lost", "twice"];
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    table("I/O ledger", &heads, &rows)
}

fn table(title: &str, heads: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    format!("<h2>{title}</h2>\n<table><tr>{heads}</tr>\n{rows}</table>\n")
}

fn removals(verdict: &Verdict) -> String {
    let took = |t: Option<u64>| t.map_or_else(|| "never".to_owned(), time);
    let told = |removal: &verdict::Removal| {
        let order: Vec<&str> = removal.order.iter().take(LINES).map(String::as_str).collect();
        format!(
            "<details><summary>{} of {} at {}: {} in flight, all back after {}, stack quiet after {}</summary>\n<pre>{}</pre></details>\n",
            escaped(&removal.action),
            escaped(&removal.device),
            time(removal.time),
            removal.in_flight,
            took(removal.offline_after),
            took(removal.quiet_after),
            escaped(&order.join("\n")),
        )
    };
    let all: String = verdict.removals.iter().take(FINDINGS).map(told).collect();
    if all.is_empty() { all } else { format!("<h2>Removals</h2>\n{all}") }
}

fn latencies(latencies: &[Told]) -> String {
    let one = |told: &Told| {
        let most = told.buckets.iter().map(|bucket| bucket.1).max().unwrap_or(1).max(1);
        let bar = |&(below, count): &(u64, u64)| {
            let wide = u128::from(count) * 200 / u128::from(most);
            format!(
                "<tr><th>&lt; {}</th><td class=\"left\"><span class=\"bar\" style=\"width:{wide}px\"></span> {count}</td></tr>\n",
                time(below)
            )
        };
        let bars: String = told.buckets.iter().map(bar).collect();
        format!(
            "<div><h3>{}</h3><p>{}: half below {}, 99 of 100 below {}</p><table>{bars}</table></div>\n",
            escaped(&told.what),
            told.count,
            time(told.half_below),
            time(told.p99_below),
        )
    };
    let all: String = latencies.iter().map(one).collect();
    if all.is_empty() { all } else { format!("<h2>Latencies</h2>\n<div class=\"many\">{all}</div>\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_nothing_from_outside() {
        for part in [STYLE, SCRIPT, TIME_LINE] {
            for word in [
                "http:",
                "https:",
                "url(",
                "@import",
                "fetch(",
                "XMLHttp",
                "import(",
                "innerHTML",
                "</script",
            ] {
                assert!(!part.contains(word), "{word}");
            }
        }
    }

    #[test]
    fn data_cannot_end_the_script() {
        let data = serde_json::json!({"name": "</script><script>alert(1)</script><!--"}).to_string();
        let told = in_script(&data);
        assert!(!told.contains('<'));
        let back: serde_json::Value = serde_json::from_str(&told).expect("still JSON");
        assert_eq!(back["name"], "</script><script>alert(1)</script><!--");
    }
}
