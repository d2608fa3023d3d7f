//! `report.html` of a run.

use super::html::{block, document, heading, heads, in_script, table};
use super::latency::Told;
use super::{Seen, coverage, findings, removals};
use crate::exit::Failure;
use crate::run::Report;
use explore::matrix::escaped;
use std::fmt::Write;
use verdict::{Ended, Verdict, time};

const SCRIPT: &str = include_str!("page.js");

/// The page.
pub fn page(report: &Report, seen: &Seen, replay: &str) -> Result<String, Failure> {
    let verdict = &report.verdict;
    let data = serde_json::to_string(&seen.picture)
        .map_err(|error| Failure::host(format_args!("cannot print JSON: {error}")))?;
    let sections = [
        head(report, replay),
        TIME_LINE.to_owned(),
        findings::section(&verdict.findings, verdict.findings_total),
        expectations(verdict),
        ledger(verdict),
        removals::section(&verdict.removals, &seen.registry),
        coverage::section(&report.exercised),
        latencies(&seen.latencies),
        block("Plan", &report.plan_text),
        block("Last console lines", &report.console.join("\n")),
        format!(
            "<script type=\"application/json\" id=\"data\">{}</script>\n<script>{SCRIPT}</script>\n",
            in_script(&data)
        ),
    ];
    Ok(document(&report.plan, &sections.concat()))
}

const TIME_LINE: &str = "<h2>Time line</h2>\n\
<p class=\"tools\"><button id=\"in\">zoom in</button> <button id=\"out\">zoom out</button> <button id=\"all\">all</button> \
<label><input type=\"checkbox\" id=\"arrows\" checked> from fault to client</label> \
<span id=\"told\">drag to move, Ctrl + wheel to zoom</span></p>\n\
<div id=\"frame\"><div id=\"room\"><canvas id=\"line\" tabindex=\"0\" aria-label=\"time line\"></canvas></div></div>\n\
<noscript><p>The time line needs the script of this page; <code>timeline.svg</code> beside it does not.</p></noscript>\n";

fn head(report: &Report, replay: &str) -> String {
    let verdict = &report.verdict;
    let word = match (verdict.passed, &verdict.ended) {
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
    let heading = heading(word, &report.plan);
    format!(
        "{heading}<p>{}{seed}; {} events; {} of machine time. Again: <code>{}</code></p>\n{ended}",
        report.machine,
        report.events,
        time(report.machine_time),
        escaped(replay),
    )
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
    let words =
        ["", "issued", "completed", "Offline", "explained by faults", "error", "wrong data", "lost", "twice"];
    table("I/O ledger", &heads(words), &rows)
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
        for part in [SCRIPT, TIME_LINE] {
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
}
